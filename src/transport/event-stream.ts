// An event stream as a connection: one HTTP response that never ends, a frame an event (WHATWG HTML §9.2).
import type { ServerResponse } from 'node:http';
import type { CloseCode } from '../protocol/codes.js';
import type { FrameCodec } from '../protocol/frame.js';
import type { TimerWheel } from '../session/wheel.js';
import { wholeFrame, type WireFrame } from '../session/connection.js';
import { oneLine } from './frame-body.js';
import { HttpConnection } from './http-connection.js';
import type { TickFlusher } from './tick-flusher.js';

/**
 * `no-transform` and the type keep proxies from compressing, `X-Accel-Buffering` keeps nginx from collecting: each would hold
 * events back. No `Connection` field: that is for each hop to say.
 */
export const STREAM_HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
  'X-Content-Type-Options': 'nosniff',
} as const;

/** How long a client may take to read the end of its stream, ms. */
const CLOSE_TIMEOUT_MS = 5_000;
const COMMENT = ':\n\n';

export interface EventStreamOptions {
  response: ServerResponse;
  flusher: TickFlusher;
  wheel: Pick<TimerWheel, 'in'>;
  codec: FrameCodec;
  address: string;
  frameLimitBytes: number;
  /** Longest silence of the stream, ms. */
  silenceLimitMs: number;
}

export class EventStreamConnection extends HttpConnection {
  private pending = '';
  private wrote = false;
  private readonly response: ServerResponse;

  constructor(private readonly options: EventStreamOptions) {
    super(options.codec, options.address, options.frameLimitBytes);
    const { response } = options;
    this.response = response;
    response.on('error', ignore);
    response.on('close', () => {
      this.ended();
    });
    this.beat();
  }

  get queuedBytes(): number {
    return this.response.writableLength + this.pending.length;
  }

  send(frame: WireFrame): boolean {
    return this.write(`data: ${this.textOf(wholeFrame(frame))}\n\n`);
  }

  /** An event of the transport itself. `data` has no ends of lines. */
  tell(event: string, data: string): void {
    this.write(`event: ${event}\ndata: ${data}\n\n`);
  }

  flush(): void {
    const { pending } = this;
    if (pending === '' || this.response.destroyed) return;
    this.pending = '';
    this.wrote = true;
    this.response.write(pending);
  }

  terminate(): void {
    this.closing = true;
    this.response.destroy();
  }

  protected textOf(frame: Uint8Array | string): string {
    if (typeof frame === 'string') return oneLine(frame);
    return Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength).toString('base64');
  }

  protected write(block: string): boolean {
    if (this.closing || this.response.destroyed) return false;
    if (this.pending === '') this.options.flusher.add(this);
    this.pending += block;
    return true;
  }

  protected farewell(number: number, code: CloseCode): void {
    const { response } = this;
    this.pending += `event: close\ndata: ${JSON.stringify({ close: number, code })}\n\n`;
    this.flush();
    response.end();
    this.options.wheel.in(CLOSE_TIMEOUT_MS, () => {
      response.destroy();
    });
  }

  /** Proxies cut what is silent, and a client that vanished shows only when something is written. */
  private beat(): void {
    // Twice as often: what was written right after a beat is only missed at the second one.
    this.options.wheel.in(this.options.silenceLimitMs / 2, () => {
      if (this.closing) return;
      // What waits for a client that does not read is no silence.
      if (!this.wrote && this.response.writableLength === 0) this.response.write(COMMENT);
      this.wrote = false;
      this.beat();
    });
  }
}

function ignore(): void {
  // The response is destroyed, and tells so by `close`.
}
