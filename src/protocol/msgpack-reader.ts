// MessagePack, the reading half: bytes from outside to values, never past the end, never more than the limits.
import { ProtocolError } from './errors.js';

export interface ReadLimits {
  /** Code of the error that broken bytes throw. */
  fault: 'bad_frame' | 'bad_payload';
  /** Deepest nesting of arrays and maps. */
  depth: number;
  /** Most values in all, counting those inside arrays and maps. */
  items: number;
  /** Reads an application's extension type, in a value that stands `depth` levels deep; without it none is known. */
  extension?: (type: number, data: DataView, depth: number) => object | undefined;
}

/** Up to here characters are made from bytes one by one (measured on Node 20: 8 bytes 60 against 230 ns). */
const LOOP_LIMIT_BYTES = 10;
export const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads values one after another. Views of `bytes` that it returns share memory with them; `bytes` never change. */
export class Reader {
  #at = 0;
  #items: number;
  readonly #bytes: Uint8Array;
  readonly #limits: ReadLimits;

  constructor(bytes: Uint8Array, limits: ReadLimits) {
    this.#bytes = bytes;
    this.#limits = limits;
    this.#items = limits.items;
  }

  fail(message: string, cause?: unknown): never {
    throw new ProtocolError(this.#limits.fault, `MessagePack: ${message}`, { cause });
  }

  /** @throws ProtocolError unless every byte was read: one frame is one value */
  end(): void {
    if (this.#at !== this.#bytes.length) this.fail('bytes after the value');
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    return byte === undefined ? this.fail('the bytes end within a value') : byte;
  }

  #big(bytes: number): number {
    let value = 0;
    for (let i = 0; i < bytes; i++) value = value * 256 + this.#byte();
    return value;
  }

  /** Checked against the bytes that are there before anything is allocated. */
  #advance(length: number): number {
    const from = this.#at;
    if (length > this.#bytes.length - from) this.fail('the bytes end within a value');
    this.#at = from + length;
    return from;
  }

  #view(length: number): Uint8Array {
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + this.#advance(length), length);
  }

  #dataView(length: number): DataView {
    return new DataView(this.#bytes.buffer, this.#bytes.byteOffset + this.#advance(length), length);
  }

  /** Length of an array that stands next; -1 where something else does. */
  arrayHeader(): number {
    const head = this.#byte();
    if ((head & 0xf0) === 0x90) return head & 0x0f;
    return head === 0xdc ? this.#big(2) : head === 0xdd ? this.#big(4) : -1;
  }

  /** An unsigned safe integer, null for nil; -1 (and the value is passed over) for anything else, floats too. */
  uint(): number | null {
    const head = this.#bytes[this.#at];
    if (head !== undefined && head < 0x80) {
      this.#at++;
      return head;
    }
    const value = this.value();
    if (value === null) return null;
    const isFloat = head === 0xca || head === 0xcb;
    return !isFloat && typeof value === 'number' && value >= 0 ? value : -1;
  }

  /** Bytes of a bin as a view; null (and the value is passed over) for anything else. */
  bin(): Uint8Array | null {
    const head = this.#bytes[this.#at];
    if (head === undefined || head < 0xc4 || head > 0xc6) {
      this.value();
      return null;
    }
    this.#at++;
    return this.#view(this.#big(1 << (head - 0xc4)));
  }

  value(depth = 0): unknown {
    if (--this.#items < 0) this.fail('too many values');
    const head = this.#byte();
    if (head < 0x80) return head;
    if (head < 0x90) return this.#map(head & 0x0f, depth + 1);
    if (head < 0xa0) return this.#array(head & 0x0f, depth + 1);
    if (head < 0xc0) return this.#text(head & 0x1f);
    if (head >= 0xe0) return head - 256;
    return this.#tagged(head, depth);
  }

  /** 0xc0–0xdf: in each family the low bits of the tag give the size of the length, or of the number. */
  #tagged(head: number, depth: number): unknown {
    if (head === 0xc0) return null;
    if (head === 0xc1) this.fail('0xc1 is not a type');
    if (head < 0xc4) return head === 0xc3;
    // A copy: an application may keep it, or look at its buffer.
    if (head < 0xc7) return this.#view(this.#big(1 << (head - 0xc4))).slice();
    if (head < 0xca) return this.#ext(this.#big(1 << (head - 0xc7)), depth);
    if (head === 0xca) return this.#dataView(4).getFloat32(0);
    if (head === 0xcb) return this.#dataView(8).getFloat64(0);
    if (head < 0xd4) return this.#integer(1 << (head & 3), head >= 0xd0);
    if (head < 0xd9) return this.#ext(1 << (head - 0xd4), depth);
    if (head < 0xdc) return this.#text(this.#big(1 << (head - 0xd9)));
    const length = this.#big(2 << (head & 1));
    return head < 0xde ? this.#array(length, depth + 1) : this.#map(length, depth + 1);
  }

