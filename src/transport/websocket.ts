// A WebSocket as a connection: bytes of `ws` on one side, frames of a session on the other.
import type { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import { CODES, type CloseCode } from '../protocol/codes.js';
import type { FrameCodec } from '../protocol/frame.js';
import type { Connection, ConnectionHandlers, WireFrame } from '../session/connection.js';
import type { TickFlusher } from './tick-flusher.js';
import { frameBytes, type Framer } from './websocket-frames.js';

export class WebSocketConnection implements Connection {
  /** Messages of this tick: mostly one, which needs no list; null while there are none. */
  private pending: WireFrame | WireFrame[] | null = null;
  private pendingBytes = 0;
  /** All of them can wait for others. */
  private canWait = false;
  private closing = false;
  private paused: { until: number; timer: NodeJS.Timeout } | null = null;

  constructor(
    private readonly ws: WebSocket,
    private readonly socket: Duplex,
    private readonly flusher: TickFlusher,
    private readonly framer: Framer,
    readonly codec: FrameCodec,
    readonly address: string,
    /** The socket holds the answer of the handshake back, so that it leaves with the first frame; ws's answer to a goodbye waits for that too. */
    private isHeld: boolean,
  ) {}

  /** Starts to hand frames to `handlers`. */
  open(handlers: ConnectionHandlers): void {
    // ws has told the peer 1002, 1007 or 1009 already, which must get out; without a listener the error would end the process.
    this.ws.on('error', () => {
      this.release();
    });
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
    return this.socket.writableLength + this.pendingBytes;
  }

  send(frame: WireFrame, canWait = false): boolean {
    if (this.closing || this.ws.readyState !== this.ws.OPEN) {
      // What ws itself has said meanwhile must get out.
      this.release();
      return false;
    }
    if (this.pending === null) {
      this.pending = frame;
      this.canWait = canWait;
      if (canWait) this.flusher.addLate(this);
      else this.flusher.add(this);
    } else {
      if (Array.isArray(this.pending)) this.pending.push(frame);
      else this.pending = [this.pending, frame];
      if (this.canWait && !canWait) {
        this.canWait = false;
        this.flusher.add(this);
      }
    }
    this.pendingBytes += frameBytes(frame);
    return true;
  }

  /**
   * Writes the messages of the tick. Straight to the socket: nothing here is compressed, fragmented or waited for, and
   * what ws itself writes (pongs, the close frame) it writes whole, so that both fit between each other.
   */
  flush(): void {
    const { pending, socket } = this;
    if (pending === null) return;
    this.pending = null;
    this.pendingBytes = 0;
    // The other side has said goodbye meanwhile.
    if (this.ws.readyState !== this.ws.OPEN) {
      this.release();
      return;
    }
    const { framer } = this;
    const chunks = Array.isArray(pending) ? framer.chunks(pending) : framer.chunksOfOne(pending);
    const [only] = chunks;
    if (chunks.length === 1) socket.write(only);
    else {
      socket.cork();
      for (const chunk of chunks) socket.write(chunk);
      socket.uncork();
    }
    this.release();
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
    this.flush();
    this.ws.close(CODES[code].close, code);
    this.release();
  }

  terminate(): void {
    this.closing = true;
    this.ws.terminate();
  }

  private release(): void {
    if (!this.isHeld) return;
    this.isHeld = false;
    this.socket.uncork();
  }

  private resume(): void {
    clearTimeout(this.paused?.timer);
    this.paused = null;
    this.ws.resume();
  }
}
