// A connection over HTTP as the worker that holds it sees it: frames come by POST, whatever carries those to the client.
import { CODES, type CloseCode } from '../protocol/codes.js';
import type { FrameCodec } from '../protocol/frame.js';
import type { Connection, ConnectionHandlers, WireFrame } from '../session/connection.js';
import { framesOf } from './frame-body.js';
import { PostInbox, type PostOutcome } from './post-inbox.js';

/** Largest frames of POSTs that wait for an earlier one, in frames of the largest size. */
const AHEAD_FRAMES = 2;

export abstract class HttpConnection implements Connection {
  protected handlers: ConnectionHandlers | null = null;
  protected closing = false;
  /** The number with which it ends, once that is known. */
  closeNumber = 1006;
  private readonly inbox: PostInbox;

  constructor(
    readonly codec: FrameCodec,
    readonly address: string,
    private readonly frameLimitBytes: number,
  ) {
    this.inbox = new PostInbox((body) => {
      this.take(body);
    }, AHEAD_FRAMES * frameLimitBytes);
  }

  /** Bytes that the client has not taken yet. */
  abstract get queuedBytes(): number;
  abstract send(frame: WireFrame): boolean;
  abstract terminate(): void;
  /** Tells the client the number of `close`, and ends. */
  protected abstract farewell(number: number, code: CloseCode): void;

  /** Starts to hand frames to `handlers`. */
  open(handlers: ConnectionHandlers): void {
    this.handlers = handlers;
  }

  post(number: number, body: Uint8Array, settle: (outcome: PostOutcome) => void): void {
    this.inbox.receive(number, body, settle);
  }

  pause(ms: number): void {
    this.inbox.pause(ms);
  }

  close(code: CloseCode): void {
    if (this.closing) return;
    this.closing = true;
    this.closeNumber = CODES[code].close;
    this.inbox.end();
    this.farewell(this.closeNumber, code);
  }

  /** Once, when nothing more goes to the client. */
  protected ended(): void {
    this.closing = true;
    this.inbox.end();
    const { handlers } = this;
    this.handlers = null;
    handlers?.closed(this.closeNumber);
  }

  private take(body: Uint8Array): void {
    const frames = framesOf(body, this.codec.binary);
    if (frames === null) {
      this.close('bad_frame');
      return;
    }
    for (const frame of frames) {
      if (this.closing) return;
      if (Buffer.byteLength(frame) > this.frameLimitBytes) this.close('too_big');
      else this.handlers?.frame(frame);
    }
  }
}
