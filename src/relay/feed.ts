// One channel as this worker reads it: entries in order and without holes, whatever the fast path loses.
import { PreparedFrame } from '../session/prepared-frame.js';
import type { Session } from '../session/session.js';
import { offsetIn, parseEntryId } from '../session/store/entry-id.js';
import type { Channel, Entry, Position, ReadQuery, ReadResult } from '../session/store/store.js';
import { EVERYTHING, type FeedHost, type Found, type LiveEntry, PAGE_ENTRIES } from './feed-host.js';
import { Replay } from './replay.js';

/** Live entries that wait while the log is read; past it they are dropped and the log is read once more. */
const HELD_LIMIT_ENTRIES = 1024;
/** Wait before a read that failed is tried again, ms. */
const RETRY_MS = 250;
/** A session is told where a channel stands after so many entries that were not for it, so that its cursor stays in the log. */
const POSITION_EVERY_ENTRIES = 64;
/** Most entries skip nobody. */
const NOBODY: ReadonlySet<string> = new Set();

export class Feed {
  /** The id of the last entry that passed; undefined while nobody has said where to begin. */
  private position: Position | undefined;
  private epoch = '';
  private offset = 0;
  /** Entries that came while the log is being read, or before it is known where to begin. */
  private held: LiveEntry[] | null = [];
  /** The log is to be read once more when the read under way has come to its end. */
  private again = false;
  private reading = false;
  /** The log has lost the place where the feed stands, and it is not known yet where it begins anew: nobody can be level with it. */
  private astray = false;
  /** Sessions that read the log by themselves until they are where the feed is. */
  private replays: Map<Session, Replay> | null = null;
  /** Attaches and joins under way. */
  holds = 0;
  private closed = false;

  constructor(
    readonly channel: Channel,
    private readonly host: FeedHost,
  ) {}

  get empty(): boolean {
    if (this.holds > 0) return false;
    for (const _ of this.readers()) return false;
    return true;
  }

  close(): void {
    this.closed = true;
    for (const replay of this.replays?.values() ?? []) replay.stop();
  }

  /** What the store told: an entry of the log, or a volatile message, which has no place in it. */
  receive(entry: LiveEntry): void {
    if (entry.id === null) {
      this.deliver(entry, null, true);
    } else if (this.held !== null) {
      this.hold(entry);
    } else {
      this.advance(entry, entry.id);
    }
  }

  /** Keeps entries from a session until `enter` or `replay` says where it begins. */
  expect(session: Session): void {
    (this.replays ??= new Map()).set(session, new Replay(session, this, this.host));
  }

  /**
   * A session begins to read after `cursor`; `now` is where the log stood when it was asked, undefined where nobody asked.
   * @param keptUntil up to this entry only those are for it that were stored while nobody was there; null where all are
   */
  enter(session: Session, cursor: Position, now: Position | undefined, keptUntil: string | null): void {
    this.leave(session);
    if (keptUntil !== null) {
      this.replay(session, { after: cursor }, keptUntil);
      if (now !== undefined) this.begin(now);
    } else if (this.position !== undefined) {
      if (cursor !== this.position || this.astray) this.replay(session, { after: cursor });
    } else {
      // The first reader: what it missed is what the feed has to read.
      this.place(cursor);
      if (cursor === now) this.release();
      else void this.catchUp();
    }
  }

  /** A session reads the log by itself, from elsewhere than its cursor too. One replay of it at a time: the last asked for. */
  replay(session: Session, from: ReadQuery['from'], keptUntil: string | null = null): void {
    this.leave(session);
    const replay = new Replay(session, this, this.host);
    (this.replays ??= new Map()).set(session, replay);
    replay.start(from, keptUntil);
  }

  /** The log stands at `now` although nobody reads the feed yet. */
  begin(now: Position): void {
    if (this.position !== undefined) return;
    this.place(now);
    this.release();
  }

