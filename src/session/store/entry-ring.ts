// The entries of one log, the oldest first, one behind the other in a ring of bytes: however long they live, the collector has nothing to look at.
import type { SessionId } from '../../protocol/ids.js';

/** What few entries have. */
export interface Extra {
  only: SessionId | null;
  skip: string[];
  /** It was stored while nobody was there to read it. */
  kept: boolean;
  /** Monotonic ms. */
  expiresAt: number;
}

export interface RingEntry {
  offset: number;
  /** Its mark, 32 bits. */
  tag: number;
  /** A copy. */
  body: Uint8Array;
  extra: Extra | null;
}

/** Before each body: its length and the entry's tag. */
const HEADER_BYTES = 8;
/** Larger bodies have memory of their own: a ring grows by doubling, and copies what is in it. */
const BESIDE_FROM_BYTES = 16 * 1024;
/** From this size on a ring shrinks where three quarters of it are free: it may have had larger messages once. */
const SHRINKS_FROM_BYTES = 4 * 1024;
/** In place of the length: the body stands beside the ring. */
const BESIDE = 0xffff_ffff;
const NOTHING = Buffer.alloc(0);

export class EntryRing {
  private memory = NOTHING;
  /** Where the oldest entry begins, and where the next one will. */
  private head = 0;
  private tail = 0;
  /** Where the entries end that go on at the beginning; -1 while none does. */
  private turn = -1;
  /** By offset; null while no entry has any. */
  private extras: Map<number, Extra> | null = null;
  private beside: Map<number, Uint8Array> | null = null;
  /** Offset of the newest entry, which it outlives. */
  top = 0;
  /** How many there are, offset by offset up to `top`. */
  count = 0;
  /** Of all bodies. */
  bytes = 0;
  /** Of those beside the ring. */
  private besideBytes = 0;

  /** What it takes of memory, whether it is filled or not. */
  get heldBytes(): number {
    return this.memory.length + this.besideBytes;
  }

  /** Offset of the oldest entry. */
  get oldest(): number {
    return this.top - this.count + 1;
  }

  /** @param body is copied: it came in a larger buffer that must not live as long as the log */
  push(tag: number, body: Uint8Array, extra: Extra | null): void {
    const isBeside = body.length >= BESIDE_FROM_BYTES;
    const at = this.room(HEADER_BYTES + (isBeside ? 0 : body.length));
    const offset = ++this.top;
    this.memory.writeUInt32LE(isBeside ? BESIDE : body.length, at);
    this.memory.writeUInt32LE(tag, at + 4);
    this.tail = at + HEADER_BYTES;
    if (isBeside) {
      (this.beside ??= new Map()).set(offset, new Uint8Array(body));
      this.besideBytes += body.length;
    } else {
      this.memory.set(body, this.tail);
      this.tail += body.length;
    }
    if (extra !== null) (this.extras ??= new Map()).set(offset, extra);
    this.count++;
    this.bytes += body.length;
  }

  /** Removes the oldest. */
  shift(): void {
    if (this.count === 0) return;
    const offset = this.oldest;
    const length = this.lengthAt(this.head, offset);
    this.bytes -= length;
    this.head = this.after(this.head);
    this.extras?.delete(offset);
    if (this.beside?.delete(offset) === true) this.besideBytes -= length;
    if (this.extras?.size === 0) this.extras = null;
    if (this.beside?.size === 0) this.beside = null;
    this.count--;
    if (this.head <= this.tail) this.turn = -1;
    if (this.count === 0) {
      this.head = this.tail = 0;
      this.turn = -1;
    }
  }

  /** Removes all, and their memory. */
  clear(): void {
    this.memory = NOTHING;
    this.head = this.tail = this.count = this.bytes = this.besideBytes = 0;
    this.turn = -1;
    this.extras = this.beside = null;
  }

  /** The tag of an entry; undefined where it is not there. */
  tag(offset: number): number | undefined {
    if (offset < this.oldest || offset > this.top) return undefined;
    return this.memory.readUInt32LE(this.find(offset) + 4);
  }

  /** Entries from an offset on that is there: at most so many, and, but for the first, no more bytes than that. */
  page(from: number, limit: number, limitBytes: number): RingEntry[] {
    const entries: RingEntry[] = [];
    let bytes = 0;
    let at = from > this.top ? 0 : this.find(from);
    for (let offset = from; offset <= this.top && entries.length < limit; offset++) {
      bytes += this.lengthAt(at, offset);
      if (entries.length > 0 && bytes > limitBytes) break;
      const tag = this.memory.readUInt32LE(at + 4);
      entries.push({ offset, tag, body: this.bodyAt(at, offset), extra: this.extras?.get(offset) ?? null });
      at = this.after(at);
    }
    return entries;
  }

  private find(offset: number): number {
    let at = this.head;
    for (let i = this.oldest; i < offset; i++) at = this.after(at);
    return at;
  }

  /** Where the entry behind this one begins, if there is one. */
  private after(at: number): number {
    const length = this.memory.readUInt32LE(at);
    const end = at + HEADER_BYTES + (length === BESIDE ? 0 : length);
    return end === this.turn ? 0 : end;
  }

  private lengthAt(at: number, offset: number): number {
    const length = this.memory.readUInt32LE(at);
    return length === BESIDE ? (this.beside?.get(offset)?.length ?? 0) : length;
  }

  private bodyAt(at: number, offset: number): Uint8Array {
    const length = this.memory.readUInt32LE(at);
    if (length === BESIDE) return this.beside?.get(offset) ?? NOTHING;
    return Buffer.from(this.memory.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length));
  }

  /** Where so many bytes in one piece are free. */
  private room(bytes: number): number {
    const { memory, head, tail, turn } = this;
    const used = turn === -1 ? tail - head : turn - head + tail;
    const isTooLarge = memory.length >= SHRINKS_FROM_BYTES && memory.length >= 4 * (used + bytes);
    if (!isTooLarge && turn === -1) {
      if (memory.length - tail >= bytes) return tail;
      // Not up to the head: tail and head are the same only where nothing is there.
      if (head > bytes) {
        this.turn = tail;
        return 0;
      }
    } else if (!isTooLarge && head - tail > bytes) return tail;
    // The first entry gets what it needs: most inboxes that wait for somebody hold few.
    this.resize(Math.max(used + bytes, used * 2), used);
    return this.tail;
  }

  /** Moves all entries to the beginning of other memory: no more bytes than were pushed or shifted since the last time. */
  private resize(size: number, used: number): void {
    const { memory, head, tail, turn } = this;
    const resized = Buffer.allocUnsafeSlow(size);
    if (turn === -1) memory.copy(resized, 0, head, tail);
    else memory.copy(resized, memory.copy(resized, 0, head, turn), 0, tail);
    this.memory = resized;
    this.head = 0;
    this.tail = used;
    this.turn = -1;
  }
}
