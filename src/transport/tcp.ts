// A TCP socket as a connection: records both ways, each a frame.
import type { Socket } from 'node:net';
import { CODES, type CloseCode } from '../protocol/codes.js';
import type { FrameCodec } from '../protocol/frame.js';
import { closeRecord } from '../protocol/records.js';
import type { Connection, ConnectionHandlers, WireFrame } from '../session/connection.js';
import { recordBytes, recordChunks, type TcpRecord } from './tcp-records.js';
import type { TickFlusher } from './tick-flusher.js';

/** How long a client may take to read the end, ms. */
const CLOSE_TIMEOUT_MS = 5_000;

export class TcpConnection implements Connection {
  private pending: TcpRecord[] = [];
  private pendingBytes = 0;
  private closing = false;
  private closeNumber = 1006;
  private paused: { until: number; timer: NodeJS.Timeout } | null = null;
  private handlers: ConnectionHandlers | null = null;

  constructor(
    private readonly socket: Socket,
    private readonly flusher: TickFlusher,
    readonly codec: FrameCodec,
    readonly address: string,
  ) {}

  open(handlers: ConnectionHandlers): void {
    this.handlers = handlers;
    this.socket.once('close', () => {
      this.closing = true;
      clearTimeout(this.paused?.timer);
      handlers.closed(this.closeNumber);
    });
  }

  /** A record of the client. */
  receive(record: Uint8Array): void {
    if (this.closing) return;
    const { buffer, byteOffset, byteLength } = record;
    this.handlers?.frame(
      this.codec.binary ? record : Buffer.from(buffer, byteOffset, byteLength).toString('utf8'),
    );
  }

  /** The client says that it ends, and how. */
  farewell(number: number): void {
    if (!this.closing) this.closeNumber = number;
    this.closing = true;
    this.socket.end();
  }

  get queuedBytes(): number {
    return this.socket.writableLength + this.pendingBytes;
  }

  send(frame: WireFrame): boolean {
    if (this.closing || this.socket.destroyed) return false;
    const record = typeof frame === 'string' ? Buffer.from(frame) : frame;
    if (this.pending.length === 0) this.flusher.add(this);
    this.pending.push(record);
    this.pendingBytes += recordBytes(record);
    return true;
  }

  flush(): void {
    const { pending, socket } = this;
    if (pending.length === 0) return;
    this.pending = [];
    this.pendingBytes = 0;
    if (!socket.writable) return;
    const chunks = recordChunks(pending);
    if (chunks.length > 1) socket.cork();
    for (const chunk of chunks) socket.write(chunk);
    if (chunks.length > 1) socket.uncork();
  }

  pause(ms: number): void {
    if (this.closing) return;
    const until = performance.now() + ms;
    if (this.paused !== null && this.paused.until >= until) return;
    this.socket.pause();
    clearTimeout(this.paused?.timer);
    const timer = setTimeout(() => {
      this.paused = null;
      this.socket.resume();
    }, ms).unref();
    this.paused = { until, timer };
  }

  close(code: CloseCode): void {
    if (this.closing) return;
    this.closing = true;
    this.closeNumber = CODES[code].close;
    clearTimeout(this.paused?.timer);
    // What still comes is read and ignored: unread bytes would make the end a reset, and the number would be lost.
    this.socket.resume();
    this.flush();
    this.socket.end(closeRecord(this.closeNumber));
    setTimeout(() => this.socket.destroy(), CLOSE_TIMEOUT_MS).unref();
  }

  terminate(): void {
    this.closing = true;
    this.socket.destroy();
  }
}
