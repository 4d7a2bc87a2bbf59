// WebSocket messages as a client in Node writes them: masked, all of a tick in one write, in memory that is used again.
import { randomFillSync } from 'node:crypto';
import type { Writable } from 'node:stream';
import { applyMask } from '../protocol/masking.js';

const FINAL_TEXT = 0x81;
const FINAL_BINARY = 0x82;
const MASKED = 0x80;
const MASK_BYTES = 4;
const LONGEST_HEADER_BYTES = 14;
/** Masks are to be unpredictable (RFC 6455 §5.3); so many bytes of chance at once cost what four do. */
const CHANCE_BYTES = 4096;
/** Messages of a tick that need no more are put into memory of their size: a connection that is idle, or talks little, holds none. */
const SMALL_BYTES = 16 * 1024;
/** Two chunks of a stream with their heads; a larger message has memory of its own. */
const SLAB_BYTES = 80 * 1024;
/** Slabs that wait to be used again: the kernel mostly has the bytes before the next write. */
const SLABS_LIMIT = 4;
/** They are given back so often, ms: a connection that has fallen silent holds none, and one that has not soon has others. */
const SLABS_KEPT_MS = 1_000;

/** Messages of the tick, before they are in one piece of memory. */
interface Pending {
  readonly data: string | Uint8Array;
  readonly length: number;
}

export class MaskedWriter {
  readonly #socket: Writable;
  readonly #chance = Buffer.alloc(CHANCE_BYTES);
  #chanceAt = CHANCE_BYTES;
  #pending: Pending[] = [];
  #pendingBytes = 0;
  readonly #slabs: Buffer[] = [];
  #timer: NodeJS.Timeout | null = null;

  constructor(socket: Writable) {
    this.#socket = socket;
    socket.once('close', () => this.#drop());
  }

  /** Of this tick, not yet given to the socket. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** What it is given is not changed before the end of the tick. */
  send(data: string | Uint8Array): void {
    const length = Buffer.byteLength(data);
    if (this.#pending.length === 0) process.nextTick(() => this.flush());
    this.#pending.push({ data, length });
    this.#pendingBytes += LONGEST_HEADER_BYTES + length;
  }

  flush(): void {
    const pending = this.#pending;
    if (pending.length === 0) return;
    this.#pending = [];
    this.#pendingBytes = 0;
    // It has ended within the tick.
    if (!this.#socket.writable) return;
    this.#socket.cork();
    let from = 0;
    let bytes = 0;
    for (const [at, { length }] of pending.entries()) {
      const more = LONGEST_HEADER_BYTES + length;
      if (bytes > 0 && bytes + more > SLAB_BYTES) {
        this.#write(pending.slice(from, at), bytes);
        from = at;
        bytes = 0;
      }
      bytes += more;
    }
    this.#write(pending.slice(from), bytes);
    this.#socket.uncork();
  }

  /** @param bytes at most */
  #write(messages: readonly Pending[], bytes: number): void {
    const isSlab = bytes > SMALL_BYTES && bytes <= SLAB_BYTES;
    const memory = isSlab
      ? (this.#slabs.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES))
      : Buffer.allocUnsafe(bytes);
    let at = 0;
    for (const { data, length } of messages) {
      at = this.#writeHeader(memory, at, typeof data === 'string', length);
      if (typeof data === 'string') memory.write(data, at, 'utf8');
      else memory.set(data, at);
      applyMask(memory, memory.subarray(at - MASK_BYTES, at), at, length);
      at += length;
    }
    const written = memory.subarray(0, at);
    if (isSlab) this.#socket.write(written, () => this.#keep(memory));
    else this.#socket.write(written);
  }

  #writeHeader(into: Buffer, at: number, isText: boolean, length: number): number {
    into[at] = isText ? FINAL_TEXT : FINAL_BINARY;
    const end = writeLength(into, at + 1, length);
    if (this.#chanceAt === CHANCE_BYTES) {
      randomFillSync(this.#chance);
      this.#chanceAt = 0;
    }
    into.set(this.#chance.subarray(this.#chanceAt, this.#chanceAt + MASK_BYTES), end);
    this.#chanceAt += MASK_BYTES;
    return end + MASK_BYTES;
  }

  /** The kernel has the bytes. */
  #keep(slab: Buffer): void {
    if (this.#slabs.length === SLABS_LIMIT || this.#socket.destroyed) return;
    this.#slabs.push(slab);
    this.#timer ??= setTimeout(() => this.#drop(), SLABS_KEPT_MS).unref();
  }

  #drop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#slabs.length = 0;
  }
}

/** RFC 6455 §5.2: 7 bits of length, or 126 and 16, or 127 and 64. @returns its end */
function writeLength(into: Buffer, at: number, length: number): number {
  if (length < 126) {
    into[at] = MASKED | length;
    return at + 1;
  }
  if (length < 65_536) {
    into[at] = MASKED | 126;
    return into.writeUInt16BE(length, at + 1);
  }
  into[at] = MASKED | 127;
  into.writeUInt32BE(0, at + 1);
  return into.writeUInt32BE(length, at + 5);
}
