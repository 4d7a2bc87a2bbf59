// The readers of a stream to several: what all of them have, and what the slowest of them allows.
import { STREAM_CHUNK_COST_BYTES, STREAM_CHUNK_LIMIT_BYTES } from '../protocol/limits.js';
import type { SessionId } from '../protocol/ids.js';
import type { Deadline, TimerWheel } from '../session/wheel.js';
import type { Peer } from './stream-peer.js';

export interface Reader extends Peer {
  upTo: number;
  limit: number;
}

/** Where a stream goes on without its slow readers: so long one may hold up the others, ms. */
export const SLOW_READER_MS = 2_000;
/** Who takes at least this much in that time is not slow, though a faster writer always waits for the last of its readers, bytes. */
export const SLOW_READER_BYTES = 256 * 1024;
/** How often it looks for them, ms. */
const LOOK_EVERY_MS = 500;
/** After the opener came back on another worker: so long its readers may take to say where they stand, ms. */
export const GATHER_MS = 4_000;
/** Most readers of one stream in the memory of its opener's worker, about 300 bytes each. */
export const READERS_LIMIT = 10_000;

export interface ReaderGroupOptions {
  drop: boolean;
  /** The opener came back: its readers are there already, and say where they stand. */
  gathers: boolean;
  wheel: TimerWheel;
  /** What all have, or may be sent, has changed, or the opener has asked for it and all have said it. */
  changed: () => void;
  /** The stream goes on without this reader. */
  tooSlow: (reader: Reader) => void;
}

export class ReaderGroup {
  private readonly readers = new Map<SessionId, Reader>();
  private deadline: Deadline;
  private blockedMs = 0;
  /** What all readers allowed when they began to hold up the opener. */
  private blockedAt = 0;
  private isGathering: boolean;
  private isClosed = false;
  /** What all readers have. */
  upTo = 0;
  /** Up to where all readers take more. */
  limit = 0;
  /** How many readers have no more than that, and may be sent no more: while there are some, nothing has changed for the opener. */
  private atUpTo = 0;
  private atLimit = 0;
  /** Up to where the opener has sent. */
  private sent = 0;
  /** Readers that have not answered the opener's last question yet; null where it waits for no answer. */
  private asked: Set<SessionId> | null = null;

  constructor(private readonly options: ReaderGroupOptions) {
    this.isGathering = options.gathers;
    this.deadline = options.wheel.in(options.gathers ? GATHER_MS : LOOK_EVERY_MS, () => {
      this.look();
    });
  }

  get size(): number {
    return this.readers.size;
  }
  /** Who reads has everything from the beginning: nobody comes in later. */
  get takesReaders(): boolean {
    return (this.isGathering || this.sent === 0) && this.readers.size < READERS_LIMIT;
  }
  get gathers(): boolean {
    return this.isGathering;
  }

  get(session: SessionId): Reader | undefined {
    return this.readers.get(session);
  }
  all(): Iterable<Reader> {
    return this.readers.values();
  }

  add(reader: Reader): void {
    this.readers.set(reader.session, reader);
    if (this.readers.size === 1 || reader.upTo < this.upTo || reader.limit < this.limit) this.count();
    else this.weigh(reader, 1);
  }

  remove(session: SessionId): void {
    const reader = this.readers.get(session);
    if (reader === undefined) return;
    this.readers.delete(session);
    this.weigh(reader, -1);
    this.countIfNew();
    this.answered(session);
  }

  heard(reader: Reader, upTo: number, limit: number): void {
    this.weigh(reader, -1);
    reader.upTo = Math.max(reader.upTo, upTo);
    reader.limit = Math.max(reader.limit, limit);
    this.weigh(reader, 1);
    this.countIfNew();
    this.answered(reader.session);
  }

  /** The opener waits to be told where its readers stand, also where that is not new: something on its way may be lost. */
  ask(): void {
    if (this.readers.size > 0) this.asked = new Set(this.readers.keys());
  }

  passed(offset: number): void {
    this.sent = Math.max(this.sent, offset);
  }

  close(): void {
    this.isClosed = true;
    this.deadline.cancel();
  }

  private answered(session: SessionId): void {
    if (this.asked?.delete(session) !== true || this.asked.size > 0) return;
    this.asked = null;
    if (!this.isGathering && !this.isClosed && this.readers.size > 0) this.options.changed();
  }

  private weigh({ upTo, limit }: Reader, by: 1 | -1): void {
    if (upTo === this.upTo) this.atUpTo += by;
    if (limit === this.limit) this.atLimit += by;
  }

  /** Only the slowest decide: looking at all readers for each of them would be work that grows with their square. */
  private countIfNew(): void {
    if (this.atUpTo === 0 || this.atLimit === 0) this.count();
  }

  private count(): void {
    if (this.isGathering || this.isClosed || this.readers.size === 0) return;
    const { upTo, limit } = this;
    this.upTo = this.limit = Infinity;
    for (const reader of this.readers.values()) {
      this.upTo = Math.min(this.upTo, reader.upTo);
      this.limit = Math.min(this.limit, reader.limit);
    }
    this.atUpTo = this.atLimit = 0;
    for (const reader of this.readers.values()) this.weigh(reader, 1);
    if (upTo !== this.upTo || limit !== this.limit) this.options.changed();
  }

  private look(): void {
    if (this.isGathering) {
      this.isGathering = false;
      this.count();
    }
    const isBlocked =
      this.sent > 0 && this.limit - this.sent < STREAM_CHUNK_LIMIT_BYTES + STREAM_CHUNK_COST_BYTES;
    // Where all are as slow nobody is held up, and what has been is no fault of those who move last.
    const holdsUp = this.atLimit < this.readers.size;
    if (isBlocked && holdsUp && this.limit - this.blockedAt < SLOW_READER_BYTES)
      this.blockedMs += LOOK_EVERY_MS;
    else {
      this.blockedMs = 0;
      this.blockedAt = this.limit;
    }
    if (this.options.drop && this.blockedMs >= SLOW_READER_MS) this.dropSlow();
    if (!this.isClosed)
      this.deadline = this.options.wheel.in(LOOK_EVERY_MS, () => {
        this.look();
      });
  }

  /** Those who hold up others. */
  private dropSlow(): void {
    const { limit } = this;
    for (const reader of [...this.readers.values()]) if (reader.limit === limit) this.options.tooSlow(reader);
    this.blockedMs = 0;
  }
}