  #integer(bytes: number, signed: boolean): number | bigint {
    if (bytes < 8) {
      const value = this.#big(bytes);
      return signed && value >= 2 ** (bytes * 8 - 1) ? value - 2 ** (bytes * 8) : value;
    }
    const view = this.#dataView(8);
    const value = signed ? view.getBigInt64(0) : view.getBigUint64(0);
    // A number where a number holds it exactly.
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  #text(length: number): string {
    const from = this.#advance(length);
    const bytes = this.#bytes;
    const to = from + length;
    if (length <= LOOP_LIMIT_BYTES) {
      let text = '';
      let i = from;
      for (; i < to; i++) {
        const code = bytes[i] ?? 0;
        if (code > 0x7f) break;
        text += String.fromCharCode(code);
      }
      if (i === to) return text;
    }
    try {
      return UTF8.decode(bytes.subarray(from, to));
    } catch (cause) {
      return this.fail('a string is not UTF-8', cause);
    }
  }

  /** Every value is a byte at least: a declared length beyond the bytes that are left is refused before any work. */
  #enter(values: number, depth: number): void {
    if (depth > this.#limits.depth) this.fail('nested too deep');
    if (values > this.#bytes.length - this.#at) this.fail('the bytes end within a value');
  }

  #array(length: number, depth: number): unknown[] {
    this.#enter(length, depth);
    const array: unknown[] = [];
    for (let i = 0; i < length; i++) array.push(this.value(depth));
    return array;
  }

  #map(length: number, depth: number): Record<string, unknown> | Map<unknown, unknown> {
    this.#enter(length * 2, depth);
    const object: Record<string, unknown> = {};
    for (let i = 0; i < length; i++) {
      const key = this.value(depth);
      if (typeof key !== 'string') return this.#restOfMap(object, key, length - i, depth);
      if (key === '__proto__') this.fail('the key __proto__');
      object[key] = this.value(depth);
    }
    return object;
  }

  /** A key that is no string: what an object cannot hold becomes a Map. */
  #restOfMap(before: object, key: unknown, left: number, depth: number): Map<unknown, unknown> {
    const map = new Map<unknown, unknown>(Object.entries(before));
    map.set(key, this.value(depth));
    for (let i = 1; i < left; i++) {
      const next = this.value(depth);
      map.set(next, this.value(depth));
    }
    return map;
  }

  #ext(length: number, depth: number): unknown {
    const type = this.#dataView(1).getInt8(0);
    const data = this.#dataView(length);
    if (type === -1) return this.#date(data);
    return this.#limits.extension?.(type, data, depth) ?? this.fail(`ext type ${type} is not known`);
  }

  #date(view: DataView): Date {
    let seconds = NaN;
    let nanos = 0;
    if (view.byteLength === 4) seconds = view.getUint32(0);
    else if (view.byteLength === 8) {
      const head = view.getUint32(0);
      nanos = head >>> 2;
      seconds = (head & 3) * 2 ** 32 + view.getUint32(4);
    } else if (view.byteLength === 12) {
      nanos = view.getUint32(0);
      seconds = Number(view.getBigInt64(4));
    }
    const date = new Date(seconds * 1000 + Math.floor(nanos / 1e6));
    if (Number.isNaN(date.getTime()) || nanos > 999_999_999) this.fail('not a timestamp');
    return date;
  }
}

/**
 * The one value that `bytes` are.
 * @throws ProtocolError with the code `limits.fault`
 */
export function decodeMsgpack(bytes: Uint8Array, limits: ReadLimits): unknown {
  const reader = new Reader(bytes, limits);
  const value = reader.value();
  reader.end();
  return value;
}
