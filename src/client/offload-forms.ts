// In which form data pass between a page and its worker, so that they are the same on the other side.
import { hasToJson, isPlainObject } from '../protocol/json-text.js';
import { PAYLOAD_DEPTH_LIMIT } from '../protocol/limits.js';

/**
 * Data of fewer values stay where they are: MessagePack of 4 KiB of rows takes as long as a message between the two threads and
 * back (node scripts/measure-offload.mjs).
 */
export const MIN_VALUES = 500;

/** `text` where JSON carries the data unchanged: for rows of objects it takes a third of the time of a structured clone. */
export type Parcel = [text: string] | [text: null, data: unknown];

export interface Form {
  /** How many, counting those inside arrays, maps and objects. */
  values: number;
  /** What they will have as MessagePack, but for strings beyond ASCII: queues and windows count it before the worker knows. */
  bytes: number;
  /** Whether JSON carries them, and not only a structured clone. */
  isJson: boolean;
}

/**
 * Null for data that could be others after the way: what has a `toJSON` or is of a class with a mind of its own, what shares bytes,
 * and all that no codec can carry. Throws what a getter throws.
 */
export function formOf(data: unknown): Form | null {
  const form: Form = { values: 0, bytes: 0, isJson: true };
  return measure(form, data, 0) ? form : null;
}

function measure(form: Form, value: unknown, depth: number): boolean {
  form.values++;
  form.bytes++;
  switch (typeof value) {
    case 'string':
      form.bytes += value.length + headerOf(value.length, 32);
      return true;
    case 'boolean':
      return true;
    case 'number':
      form.bytes += sizeOf(value) - 1;
      form.isJson &&= Number.isFinite(value) && !Object.is(value, -0);
      return true;
    case 'undefined':
      form.isJson = false;
      return true;
    case 'bigint':
      form.isJson = false;
      form.bytes += 8;
      return BigInt.asIntN(64, value) === value || BigInt.asUintN(64, value) === value;
    case 'object':
      return value === null || (depth < PAYLOAD_DEPTH_LIMIT && measureObject(form, value, depth + 1));
    default:
      return false;
  }
}

/** Bytes of a number. */
function sizeOf(value: number): number {
  if (!Number.isSafeInteger(value)) return Math.fround(value) === value ? 5 : 9;
  if (value >= -0x20 && value < 0x80) return 1;
  // As Writer.integer has it.
  const reach = value < 0 ? -2 * (value + 1) : value;
  return reach < 0x100 ? 2 : reach < 0x10000 ? 3 : reach < 0x100000000 ? 5 : 9;
}

/** Bytes of a length beyond the first, which every value has; `limit` is what that one holds. */
function headerOf(length: number, limit: number): number {
  return length < limit ? 0 : length < 0x10000 ? 2 : 4;
}

function measureObject(form: Form, value: object, depth: number): boolean {
  if (Array.isArray(value)) {
    form.isJson &&= !hasToJson(value);
    form.bytes += headerOf(value.length, 16);
    // Not `every`, which passes over holes.
    for (let i = 0; i < value.length; i++) if (!measure(form, value[i], depth)) return false;
    return true;
  }
  if (isPlainObject(value)) return !hasToJson(value) && measureProperties(form, value, depth);
  form.isJson = false;
  if (isOf(value, Uint8Array)) return measureBytes(form, value.buffer, value.length);
  if (isOf(value, ArrayBuffer)) return measureBytes(form, value, value.byteLength);
  if (isOf(value, Date)) {
    form.bytes += 9;
    return !Number.isNaN(value.getTime());
  }
  return isOf(value, Map) && measureEntries(form, value, depth);
}

/** Of no subclass, of which only the class itself would arrive. */
function isOf<Value extends object>(value: object, type: new (...args: never[]) => Value): value is Value {
  return Object.getPrototypeOf(value) === type.prototype;
}

function measureEntries(form: Form, map: ReadonlyMap<unknown, unknown>, depth: number): boolean {
  for (const [key, item] of map)
    if (key === '__proto__' || !measure(form, key, depth) || !measure(form, item, depth)) return false;
  return true;
}

function measureProperties(form: Form, value: object, depth: number): boolean {
  for (const [key, item] of Object.entries(value)) {
    if (key === '__proto__') return false;
    // Left out by every codec.
    if (item === undefined) continue;
    form.bytes += key.length + 1 + headerOf(key.length, 32);
    if (!measure(form, item, depth)) return false;
  }
  return true;
}

/** A clone of a view is one of all bytes of its buffer. */
function measureBytes(form: Form, buffer: object, length: number): boolean {
  form.bytes += length;
  return buffer instanceof ArrayBuffer && buffer.byteLength === length;
}

export function pack(data: unknown, { isJson }: Form): Parcel {
  return isJson ? [JSON.stringify(data)] : [null, data];
}

export function unpack(parcel: Parcel): unknown {
  return parcel[0] === null ? parcel[1] : JSON.parse(parcel[0]);
}
