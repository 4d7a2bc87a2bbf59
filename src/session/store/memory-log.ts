// The logs of the embedded store: capped by entries, bytes, time without appends and one budget for all.
import { randomBytes } from 'node:crypto';
import type { SessionId } from '../../protocol/ids.js';
import type { AppendRequest, AppendResult, Entry, ReadResult, StoreSettings } from './store.js';

/** Counted beside the body for each entry: object, id, array slot. */
const ENTRY_OVERHEAD_BYTES = 200;

interface Log {
  epoch: string;
  /** Offset of the newest entry; the oldest kept is `top - entries.length + 1`. */
  top: number;
  entries: Entry[];
  bytes: number;
  /** Last number of each sender; the one that appended least recently stands first. */
  senders: Map<SessionId, number>;
  touchedAt: number;
}

export class MemoryLogs {
  /** The least recently appended first. */
  private readonly logs = new Map<string, Log>();
  private bytes = 0;

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
      // A sender that the table does not know (any more) may begin anywhere.
      const expected = (log.senders.get(sender) ?? seq - 1) + 1;
      if (seq < expected) return { status: 'duplicate' };
      if (seq > expected) return { status: 'out_of_order', expected };
      log.senders.delete(sender);
      log.senders.set(sender, seq);
    }
    log.top++;
    // A copy: the bytes came in a larger buffer that must not live as long as the log.
    const entry = { id: idOf(log.epoch, log.top), only, skip, body: Uint8Array.from(body) };
    log.entries.push(entry);
    this.grow(log, sizeOf(entry));
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
    const [epoch, place = ''] = after.split(':');
    const offset = Number(place.split('-', 1)[0]);
    if (epoch !== log.epoch || !Number.isSafeInteger(offset) || offset > log.top)
      return { status: 'lost', epoch: log.epoch };
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

  private trim(log: Log): void {
    const { logLimitEntries, logLimitBytes } = this.settings;
    while (log.entries.length > logLimitEntries || log.bytes > logLimitBytes) {
      const oldest = log.entries.shift();
      if (oldest === undefined) return;
      this.grow(log, -sizeOf(oldest));
    }
    // The senders' table lives with the log; past this many it would outgrow it.
    if (log.senders.size > logLimitEntries * 4) {
      const first = log.senders.keys().next();
      if (first.done !== true) log.senders.delete(first.value);
    }
  }

  /** Over the budget, the logs that were quiet longest go; `current` stays. */
  private trimAll(current: Log): void {
    for (const [key, log] of this.logs) {
      if (this.bytes <= this.settings.logBudgetBytes) return;
      if (log !== current) this.drop(key, log);
    }
  }

  private drop(key: string, log: Log): void {
    this.logs.delete(key);
    this.bytes -= log.bytes;
  }

  private grow(log: Log, bytes: number): void {
    log.bytes += bytes;
    this.bytes += bytes;
  }
}

const NOTHING: ReadResult = { status: 'entries', entries: [], more: false };

function idOf(epoch: string, offset: number): string {
  return `${epoch}:${String(offset)}-${randomBytes(3).toString('base64url')}`;
}

function sizeOf(entry: Entry): number {
  return entry.body.length + ENTRY_OVERHEAD_BYTES;
}