  leave(session: Session): void {
    this.replays?.get(session)?.stop();
    this.finished(session);
  }

  /** Entries may have been missed, or the log may be another one: nothing passes before it was read. */
  suspect(): void {
    if (this.reading) this.again = true;
    this.held ??= [];
  }

  /** Reads the log from where the feed stands. Resolves when that is done, or failed and is tried again. */
  async resync(): Promise<void> {
    this.suspect();
    if (this.position === undefined) return;
    await new Promise<void>((resolve) => {
      void this.catchUp(resolve).then(resolve);
    });
  }

  /** Where a replay that has read up to `cursor` stands to the feed. */
  compare(cursor: Position): 'behind' | 'level' | 'ahead' | 'unclear' {
    if (this.position === undefined || this.astray) return 'unclear';
    if (cursor === this.position) return 'level';
    const place = cursor === null ? null : parseEntryId(cursor);
    if (place === null) return 'behind';
    if (this.position !== null && place.epoch !== this.epoch) return 'unclear';
    return place.offset > this.offset ? 'ahead' : 'behind';
  }

  /** The replay is where the feed is: from now on the session gets what passes. */
  finished(session: Session): void {
    this.replays?.delete(session);
    if (this.replays?.size === 0) this.replays = null;
  }

  /** The frame of an entry; the same bytes for all who get it. */
  frameOf(entry: LiveEntry | Entry): PreparedFrame {
    const type = this.channel.kind === 'inbox' ? 'message' : 'roomMessage';
    return PreparedFrame.of(type, entry.id, entry.body, this.host.msgpack);
  }

  /** @param skip who is passed over; made once where many sessions are asked about */
  isFor(session: Session, entry: LiveEntry | Entry, skip: ReadonlySet<string> = skippedBy(entry)): boolean {
    const { client, session: id } = session.ref;
    if (entry.only !== null && entry.only !== id) return false;
    return skip.size === 0 || !(skip.has(client) || skip.has(`${client}#${id}`));
  }

  tellLost(session: Session): void {
    this.host.countGap('lost');
    session.send({ type: 'gap', channel: this.room, reason: 'lost', missing: null, id: null });
  }

  /** What a read did not find any more, and where the channel stands where nothing follows. */
  tellMissing(session: Session, { missing, entries, position }: Found, from: ReadQuery['from']): void {
    if (missing === 0 || !('after' in from)) return;
    this.host.countGap('trimmed');
    const id = entries.length === 0 ? position : null;
    session.send({ type: 'gap', channel: this.room, reason: 'trimmed', missing, id });
  }

  /** Moves a session's cursor past what was not for it. */
  tellPosition(session: Session, told: Position | undefined, position: Position): void {
    if (told !== position) session.send({ type: 'position', channel: this.room, id: position });
  }

  private get room(): Extract<Channel, { kind: 'room' }>['room'] | null {
    return this.channel.kind === 'room' ? this.channel.room : null;
  }

  /** A getter, because what is let go may make the feed hold again. */
  private get isHolding(): boolean {
    return this.held !== null;
  }

  private readers(): Iterable<Session> {
    const { channel, host } = this;
    return channel.kind === 'inbox'
      ? host.registry.ofClient(channel.client)
      : host.registry.inRoom(channel.room);
  }

  private place(position: Position): void {
    const place = position === null ? null : parseEntryId(position);
    this.position = position;
    this.epoch = place?.epoch ?? '';
    this.offset = place?.offset ?? 0;
  }

  private hold(entry: LiveEntry): void {
    if (this.held === null || this.held.length >= HELD_LIMIT_ENTRIES) {
      this.held = [];
      this.again = true;
    }
    this.held.push(entry);
  }

