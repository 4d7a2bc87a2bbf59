// A connection by hand, in the JSON protocol: for what the SDK would never do, such as to resume one session ten times at once.
import { once } from 'node:events';
import WebSocket from 'ws';
import { tokenOf } from '../gateway-process.js';

export interface Welcome {
  session: string;
  resumeKey: string;
  resumed: boolean;
}

/** Type numbers of docs/protocol.md. */
const HELLO = 0;
const WELCOME = 1;
const PING = 2;
const PONG = 3;

export class RawSession {
  welcome: Welcome | null = null;
  /** Every frame but welcome and ping. */
  readonly frames: unknown[][] = [];
  /** Close code; null while it is open. */
  closed: number | null = null;
  readonly #socket: WebSocket;

  constructor(url: string, client: string, resume: Welcome | null = null, token = tokenOf(client)) {
    this.#socket = new WebSocket(`${url}/v1/connect`, ['signalbox.v1.json', `bearer.${token}`]);
    const place = resume === null ? null : [resume.session, resume.resumeKey];
    this.#socket.on('open', () => this.send([HELLO, 1, null, place, 'faults']));
    this.#socket.on('message', (data: Buffer) => this.#receive(JSON.parse(data.toString()) as unknown[]));
    this.#socket.on('close', (code) => (this.closed = code));
    this.#socket.on('error', () => undefined);
  }

  /** Connected, or sent away. */
  async settled(): Promise<this> {
    while (this.welcome === null && this.closed === null)
      await Promise.race([once(this.#socket, 'message'), once(this.#socket, 'close')]);
    return this;
  }

  send(frame: readonly unknown[]): void {
    this.#socket.send(JSON.stringify(frame));
  }

  /** Without a word. */
  cut(): void {
    this.#socket.terminate();
  }

  #receive(frame: unknown[]): void {
    if (frame[0] === PING) this.send([PONG]);
    else if (frame[0] === WELCOME) this.welcome = frame[1] as Welcome;
    else this.frames.push(frame);
  }
}
