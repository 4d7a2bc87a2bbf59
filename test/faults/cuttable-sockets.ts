// The WebSockets of one simulated client: cut off hard on demand, away for a while, and from a source address of choice.
import { WebSocket } from 'ws';
import type { ClientOptions } from '../../src/client/index.js';

/** Nobody listens there: a client that is away reaches nobody. */
const NOWHERE = 'ws://127.0.0.1:9';

export class CuttableSockets {
  readonly WebSocket: NonNullable<ClientOptions['WebSocket']>;
  /** Time of the newest hello, ms since 1970: the frame with which a session is resumed. */
  helloAt = 0;
  #newest: WebSocket | null = null;
  #awayUntil = 0;

  constructor(localAddress: string | null) {
    const address = localAddress === null ? {} : { localAddress };
    const connecting = (url: string): string => (Date.now() < this.#awayUntil ? NOWHERE : url);
    const opened = (socket: WebSocket): void => {
      this.#newest = socket;
      // The SDK writes its hello in the same step.
      socket.once('open', () => (this.helloAt = Date.now()));
    };
    this.WebSocket = class extends WebSocket {
      constructor(url: string, protocols: string[]) {
        super(connecting(url), protocols, { perMessageDeflate: false, ...address });
        opened(this);
      }
    };
  }

  /** No closing handshake, and no way back for so long. */
  cut(awayMs: number): void {
    this.#awayUntil = Date.now() + awayMs;
    this.#newest?.terminate();
  }

  /** The way back is there again, before its time. */
  mend(): void {
    this.#awayUntil = 0;
  }
}
