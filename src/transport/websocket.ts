// A WebSocket as a connection: bytes of `ws` on one side, frames of a session on the other.
import type { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import { CODES, type CloseCode } from '../protocol/codes.js';
import type { FrameCodec } from '../protocol/frame.js';
import type { Connection, ConnectionHandlers } from '../session/connection.js';
import type { TickFlusher } from './tick-flusher.js';

export class WebSocketConnection implements Connection {
  private readonly corked = { value: false };
  private closing = false;
  private paused: { until: number; timer: NodeJS.Timeout } | null = null;

  constructor(
    private readonly ws: WebSocket,
    private readonly socket: Duplex,
    private readonly flusher: TickFlusher,
    readonly codec: FrameCodec,
    readonly address: string,
  ) {}

  /** Starts to hand frames to `handlers`. */
  open(handlers: ConnectionHandlers): void {
    this.ws.on('error', ignore);
    this.ws.on('message', (data: RawData, isBinary: boolean) => {
      if (this.closing) return;
      if (isBinary !== this.codec.binary) {
        this.close('wrong_data_type');
        return;
      }
      // `nodebuffer`, the default binaryType, makes every message one Buffer.
      const bytes = data as Buffer;
      handlers.frame(isBinary ? bytes : bytes.toString('utf8'));
    });
    this.ws.on('close', (number: number) => {
      this.closing = true;
      handlers.closed(number === 1005 ? 1000 : number);
    });
  }

  get queuedBytes(): number {
    return this.socket.writableLength;
  }

  send(frame: Uint8Array | string): boolean {
    if (this.closing) return false;
    if (!this.corked.value) {
      this.corked.value = true;
      this.flusher.cork(this.socket, this.corked);
    }
    this.ws.send(frame);
    return true;
  }

  pause(ms: number): void {
    if (this.closing) return;
    const until = performance.now() + ms;
    // Frames that were read before still come in; whoever of them owes most says how long the pause is.
    if (this.paused !== null && this.paused.until >= until) return;
    this.ws.pause();
    clearTimeout(this.paused?.timer);
    const timer = setTimeout(() => {
      this.resume();
    }, ms).unref();
    this.paused = { until, timer };
  }

  close(code: CloseCode): void {
    if (this.closing) return;
    this.closing = true;
    this.resume();
    this.ws.close(CODES[code].close, code);
  }

  terminate(): void {
    this.closing = true;
    this.ws.terminate();
  }

  private resume(): void {
    clearTimeout(this.paused?.timer);
    this.paused = null;
    this.ws.resume();
  }
}

/** ws has told the peer 1002, 1007 or 1009 already; without a listener the error would end the process. */
function ignore(): void {
  // Nothing is left to do.
}
