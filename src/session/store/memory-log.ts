// The logs of the embedded store: capped by entries, bytes, time without appends and one budget for all.
import { randomBytes, randomInt } from 'node:crypto';
import type { SessionId } from '../../protocol/ids.js';
import { parseEntryId } from './entry-id.js';
import type { AppendRequest, AppendResult, Entry, ReadResult, StoreSettings } from './store.js';

/** Counted in the budget beside the body of each entry: object, id, array slot. */
const ENTRY_OVERHEAD_BYTES = 200;
/** The table of senders is pruned once it holds this many times the entries of a full log. */
const SENDERS_PER_ENTRY = 2;

interface Log {
  epoch: string;
  /** Offset of the newest entry; the oldest kept is `top - entries.length + 1`. */
  top: number;
  entries: Entry[];
  bytes: number;
  /** Last number of each sender, and the offset of its entry. */
  senders: Map<SessionId, { seq: number; offset: number }>;
  touchedAt: number;
}

export class MemoryLogs {
  /** The least recently appended first. */
  private readonly logs = new Map<string, Log>();
  private bytes = 0;
  private entries = 0;

  constructor(
    private readonly settings: StoreSettings,
    private readonly now: () => number,
  ) {}

  get size(): number {
    return this.logs.size;
  }

  /** Stores an entry, or says why not; the caller publishes it. */
  append(key: string, request: AppendRequest): AppendResult & { entry?: Entry } {
    const { sender, seq, only, skip, body } = request;
    const log = this.logs.get(key) ?? this.create();
    if (seq !== null) {
      // A sender that the table does not know may begin anywhere: the table is pruned with the log.
      const expected = (log.senders.get(sender.session)?.seq ?? seq - 1) + 1;
      if (seq < expected) return { status: 'duplicate' };
      if (seq > expected) return { status: 'out_of_order', expected };
      log.senders.set(sender.session, { seq, offset: log.top + 1 });
    }
    log.top++;
    // A copy: the bytes came in a larger buffer that must not live as long as the log.
    const entry = { id: idOf(log.epoch, log.top), only, skip, body: Uint8Array.from(body) };
    log.entries.push(entry);
    this.grow(log, 1, body.length);
    log.touchedAt = this.now();
    this.logs.delete(key);
    this.logs.set(key, log);
    this.trim(log);
    this.trimAll(log);
    return { status: 'accepted', id: entry.id, entry };
  }

  read(key: string, after: string | null, limit: number): ReadResult {
    const log = this.logs.get(key);
    if (log === undefined) return after === null ? NOTHING : { status: 'lost', epoch: '' };
    const oldest = log.top - log.entries.length + 1;
    if (after === null) return this.entriesFrom(log, oldest, limit);
    const place = parseEntryId(after);
    if (place?.epoch !== log.epoch || place.offset > log.top) return { status: 'lost', epoch: log.epoch };
    const { offset } = place;
    const known = log.entries[offset - oldest];
    if (known !== undefined && known.id !== after) return { status: 'lost', epoch: log.epoch };
    if (offset + 1 >= oldest) return this.entriesFrom(log, offset + 1, limit);
    const { entries, more } = this.entriesFrom(log, oldest, limit);
    return { status: 'gap', from: offset + 1, to: oldest - 1, next: entries, more };
  }

  /** Forgets logs without appends for their time to live. */
  expire(): void {
    const limit = this.now() - this.settings.logTtlMs;
    for (const [key, log] of this.logs) {
      if (log.touchedAt > limit) return;
      this.drop(key, log);
    }
  }

  private create(): Log {
    const epoch = randomBytes(6).toString('base64url');
    return { epoch, top: 0, entries: [], bytes: 0, senders: new Map(), touchedAt: 0 };
  }

  private entriesFrom(log: Log, offset: number, limit: number): Extract<ReadResult, { status: 'entries' }> {
    const start = offset - (log.top - log.entries.length + 1);
    return {
      status: 'entries',
      entries: log.entries.slice(start, start + limit),
      more: start + limit < log.entries.length,
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
      if (log !== current) this.drop(key, log);
    }
  }

  private drop(key: string, log: Log): void {
    this.logs.delete(key);
    this.bytes -= log.bytes;
    this.entries -= log.entries.length;
  }

  private grow(log: Log, entries: number, bytes: number): void {
    log.bytes += bytes;
    this.bytes += bytes;
    this.entries += entries;
  }
}

const NOTHING: ReadResult = { status: 'entries', entries: [], more: false };

/** The tag is no secret: it only has to differ from what a store that lost the entry gives out at the same offset. */
function idOf(epoch: string, offset: number): string {
  return `${epoch}:${offset}-${randomInt(2 ** 32)}`;
}
