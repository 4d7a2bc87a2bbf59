// The logs of the embedded store: capped by entries, bytes, time without appends and one budget for all.
import { randomBytes } from 'node:crypto';
import type { SessionId } from '../../protocol/ids.js';
import { Chain, type Linked } from './chain.js';
import { parseEntryId } from './entry-id.js';
import { EntryRing, type RingEntry } from './entry-ring.js';
import {
  type AppendRequest,
  type AppendResult,
  type Channel,
  type Entry,
  type Position,
  READ_LIMIT_BYTES,
  type ReadQuery,
  type ReadResult,
  type StoreSettings,
} from './store.js';

/** Counted in the budget beside the memory of a ring: what few entries have, the sender, and what a log is of itself. */
const ENTRY_OVERHEAD_BYTES = 200;
const LOG_OVERHEAD_BYTES = 1_000;
/** The table of senders is pruned once it holds this many times the entries of a full log. */
const SENDERS_PER_ENTRY = 2;
/** Logs without entries, and senders in them, that are kept for who may still ask; about 200 bytes each. */
const EMPTY_PLACES_LIMIT = 100_000;

type Appended = { status: 'accepted'; entry: Omit<Entry, 'kept'> & { after: Position } };

/** Entries that were stored while nobody was there to read them. */
interface Kept {
  after: Position;
  last: string;
}

interface Log extends Linked<Log> {
  channel: Channel;
  epoch: string;
  entries: EntryRing;
  /** Id of the newest entry, which it outlives. */
  position: Position;
  /** Last number of each sender (0 where it has sent none), and the offset of its entry. */
  senders: Map<SessionId, { seq: number; offset: number }>;
  touchedAt: number;
  kept: Kept | null;
  /** Of the budget. */
  costBytes: number;
}

export class MemoryLogs {
  private readonly inboxes = new Map<string, Log>();
  private readonly rooms = new Map<string, Log>();
  /** Those with entries, the least recently appended first. */
  private readonly full = new Chain<Log>();
  /** Those whose entries are gone; a position in them still means something. */
  private readonly empty = new Chain<Log>();
  private emptyPlaces = 0;
  /** Of all logs with entries. */
  private costBytes = 0;

  constructor(
    private readonly settings: StoreSettings,
    private readonly now: () => number,
  ) {}

  /** How many have entries. */
  get size(): number {
    return this.full.size;
  }

  /**
   * Stores an entry, or says why not; the caller publishes it.
   * @param unread nobody is there to read it: it waits for the client
   */
  append(request: AppendRequest, unread: boolean): Exclude<AppendResult, { status: 'accepted' }> | Appended {
    const { channel, sender, seq, only, skip, body, ttlMs } = request;
    const known = this.find(channel);
    const last = known?.senders.get(sender.session);
    if (seq !== null) {
      const next = (last?.seq ?? 0) + 1;
      const expected = Math.max(next, request.first ?? 0);
      if (seq < next) return { status: 'duplicate' };
      if (seq !== expected) return { status: 'out_of_order', expected };
    }
    const log = known ?? this.begin(channel);
    this.touch(log);
    const { entries } = log;
    const now = this.now();
    const isPlain = only === null && skip.length === 0 && !unread && ttlMs === null;
    const expiresAt = ttlMs === null ? Infinity : now + ttlMs;
    // No secret: it only has to differ from what a store that lost the entry gives out at the same offset.
    const tag = Math.floor(Math.random() * 2 ** 32);
    entries.push(tag, body, isPlain ? null : { only, skip, kept: unread, expiresAt });
    if (last === undefined) log.senders.set(sender.session, { seq: seq ?? 0, offset: entries.top });
    else {
      last.seq = seq ?? last.seq;
      last.offset = entries.top;
    }
    const id = idOf(log.epoch, entries.top, tag);
    const after = log.position;
    if (unread) log.kept = { after: log.kept === null ? after : log.kept.after, last: id };
    log.position = id;
    log.touchedAt = now;
    this.trim(log);
    this.charge(log, costOf(entries));
    this.trimAll(log);
    return { status: 'accepted', entry: { id, after, only, skip, body } };
  }

  read(channel: Channel, from: ReadQuery['from'], limit: number): ReadResult {
    const log = this.find(channel);
    if (log === undefined) {
      const isKnown = 'last' in from || from.after === null;
      return isKnown ? NOTHING : { status: 'lost', position: null };
    }
    const { top, oldest } = log.entries;
    if ('last' in from) return this.entriesFrom(log, Math.max(oldest, top - from.last + 1), limit, 0);
    let offset = 0;
    if (from.after !== null) {
      const place = parseEntryId(from.after);
      if (place?.epoch !== log.epoch || place.offset > top) return { status: 'lost', position: log.position };
      offset = place.offset;
      const known = offset === top ? log.position : idAt(log, offset);
      if (known !== null && known !== from.after) return { status: 'lost', position: log.position };
    }
    const start = Math.max(offset + 1, oldest);
    return this.entriesFrom(log, start, limit, start - offset - 1);
  }

  /** Where a log stands. */
  position(channel: Channel): Position {
    return this.find(channel)?.position ?? null;
  }

