// Long polling as a connection: numbered requests, each answered with the frames since the last, or with none after a while.
import type { FrameCodec } from '../protocol/frame.js';
import { wholeFrame, type WireFrame } from '../session/connection.js';
import type { Deadline, TimerWheel } from '../session/wheel.js';
import { bodyOf } from './frame-body.js';
import { HttpConnection } from './http-connection.js';
import type { TickFlusher } from './tick-flusher.js';

export interface PollAnswer {
  body: Uint8Array;
  /** The number with which the connection ended; 0 while it goes on. */
  close: number;
}
/** `again`: a newer request took its place. `unknown`: its number is not the last or the next one. `gone`: the connection ended before. */
export type PollOutcome = PollAnswer | 'again' | 'unknown' | 'gone';

/** How long a client may be without a request before it counts as gone, ms: two round trips of a bad network. */
const ABSENCE_LIMIT_MS = 10_000;
/** How long the end waits to be asked for, ms. */
const CLOSE_TIMEOUT_MS = 5_000;
/** Of the frames of one answer; a larger frame goes alone, bytes. */
const ANSWER_LIMIT_BYTES = 256 * 1024;
const NOTHING = new Uint8Array(0);

export interface LongPollOptions {
  flusher: TickFlusher;
  wheel: Pick<TimerWheel, 'in'>;
  codec: FrameCodec;
  address: string;
  frameLimitBytes: number;
  /** Longest wait of a request, ms. */
  silenceLimitMs: number;
}

export class LongPollConnection extends HttpConnection {
  private queue: (Uint8Array | string)[] = [];
  private queueBytes = 0;
  private flushes = false;
  /** Number of the newest request that was answered. */
  private answered = 0;
  /** Its answer, which may have been lost on its way: the same number asks for it again. */
  private last: PollAnswer = { body: NOTHING, close: 0 };
  private waiting: { settle(outcome: PollOutcome): void } | null = null;
  private deadline: Deadline;

  constructor(private readonly options: LongPollOptions) {
    super(options.codec, options.address, options.frameLimitBytes);
    this.deadline = this.expectRequest();
  }

  get queuedBytes(): number {
    return this.queueBytes + this.last.body.length;
  }

  /** Calls `settle` once, at once or when there is something to say. */
  poll(number: number, settle: (outcome: PollOutcome) => void): void {
    if (this.handlers === null) {
      settle('gone');
    } else if (number === this.answered && this.answered > 0) {
      settle(this.last);
    } else if (number !== this.answered + 1) {
      settle('unknown');
    } else {
      this.waiting?.settle('again');
      this.waiting = { settle };
      this.last = { body: NOTHING, close: 0 };
      this.deadline.cancel();
      if (this.queue.length > 0 || this.closing) {
        this.flush();
        return;
      }
      this.deadline = this.options.wheel.in(this.options.silenceLimitMs, () => {
        this.answer();
      });
    }
  }

  send(wire: WireFrame): boolean {
    if (this.closing) return false;
    const frame = wholeFrame(wire);
    this.queue.push(frame);
    this.queueBytes += Buffer.byteLength(frame);
    if (this.waiting !== null && !this.flushes) {
      this.flushes = true;
      this.options.flusher.add(this);
    }
    return true;
  }

  flush(): void {
    this.flushes = false;
    if (this.waiting !== null && (this.queue.length > 0 || this.closing)) this.answer();
  }

  terminate(): void {
    this.closing = true;
    this.waiting?.settle('gone');
    this.waiting = null;
    this.deadline.cancel();
    if (this.handlers !== null) this.ended();
  }

  protected farewell(): void {
    if (this.waiting !== null) {
      this.flush();
      return;
    }
    this.deadline.cancel();
    this.deadline = this.options.wheel.in(CLOSE_TIMEOUT_MS, () => {
      this.terminate();
    });
  }

  private answer(): void {
    const { waiting } = this;
    if (waiting === null) return;
    this.waiting = null;
    this.deadline.cancel();
    const frames = this.takeBatch();
    const isLast = this.closing && this.queue.length === 0;
    this.answered++;
    this.last = { body: bodyOf(frames), close: isLast ? this.closeNumber : 0 };
    waiting.settle(this.last);
    if (isLast) this.ended();
    else this.deadline = this.expectRequest();
  }

  private takeBatch(): (Uint8Array | string)[] {
    let bytes = 0;
    let count = 0;
    for (const frame of this.queue) {
      bytes += Buffer.byteLength(frame);
      if (count > 0 && bytes > ANSWER_LIMIT_BYTES) break;
      count++;
    }
    const frames = this.queue.slice(0, count);
    this.queue = this.queue.slice(count);
    this.queueBytes = this.queue.reduce((sum, frame) => sum + Buffer.byteLength(frame), 0);
    return frames;
  }

  private expectRequest(): Deadline {
    return this.options.wheel.in(this.closing ? CLOSE_TIMEOUT_MS : ABSENCE_LIMIT_MS, () => {
      this.terminate();
    });
  }
}
