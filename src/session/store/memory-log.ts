// The logs of the embedded store: capped by entries, bytes, time without appends and one budget for all.
import { randomBytes } from 'node:crypto';
import type { SessionId } from '../../protocol/ids.js';
import { parseEntryId } from './entry-id.js';
import {
  type AppendRequest,
  type AppendResult,
  type Entry,
  type Position,
  READ_LIMIT_BYTES,
  type ReadQuery,
  type ReadResult,
  type StoreSettings,
} from './store.js';

/** Counted in the budget beside the body of each entry: object, id, array slot. */
const ENTRY_OVERHEAD_BYTES = 200;
/** The table of senders is pruned once it holds this many times the entries of a full log. */
const SENDERS_PER_ENTRY = 2;
/** Logs without entries, and senders in them, that are kept for who may still ask; about 200 bytes each. */
const EMPTY_PLACES_LIMIT = 100_000;

/** Up to this length a body is kept as a string of a character for each byte, bytes. */
const TEXT_LIMIT_BYTES = 4096;

/** Small bodies as strings: bytes of their own cost V8 several times as much to make, to hold and to collect. */
type StoredEntry = Omit<Entry, 'body'> & { body: string | Uint8Array; expiresAt: number };

type Appended = { status: 'accepted'; entry: Omit<Entry, 'kept'> & { after: Position } };

/** Entries that were stored while nobody was there to read them. */
interface Kept {
  after: Position;
  last: string;
}

interface Log {
  epoch: string;
  /** Offset of the newest entry; the oldest kept is `top - entries.length + 1`. */
  top: number;
  /** Id of the newest entry, which it outlives. */
  position: Position;
  entries: StoredEntry[];
  bytes: number;
  /** Last number of each sender (0 where it has sent none), and the offset of its entry. */
  senders: Map<SessionId, { seq: number; offset: number }>;
  touchedAt: number;
  kept: Kept | null;
}

export class MemoryLogs {
  /** The least recently appended first. */
  private readonly logs = new Map<string, Log>();
  /** Those whose entries are gone; a position in them still means something. */
  private readonly empty = new Map<string, Log>();
  private emptyPlaces = 0;
  private bytes = 0;
  private entries = 0;

  constructor(
    private readonly settings: StoreSettings,
    private readonly now: () => number,
  ) {}

  get size(): number {
    return this.logs.size;
  }

  /**
   * Stores an entry, or says why not; the caller publishes it.
   * @param unread nobody is there to read it: it waits for the client
   */
  append(
    key: string,
    request: AppendRequest,
    unread: boolean,
  ): Exclude<AppendResult, { status: 'accepted' }> | Appended {
    const { sender, seq, only, skip, body, ttlMs } = request;
    const log = this.find(key) ?? create();
    const last = log.senders.get(sender.session)?.seq ?? 0;
    if (seq !== null) {
      const next = last + 1;
      const expected = Math.max(next, request.first ?? 0);
      if (seq < next) return { status: 'duplicate' };
      if (seq !== expected) return { status: 'out_of_order', expected };
    }
    this.forget(key);
    log.top++;
    log.senders.set(sender.session, { seq: seq ?? last, offset: log.top });
    const now = this.now();
    const entry: StoredEntry = {
      id: idOf(log.epoch, log.top),
      only,
      skip,
      kept: unread,
      body: stored(body),
      expiresAt: ttlMs === null ? Infinity : now + ttlMs,
    };
    if (unread) log.kept = { after: log.kept === null ? log.position : log.kept.after, last: entry.id };
    const after = log.position;
    log.position = entry.id;
    log.entries.push(entry);
    this.grow(log, 1, body.length);
    log.touchedAt = now;
    this.logs.delete(key);
    this.logs.set(key, log);
    this.trim(log);
    this.trimAll(log);
    return { status: 'accepted', entry: { id: entry.id, after, only, skip, body } };
  }

  read(key: string, from: ReadQuery['from'], limit: number): ReadResult {
    const log = this.find(key);
    if (log === undefined) {
      const isKnown = 'last' in from || from.after === null;
      return isKnown ? NOTHING : { status: 'lost', position: null };
    }
    const oldest = log.top - log.entries.length + 1;
    if ('last' in from) return this.entriesFrom(log, Math.max(oldest, log.top - from.last + 1), limit, 0);
    let offset = 0;
    if (from.after !== null) {
      const place = parseEntryId(from.after);
      if (place?.epoch !== log.epoch || place.offset > log.top)
        return { status: 'lost', position: log.position };
      offset = place.offset;
      const known = offset === log.top ? log.position : log.entries[offset - oldest]?.id;
      if (known !== undefined && known !== from.after) return { status: 'lost', position: log.position };
    }
    const start = Math.max(offset + 1, oldest);
    return this.entriesFrom(log, start, limit, start - offset - 1);
  }