  kept(channel: Channel): Kept | null {
    return this.find(channel)?.kept ?? null;
  }

  /** What was kept up to this entry has been read. */
  acknowledge(channel: Channel, id: string): void {
    const log = this.find(channel);
    if (log?.kept !== null && log?.kept.last === id) log.kept = null;
  }

  /** Forgets the entries of logs without appends for their time to live. */
  expire(): void {
    const now = this.now();
    const { logTtlMs, offlineTtlMs } = this.settings;
    let behind: Log | null;
    for (let log = this.full.first; log !== null && log.touchedAt <= now - logTtlMs; log = behind) {
      behind = log.behind;
      if (log.kept === null || log.touchedAt <= now - offlineTtlMs) this.clear(log);
    }
  }

  private find(channel: Channel): Log | undefined {
    return channel.kind === 'inbox' ? this.inboxes.get(channel.client) : this.rooms.get(channel.room);
  }

  private begin(channel: Channel): Log {
    const log = create(channel);
    if (channel.kind === 'inbox') this.inboxes.set(channel.client, log);
    else this.rooms.set(channel.room, log);
    this.full.push(log);
    return log;
  }

  /** It is about to get an entry, and is the last to go from now on. */
  private touch(log: Log): void {
    if (log.entries.count > 0 || log.position === null) {
      this.full.renew(log);
      return;
    }
    this.empty.remove(log);
    this.emptyPlaces -= placesOf(log);
    this.full.push(log);
  }

  private entriesFrom(log: Log, offset: number, limit: number, missing: number): ReadResult {
    const { entries, epoch, position } = log;
    const page = entries.page(offset, limit, READ_LIMIT_BYTES);
    const end = page.at(-1);
    const more = end !== undefined && end.offset < entries.top;
    const now = this.now();
    return {
      status: 'entries',
      missing,
      entries: page
        .filter(({ extra }) => extra === null || extra.expiresAt > now)
        .map((entry) => readable(epoch, entry)),
      more,
      position: more ? idOf(epoch, end.offset, end.tag) : position,
    };
  }

  /** One entry stays even where it alone is over the limit: it was accepted. */
  private trim({ entries, senders }: Log): void {
    const { logLimitEntries, logLimitBytes } = this.settings;
    while (entries.count > 1 && (entries.count > logLimitEntries || entries.bytes > logLimitBytes)) {
      entries.shift();
    }
    if (senders.size <= SENDERS_PER_ENTRY * logLimitEntries) return;
    for (const [sender, { offset }] of senders) {
      if (offset <= entries.top - logLimitEntries) senders.delete(sender);
    }
  }

  /** Over the budget, the logs that were quiet longest go; `current` stays. */
  private trimAll(current: Log): void {
    let behind: Log | null;
    for (let log = this.full.first; log !== null; log = behind) {
      if (this.costBytes <= this.settings.logBudgetBytes) return;
      behind = log.behind;
      if (log !== current) this.clear(log);
    }
  }

  /** The entries go; who asks for one of them is told that it is missing. */
  private clear(log: Log): void {
    this.full.remove(log);
    this.charge(log, 0);
    log.entries.clear();
    this.empty.push(log);
    this.emptyPlaces += placesOf(log);
    for (
      let oldest = this.empty.first;
      oldest !== null && this.emptyPlaces > EMPTY_PLACES_LIMIT;
      oldest = this.empty.first
    ) {
      this.forget(oldest);
    }
  }

  private forget(log: Log): void {
    const { channel } = log;
    this.empty.remove(log);
    this.emptyPlaces -= placesOf(log);
    if (channel.kind === 'inbox') this.inboxes.delete(channel.client);
    else this.rooms.delete(channel.room);
  }

  private charge(log: Log, costBytes: number): void {
    this.costBytes += costBytes - log.costBytes;
    log.costBytes = costBytes;
  }
}

function costOf({ heldBytes, count }: EntryRing): number {
  return LOG_OVERHEAD_BYTES + heldBytes + count * ENTRY_OVERHEAD_BYTES;
}

/** Null where it is not there any more. */
function idAt({ entries, epoch }: Log, offset: number): string | null {
  const tag = entries.tag(offset);
  return tag === undefined ? null : idOf(epoch, offset, tag);
}

function readable(epoch: string, { offset, tag, body, extra }: RingEntry): Entry {
  const { only = null, skip = [], kept = false } = extra ?? {};
  return { id: idOf(epoch, offset, tag), only, skip, kept, body };
}

/** What a log without entries counts; it does not change until it has entries again. */
function placesOf(log: Log): number {
  return 1 + log.senders.size;
}

const NOTHING: ReadResult = { status: 'entries', missing: 0, entries: [], more: false, position: null };

function create(channel: Channel): Log {
  return {
    channel,
    epoch: randomBytes(6).toString('base64url'),
    entries: new EntryRing(),
    position: null,
    senders: new Map(),
    touchedAt: 0,
    kept: null,
    costBytes: 0,
    before: null,
    behind: null,
  };
}

function idOf(epoch: string, offset: number, tag: number): string {
  return `${epoch}:${offset}-${tag}`;
}
