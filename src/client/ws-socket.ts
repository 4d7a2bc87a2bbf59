// A WebSocket in Node 20: `ws` opens it, reads it and ends it, and what is written goes around it, joined and in memory that is used again.
import type { WebSocket } from 'ws';
import { MaskedWriter } from './masked-writer.js';
import type { WebSocketLike } from './websocket-class.js';

export class WsSocket implements WebSocketLike {
  /** A message is the bytes that were read, whatever is asked for: as an ArrayBuffer it would be a copy of them. */
  binaryType = 'nodebuffer';
  onopen: WebSocketLike['onopen'] = null;
  onmessage: WebSocketLike['onmessage'] = null;
  onclose: WebSocketLike['onclose'] = null;
  onerror: WebSocketLike['onerror'] = null;
  readonly #ws: WebSocket;
  #writer: MaskedWriter | null = null;

  /** @param Class of `ws`. @throws SyntaxError for a URL or subprotocols that are none */
  constructor(Class: typeof WebSocket, url: string, protocols: string[]) {
    // The gateway compresses nothing, and what is written around `ws` must not be compressed.
    const ws = (this.#ws = new Class(url, protocols, { perMessageDeflate: false }));
    ws.once('upgrade', ({ socket }) => (this.#writer = new MaskedWriter(socket)));
    ws.on('open', () => this.onopen?.({}));
    // `nodebuffer`, the default binaryType, makes every message one Buffer.
    ws.on('message', (data: Buffer, isBinary) =>
      this.onmessage?.({ data: isBinary ? data : data.toString('utf8') }),
    );
    ws.on('error', (error) => this.onerror?.(error));
    ws.on('close', (code) => this.onclose?.({ code }));
  }

  get protocol(): string {
    return this.#ws.protocol;
  }

  get bufferedAmount(): number {
    return this.#ws.bufferedAmount + (this.#writer?.pendingBytes ?? 0);
  }

  /** Straight to the socket: what `ws` writes by itself (pongs, its goodbye) it writes whole, so that both fit between each other. */
  send(data: string | Uint8Array<ArrayBuffer>): void {
    if (this.#writer !== null && this.#ws.readyState === this.#ws.OPEN) this.#writer.send(data);
    else this.#ws.send(data);
  }

  close(code?: number): void {
    this.#writer?.flush();
    this.#ws.close(code);
  }

  terminate(): void {
    this.#ws.terminate();
  }
}