  /** Where a log stands. */
  position(key: string): Position {
    return this.find(key)?.position ?? null;
  }

  kept(key: string): Kept | null {
    return this.find(key)?.kept ?? null;
  }

  /** What was kept up to this entry has been read. */
  acknowledge(key: string, id: string): void {
    const log = this.find(key);
    if (log?.kept !== null && log?.kept.last === id) log.kept = null;
  }

  /** Forgets the entries of logs without appends for their time to live. */
  expire(): void {
    const now = this.now();
    const { logTtlMs, offlineTtlMs } = this.settings;
    for (const [key, log] of this.logs) {
      if (log.touchedAt > now - logTtlMs) return;
      if (log.kept === null || log.touchedAt <= now - offlineTtlMs) this.clear(key, log);
    }
  }

  private find(key: string): Log | undefined {
    return this.logs.get(key) ?? this.empty.get(key);
  }

  private entriesFrom(log: Log, offset: number, limit: number, missing: number): ReadResult {
    const start = offset - (log.top - log.entries.length + 1);
    let [end, bytes] = [start, 0];
    for (; end < Math.min(start + limit, log.entries.length); end++) {
      bytes += log.entries[end]?.body.length ?? 0;
      if (end > start && bytes > READ_LIMIT_BYTES) break;
    }
    const page = log.entries.slice(start, end);
    const now = this.now();
    return {
      status: 'entries',
      missing,
      entries: page.filter(({ expiresAt }) => expiresAt > now).map(readable),
      more: end < log.entries.length,
      position: page.at(-1)?.id ?? log.position,
    };
  }

  /** One entry stays even where it alone is over the limit: it was accepted. */
  private trim(log: Log): void {
    const { logLimitEntries, logLimitBytes } = this.settings;
    while (log.entries.length > 1 && (log.entries.length > logLimitEntries || log.bytes > logLimitBytes)) {
      this.grow(log, -1, -(log.entries.shift()?.body.length ?? 0));
    }
    if (log.senders.size <= SENDERS_PER_ENTRY * logLimitEntries) return;
    for (const [sender, { offset }] of log.senders) {
      if (offset <= log.top - logLimitEntries) log.senders.delete(sender);
    }
  }

  /** Over the budget, the logs that were quiet longest go; `current` stays. */
  private trimAll(current: Log): void {
    for (const [key, log] of this.logs) {
      if (this.bytes + this.entries * ENTRY_OVERHEAD_BYTES <= this.settings.logBudgetBytes) return;
      if (log !== current) this.clear(key, log);
    }
  }

  /** The entries go; who asks for one of them is told that it is missing. */
  private clear(key: string, log: Log): void {
    this.logs.delete(key);
    this.grow(log, -log.entries.length, -log.bytes);
    log.entries = [];
    this.empty.set(key, log);
    this.emptyPlaces += placesOf(log);
    for (const oldest of this.empty.keys()) {
      if (this.emptyPlaces <= EMPTY_PLACES_LIMIT) return;
      this.forget(oldest);
    }
  }

  private forget(key: string): void {
    const log = this.empty.get(key);
    if (log === undefined) return;
    this.empty.delete(key);
    this.emptyPlaces -= placesOf(log);
  }

  private grow(log: Log, entries: number, bytes: number): void {
    log.bytes += bytes;
    this.bytes += bytes;
    this.entries += entries;
  }
}

/** A copy: the bytes came in a larger buffer that must not live as long as the log. */
function stored(body: Uint8Array): string | Uint8Array {
  if (body.length > TEXT_LIMIT_BYTES) return new Uint8Array(body);
  return Buffer.from(body.buffer, body.byteOffset, body.length).toString('latin1');
}

function readable({ id, only, skip, kept, body }: StoredEntry): Entry {
  return { id, only, skip, kept, body: typeof body === 'string' ? Buffer.from(body, 'latin1') : body };
}

/** What a log without entries counts; it does not change until it has entries again. */
function placesOf(log: Log): number {
  return 1 + log.senders.size;
}

const NOTHING: ReadResult = { status: 'entries', missing: 0, entries: [], more: false, position: null };

function create(): Log {
  return {
    epoch: randomBytes(6).toString('base64url'),
    top: 0,
    position: null,
    entries: [],
    bytes: 0,
    senders: new Map(),
    touchedAt: 0,
    kept: null,
  };
}

/** The tag is no secret: it only has to differ from what a store that lost the entry gives out at the same offset. */
function idOf(epoch: string, offset: number): string {
  return `${epoch}:${offset}-${Math.floor(Math.random() * 2 ** 32)}`;
}