  /** Lets go what waited: the feed stands where it should, and has passed some of it already. */
  private release(): void {
    const held = this.held ?? [];
    this.held = null;
    for (const entry of held) {
      const place = entry.id === null ? null : parseEntryId(entry.id);
      const hasPassed = place !== null && place.epoch === this.epoch && place.offset <= this.offset;
      if (this.isHolding || !hasPassed) this.receive(entry);
    }
  }

  private advance(entry: LiveEntry, id: string): void {
    const offset = offsetIn(this.epoch, id);
    // The store writes no other ids; who else may write into it is not believed. Nor is the same one news.
    if ((offset === 0 && parseEntryId(id) === null) || id === this.position) return;
    const before = this.position ?? null;
    if (entry.after === before) {
      if (offset === 0) this.place(id);
      else {
        this.position = id;
        this.offset = offset;
      }
      this.deliver(entry, before, false);
    } else {
      // A hole; or an old place again: late, or of a store that has lost what stood there. The log knows.
      this.held = [entry];
      void this.catchUp();
    }
  }

  /** Reads the log from where the feed stands, gives it to all who read live, and goes on with what came meanwhile. */
  private async catchUp(failed?: () => void): Promise<void> {
    if (this.reading) return;
    this.reading = true;
    this.held ??= [];
    let from: ReadQuery['from'] = { after: this.position ?? null };
    for (;;) {
      this.host.countRead('hole');
      const result = await this.read(from, failed);
      if (result === null) {
        this.reading = false;
        return;
      }
      if (result.status === 'lost') {
        this.astray = true;
        for (const session of this.live()) this.tellLost(session);
        // What the others have been given may be lost too: they find out by themselves.
        for (const replay of this.replays?.values() ?? []) replay.askAgain();
        from = EVERYTHING;
        continue;
      }
      this.astray = false;
      for (const session of this.live()) this.tellMissing(session, result, from);
      for (const entry of result.entries) {
        const before = this.position ?? null;
        this.place(entry.id);
        this.deliver(entry, before, false);
      }
      this.place(result.position);
      if (from === EVERYTHING && result.entries.length === 0)
        for (const session of this.live()) this.tellPosition(session, undefined, result.position);
      from = { after: result.position };
      if (result.more) continue;
      if (!this.again) break;
      this.again = false;
    }
    this.reading = false;
    this.release();
    for (const replay of this.replays?.values() ?? []) replay.askAgain();
  }

  /** Null once nobody reads the feed any more. A store that does not answer is asked again. */
  private async read(from: ReadQuery['from'], failed?: () => void): Promise<ReadResult | null> {
    for (;;) {
      try {
        const result = await this.host.store.read({ channel: this.channel, from, limit: PAGE_ENTRIES });
        return this.closed ? null : result;
      } catch {
        failed?.();
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS * (0.5 + Math.random())));
        if (this.closed) return null;
      }
    }
  }

  private *live(): Iterable<Session> {
    for (const session of this.readers()) if (this.replays?.has(session) !== true) yield session;
  }

  /** To all who read live. Who reads too slowly goes on from the log, once it has read what it was sent. */
  private deliver(entry: LiveEntry | Entry, before: Position, isVolatile: boolean): void {
    let frame: PreparedFrame | null = null;
    const skip = skippedBy(entry);
    for (const session of this.readers()) {
      if (!isVolatile && this.replays?.get(session)?.covers(entry.id ?? '') === true) continue;
      if (!this.isFor(session, entry, skip)) {
        if (!isVolatile && this.offset % POSITION_EVERY_ENTRIES === 0)
          session.send({ type: 'position', channel: this.room, id: entry.id });
        continue;
      }
      frame ??= this.frameOf(entry);
      const outcome = isVolatile ? session.deliver(frame, true) : session.offer(frame);
      if (outcome === 'full') this.replay(session, { after: before });
      else this.host.count(outcome, 1);
    }
  }
}

function skippedBy({ skip }: LiveEntry | Entry): ReadonlySet<string> {
  return skip.length === 0 ? NOBODY : new Set(skip);
}
