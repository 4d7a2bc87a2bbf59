// One log in memory: numbered entries, capped by count and bytes, with the table of senders that makes appends idempotent.
import { randomBytes } from 'node:crypto';
import type { SessionId } from '../../protocol/ids.js';
import { formatEntryId, parseEntryId, randomTag } from './entry-id.js';
import type { AppendRequest, AppendResult, Entry, ReadResult } from './store.js';

/** What an entry costs beside its body: the object, its id, its place in arrays; bytes. Keeps tiny entries within the budget too. */
export const ENTRY_OVERHEAD_BYTES = 256;

interface Kept extends Entry {
  tag: number;
  bytes: number;
}

/** What an entry counts against the caps: `skip` is the only part beside the body that a sender can make large. */
export function entryBytes({ skip, body }: Pick<AppendRequest, 'skip' | 'body'>): number {
  let bytes = body.length;
  for (const address of skip) bytes += address.length + 1;
  return bytes;
}

interface Sender {
  seq: number;
  /** Of its newest entry. */
  offset: number;
}

export class MemoryLog {
  private epoch = randomBytes(6).toString('hex');
  private top = 0;
  /** Offsets top − length + 1 … top, of which the first `trimmed` are gone. */
  private entries: (Kept | null)[] = [];
  private trimmed = 0;
  private bytes = 0;
  private readonly senders = new Map<SessionId, Sender>();
  /** When the newest entry came; ms of the store's clock. */
  appendedAt = 0;

  constructor(
    private readonly limitEntries: number,
    private readonly limitBytes: number,
  ) {}

  get size(): number {
    return this.entries.length - this.trimmed;
  }

  /** What the log counts against the budget. */
  get costBytes(): number {
    return this.bytes + this.size * ENTRY_OVERHEAD_BYTES;
  }

  /** Why the numbered entry must not be stored; null when it is the next one. */
  refusal(sender: SessionId, seq: number): AppendResult | null {
    // A sender that the table does not know may start anywhere: the table is pruned with the log.
    const last = this.senders.get(sender)?.seq ?? seq - 1;
    if (seq <= last) return { status: 'duplicate' };
    return seq === last + 1 ? null : { status: 'out_of_order', expected: last + 1 };
  }

  append({ sender, seq, only, skip, body }: AppendRequest): Entry {
    const offset = ++this.top;
    const tag = randomTag();
    // A copy: the body may be a small view of a large buffer, which it would keep alive.
    const id = formatEntryId(this.epoch, offset, tag);
    const bytes = entryBytes({ skip, body });
    const entry: Kept = { id, only, skip, body: new Uint8Array(body), tag, bytes };
    this.entries.push(entry);
    this.bytes += bytes;
    while (this.size > this.limitEntries || (this.bytes > this.limitBytes && this.size > 1))
      this.trimOldest();
    if (seq !== null) {
      this.senders.set(sender, { seq, offset });
      this.pruneSenders();
    }
    return entry;
  }

  trimOldest(): void {
    const oldest = this.entries[this.trimmed];
    if (oldest === undefined || oldest === null) return;
    this.entries[this.trimmed++] = null;
    this.bytes -= oldest.bytes;
    // Moving the array for every trimmed entry would cost more than the append.
    if (this.trimmed === this.entries.length || this.trimmed > this.limitEntries) {
      this.entries.splice(0, this.trimmed);
      this.trimmed = 0;
    }
  }

  trimAll(): void {
    this.entries = [];
    this.trimmed = 0;
    this.bytes = 0;
  }

  read(after: string | null, limit: number): ReadResult {
    const oldest = this.top - this.size + 1;
    if (after === null) return { status: 'entries', ...this.page(oldest, limit) };
    const id = parseEntryId(after);
    if (id?.epoch !== this.epoch || id.offset > this.top) return { status: 'lost', epoch: this.epoch };
    if (id.offset < oldest) {
      const { entries: next, more } = this.page(oldest, limit);
      // Who has all before the oldest missed nothing.
      if (id.offset === oldest - 1) return { status: 'entries', entries: next, more };
      return { status: 'gap', from: id.offset + 1, to: oldest - 1, next, more };
    }
    if (this.at(id.offset)?.tag !== id.tag) return { status: 'lost', epoch: this.epoch };
    return { status: 'entries', ...this.page(id.offset + 1, limit) };
  }

  private at(offset: number): Kept | null {
    return this.entries[this.entries.length - 1 - (this.top - offset)] ?? null;
  }

  private page(from: number, limit: number): { entries: Entry[]; more: boolean } {
    const entries: Entry[] = [];
    for (let offset = from; offset <= this.top && entries.length < limit; offset++) {
      const kept = this.at(offset);
      if (kept !== null) entries.push({ id: kept.id, only: kept.only, skip: kept.skip, body: kept.body });
    }
    return { entries, more: from + entries.length <= this.top };
  }

  /** Drops senders whose newest entry is beyond the log's count, once they are as many as those that may be within it. */
  private pruneSenders(): void {
    if (this.senders.size <= 2 * this.limitEntries) return;
    for (const [sender, { offset }] of this.senders) {
      if (offset <= this.top - this.limitEntries) this.senders.delete(sender);
    }
  }
}
