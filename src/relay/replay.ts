// One session on its way through the log of a channel until it is where the others are, no faster than it reads.
import type { PreparedFrame } from '../session/prepared-frame.js';
import type { Session } from '../session/session.js';
import { parseEntryId } from '../session/store/entry-id.js';
import type { Channel, Entry, Position, ReadQuery, ReadResult } from '../session/store/store.js';
import { EVERYTHING, type FeedHost, type Found, PAGE_ENTRIES } from './feed-host.js';

/** How long a session may read nothing of what it was sent, ms: longer, and its network is gone or its program hangs. */
const STALLED_LIMIT_MS = 10_000;
/** Pause between two looks at a session that reads slowly, or at a store that does not answer, ms. */
const LOOK_AGAIN_MS = 100;

/** The feed that a replay wants to reach. */
export interface Followed {
  readonly channel: Channel;
  compare(cursor: Position): 'behind' | 'level' | 'ahead' | 'unclear';
  finished(session: Session): void;
  frameOf(entry: Entry): PreparedFrame;
  isFor(session: Session, entry: Entry): boolean;
  tellLost(session: Session): void;
  tellMissing(session: Session, found: Found, from: ReadQuery['from']): void;
  tellPosition(session: Session, told: Position, position: Position): void;
}

export class Replay {
  private stopped = false;
  /** Where the session thinks that the channel stands. */
  private told: Position = null;
  /** Offset of the last entry that the session has got, while the feed is still behind it. */
  private aheadUntil: number | null = null;

  constructor(
    private readonly session: Session,
    private readonly feed: Followed,
    private readonly host: FeedHost,
  ) {}

  stop(): void {
    this.stopped = true;
  }

  /** Whether the entry that passes the feed now is not for the feed to give: the replay gives it, or has. */
  covers(offset: number): boolean {
    if (this.aheadUntil === null) return true;
    if (offset >= this.aheadUntil) this.feed.finished(this.session);
    return offset <= this.aheadUntil;
  }

  /** Goes on reading where it had come to an end, ahead of the feed. */
  resume(): void {
    if (this.aheadUntil === null) return;
    this.aheadUntil = null;
    this.start({ after: this.told }, null);
  }

  start(from: ReadQuery['from'], keptUntil: string | null): void {
    void this.run(from, keptUntil === null ? 0 : (parseEntryId(keptUntil)?.offset ?? 0));
  }

  /** @param keptUntil up to this offset only entries that were stored while nobody was there */
  private async run(from: ReadQuery['from'], keptUntil: number): Promise<void> {
    const { session, feed } = this;
    if ('after' in from) this.told = from.after;
    let next = from;
    for (;;) {
      await this.room();
      const result = await this.read(next);
      if (result === null) return;
      if (result.status === 'lost') {
        feed.tellLost(session);
        next = EVERYTHING;
        continue;
      }
      feed.tellMissing(session, result, next);
      const { entries } = result;
      const given = this.give(entries, keptUntil);
      if (given < entries.length) {
        // It reads more slowly than the page was long: the rest is read again.
        const last = entries[given - 1];
        if (last !== undefined) next = { after: last.id };
        continue;
      }
      next = { after: result.position };
      if (result.more) continue;
      feed.tellPosition(session, this.told, result.position);
      this.told = result.position;
      if (this.isDone(result.position)) return;
      if (feed.compare(result.position) === 'unclear') await pause();
    }
  }

  /** @returns how many of the entries the session took, or did not need */
  private give(entries: readonly Entry[], keptUntil: number): number {
    const { session, feed, host } = this;
    for (const [at, entry] of entries.entries()) {
      const isOld = keptUntil > 0 && !entry.kept && (parseEntryId(entry.id)?.offset ?? 0) <= keptUntil;
      if (isOld || !feed.isFor(session, entry)) continue;
      const outcome = session.offer(feed.frameOf(entry));
      if (outcome === 'full') return at;
      host.count(outcome, 1);
      this.told = entry.id;
    }
    return entries.length;
  }

  private isDone(position: Position): boolean {
    const place = this.feed.compare(position);
    if (place === 'level') this.feed.finished(this.session);
    // The feed has not come so far yet; what it will pass the session has already.
    else if (place === 'ahead' && position !== null) this.aheadUntil = parseEntryId(position)?.offset ?? null;
    else return false;
    return true;
  }

  private async read(from: ReadQuery['from']): Promise<ReadResult | null> {
    for (;;) {
      if (this.stopped) return null;
      try {
        this.host.countRead('replay');
        const result = await this.host.store.read({
          channel: this.feed.channel,
          from,
          limit: PAGE_ENTRIES,
        });
        return this.isOver() ? null : result;
      } catch {
        await pause();
      }
    }
  }

  /** Resolves when the session has read enough of what it was sent; one that does not is closed. */
  private async room(): Promise<void> {
    const { session } = this;
    let least = session.connection.queuedBytes;
    let since = performance.now();
    while (!this.stopped && !session.hasRoom) {
      await pause();
      const queued = session.connection.queuedBytes;
      if (queued < least) {
        least = queued;
        since = performance.now();
      } else if (performance.now() - since > STALLED_LIMIT_MS) {
        session.connection.close('slow_consumer');
        return;
      }
    }
  }

  private isOver(): boolean {
    return this.stopped;
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
}
