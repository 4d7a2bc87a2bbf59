// MessagePack, the writing half: what frames are made of, in the shortest form, into a buffer that grows.
import { ProtocolError } from './errors.js';

const CHUNK_BYTES = 8192;
/** Up to here a loop over character codes beats `TextEncoder` (measured on Node 20: 22 characters 60 against 150 ns). */
const SHORT_STRING = 64;
const UTF8 = new TextEncoder();

/**
 * Writes values one after another into a chunk and hands out views of it, so that a small frame costs no
 * allocation of its own. Views share memory: whoever keeps one for long copies it.
 */
export class Writer {
  #chunk: Uint8Array;
  #start = 0;
  #at = 0;

  constructor(bytes = CHUNK_BYTES) {
    this.#chunk = new Uint8Array(bytes);
  }

  /** Forgets what was written since the last `take`: an encoder that threw leaves nothing behind. */
  reset(): this {
    this.#at = this.#start;
    return this;
  }

  /** What was written since the last `take`. */
  take(): Uint8Array {
    const taken = this.#chunk.subarray(this.#start, this.#at);
    this.#start = this.#at;
    // A chunk that grew for one large frame must not live on under many small ones.
    if (this.#chunk.length > CHUNK_BYTES) {
      this.#chunk = new Uint8Array(CHUNK_BYTES);
      this.#start = this.#at = 0;
    }
    return taken;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#chunk.length) return;
    const written = this.#at - this.#start;
    // Twice what is there, and no more than is asked for: a chunk of a stream comes last, and is most of its frame.
    const larger = new Uint8Array(Math.max(this.#chunk.length, written * 2 + bytes));
    larger.set(this.#chunk.subarray(this.#start, this.#at));
    this.#chunk = larger;
    this.#start = 0;
    this.#at = written;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#chunk[this.#at++] = value;
  }

  /** The last `bytes` bytes of an integer, at most 4. */
  big(value: number, bytes: number): void {
    this.#reserve(bytes);
    for (let shift = (bytes - 1) * 8; shift >= 0; shift -= 8) this.#chunk[this.#at++] = value >>> shift;
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#chunk.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  nil(): void {
    this.byte(0xc0);
  }

  /** Tag and length of str, array, map and bin: `fix` where the length fits under `limit`, else tag + 0, 1, 2 for 8, 16, 32 bits. */
  #size(length: number, fix: number, limit: number, tag: number): void {
    if (length < limit) this.byte(fix | length);
    else if (length < 0x100 && tag !== 0xdb && tag !== 0xdd) {
      this.byte(tag);
      this.byte(length);
    } else if (length < 0x10000) {
      this.byte(tag + 1);
      this.big(length, 2);
    } else {
      this.byte(tag + 2);
      this.big(length, 4);
    }
  }

  // 0xdb + 1 = 0xdc and 0xdd + 1 = 0xde: arrays and maps have no form with an 8-bit length.
  array(length: number): void {
    this.#size(length, 0x90, 16, 0xdb);
  }

  map(length: number): void {
    this.#size(length, 0x80, 16, 0xdd);
  }

  bin(bytes: Uint8Array): void {
    this.#size(bytes.length, 0, 0, 0xc4);
    this.raw(bytes);
  }

  text(value: string): void {
    const { length } = value;
    if (length <= SHORT_STRING && this.#ascii(value, length)) return;
    // The header's size depends on a length that is known only afterwards: leave room for the longest.
    this.#reserve(5 + length * 3);
    const { written } = UTF8.encodeInto(value, this.#chunk.subarray(this.#at + 5));
    const from = this.#at + 5;
    this.#size(written, 0xa0, 32, 0xd9);
    this.#chunk.copyWithin(this.#at, from, from + written);
    this.#at += written;
  }

  #ascii(value: string, length: number): boolean {
    this.#reserve(2 + length);
    const before = this.#at;
    this.#size(length, 0xa0, 32, 0xd9);
    const chunk = this.#chunk;
    let at = this.#at;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) {
        this.#at = before;
        return false;
      }
      chunk[at++] = code;
    }
    this.#at = at;
    return true;
  }

  /** A safe integer, not -0. */
  integer(value: number): void {
    if (value >= -0x20 && value < 0x80) return this.byte(value & 0xff);
    // What an unsigned integer of the same size would have to hold.
    const reach = value < 0 ? -2 * (value + 1) : value;
    const size = reach < 0x100 ? 0 : reach < 0x10000 ? 1 : reach < 0x100000000 ? 2 : 3;
    this.byte((value < 0 ? 0xd0 : 0xcc) + size);
    if (size === 3) this.big(Math.floor(value / 2 ** 32), 4);
    this.big(value, Math.min(1 << size, 4));
  }

  /** Room for a number that a view writes. */
  view(bytes: number): DataView {
    this.#reserve(bytes);
    this.#at += bytes;
    return new DataView(this.#chunk.buffer, this.#chunk.byteOffset + this.#at - bytes, bytes);
  }

  /** A field of a frame: text, integers, booleans, and lists and records of them. @throws ProtocolError `bad_parameter` for all else */
  field(value: unknown): void {
    if (typeof value === 'string') this.text(value);
    else if (isWritableInteger(value)) this.integer(value);
    else if (typeof value === 'boolean') this.byte(value ? 0xc3 : 0xc2);
    else if (Array.isArray(value)) {
      this.array(value.length);
      for (const item of value) this.field(item);
    } else if (typeof value === 'object' && value !== null) {
      const entries = Object.entries(value);
      this.map(entries.length);
      for (const entry of entries) for (const item of entry) this.field(item);
    } else if (value === null) this.nil();
    else throw new ProtocolError('bad_parameter', `A frame cannot carry a ${typeof value}.`);
  }
}

/** -0 is none: no integer form keeps its sign. */
export function isWritableInteger(value: unknown): value is number {
  return Number.isSafeInteger(value) && !Object.is(value, -0);
}
