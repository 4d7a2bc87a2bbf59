// How much of what a reader allows is passed on to who writes: as much as the reader's connection has room for, and the rest as it drains.
import { STREAM_CHUNK_COST_BYTES, STREAM_CHUNK_LIMIT_BYTES } from '../protocol/limits.js';
import type { TimerWheel } from '../session/wheel.js';
import type { End } from './stream-ends.js';

/** A connection that has not drained with its tick is looked at again after this time, ms. */
const LOOK_AGAIN_MS = 50;
/** What the largest chunk counts: so much is always told, or a stream would stand still, bytes. */
const LARGEST_COST_BYTES = STREAM_CHUNK_LIMIT_BYTES + STREAM_CHUNK_COST_BYTES;
/** An outbox that holds no more has drained: what is said of streams, and of this and that, bytes. */
const DRAINED_BYTES = 1024;

export interface StreamCreditOptions {
  wheel: TimerWheel;
  /** What a connection's outbox holds; chunks are dropped from half of it on, as all that is volatile. */
  outboxLimitBytes: number;
  /** Whether the end is still held. */
  isHeld: (end: End) => boolean;
  /** Tells the other end that it may send up to `end.told`. */
  pass: (end: End) => void;
}

/**
 * A reader allows what it has memory for itself, and says so again when it has taken a good part of that. The outbox of its connection may have
 * room for less: beyond it a chunk would be dropped, and everything behind it sent again. So the writer is told less, and the rest as soon as what
 * came has left the outbox: if it waited for the reader's next word instead, both would wait for each other wherever less is
 * on its way than makes the reader speak.
 */
export class StreamCredit {
  /** Above it chunks are dropped. */
  private readonly halfBytes: number;
  /** The other end is told more where no more than this waits: little by little only where it has to be. */
  private readonly drainedBytes: number;
  /** The other end is told more when less than this is left of what it was told. */
  private readonly shortBytes: number;
  /** Of these the other end is to be told more, if what was written in this tick has left with it. */
  private readonly fresh = new Set<End>();
  /** And of these as soon as there is room. */
  private readonly waiting = new Set<End>();
  private isLooking = false;

  constructor(private readonly options: StreamCreditOptions) {
    this.halfBytes = options.outboxLimitBytes / 2;
    this.drainedBytes = Math.max(
      Math.min(this.halfBytes / 2, this.halfBytes - LARGEST_COST_BYTES),
      DRAINED_BYTES,
    );
    this.shortBytes = Math.max(this.halfBytes / 2, LARGEST_COST_BYTES);
  }

  /** The session has everything up to there, and allows more; returns what of that the other end is told now. */
  heard(end: End, upTo: number, limit: number): number {
    end.upTo = upTo;
    end.given = Math.max(end.given, upTo);
    end.allowed = Math.max(end.allowed, limit);
    end.told = this.limitOf(end);
    // What waits in the outbox may be another stream's: then nothing of this one leaves it that would tell the rest.
    if (this.isShort(end)) this.tellSoon(end);
    return end.told;
  }

  /** A chunk was handed to the session's connection. */
  gave(end: End, offset: number, after: number): void {
    // Behind a gap it is of no use, and comes again.
    if (offset <= end.given) end.given = Math.max(end.given, after);
    if (this.isShort(end)) this.tellSoon(end);
  }

  /** Those that wait for a connection that does not drain hold up no others. */
  private tellSoon(end: End): void {
    // What is written in this tick leaves at its end.
    if (this.fresh.size === 0)
      setImmediate(() => {
        const ends = [...this.fresh];
        this.fresh.clear();
        for (const each of ends) this.tell(each);
        this.lookAgain();
      });
    this.fresh.add(end);
  }

  private tell(end: End): void {
    if (this.options.isHeld(end) && this.isShort(end)) {
      if (end.session.connection.queuedBytes > this.drainedBytes) {
        this.waiting.add(end);
        return;
      }
      end.told = this.limitOf(end);
      this.options.pass(end);
    }
    this.waiting.delete(end);
  }

  private lookAgain(): void {
    if (this.isLooking || this.waiting.size === 0) return;
    this.isLooking = true;
    this.options.wheel.in(LOOK_AGAIN_MS, () => {
      this.isLooking = false;
      for (const end of this.waiting) this.tell(end);
      this.lookAgain();
    });
  }

  /** Whether the other end may soon have to wait for what the reader allows already. */
  private isShort({ told, allowed, given }: End): boolean {
    return told < allowed && told - given < this.shortBytes;
  }

  private limitOf({ session, upTo, given, allowed, told }: End): number {
    const { queuedBytes } = session.connection;
    const free = Math.max(
      this.halfBytes - queuedBytes,
      queuedBytes > this.drainedBytes ? 0 : LARGEST_COST_BYTES,
    );
    // Of what the reader says that it has, nothing waits here.
    const has = Math.max(this.halfBytes, LARGEST_COST_BYTES);
    const limit = Math.max(given + free, upTo + has);
    return Math.max(told, Math.min(allowed, limit));
  }
}
