// A connection by hand, in the JSON protocol: for what the SDK would never do, such as to resume one session ten times at once.
import { once } from 'node:events';
import WebSocket from 'ws';
import { tokenOf } from '../gateway-process.js';

export interface Welcome {
  session: string;
  resumeKey: string;
  resumed: boolean;
}

/** What it hears, as it happens. */
export interface RawListener {
  welcomed?(welcome: Welcome): void;
  /** Any frame but welcome and ping. */
  heard?(frame: readonly unknown[]): void;
  closed?(code: number): void;
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
  readonly #listener: RawListener;

  constructor(url: string, client: string, resume: Welcome | null = null, listener: RawListener = {}) {
    this.#listener = listener;
    const token = tokenOf(client);
    this.#socket = new WebSocket(`${url}/v1/connect`, ['signalbox.v1.json', `bearer.${token}`]);
    const place = resume === null ? null : [resume.session, resume.resumeKey];
    this.#socket.on('open', () => this.send([HELLO, 1, null, place, 'faults']));
    this.#socket.on('message', (data: Buffer) => this.#receive(JSON.parse(data.toString()) as unknown[]));
    this.#socket.on('close', (code) => {
      this.closed = code;
      listener.closed?.(code);
    });
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

  /** Without a word; resolves when it is over. */
  async cut(): Promise<void> {
    if (this.closed !== null) return;
    const closed = once(this.#socket, 'close');
    this.#socket.terminate();
    await closed;
  }

  #receive(frame: unknown[]): void {
    if (frame[0] === PING) this.send([PONG]);
    else if (frame[0] === WELCOME) {
      this.welcome = frame[1] as Welcome;
      this.#listener.welcomed?.(this.welcome);
    } else {
      this.frames.push(frame);
      this.#listener.heard?.(frame);
    }
  }
}
