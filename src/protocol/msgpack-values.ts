// MessagePack of what applications send: any value that has a form, written with the pieces that frames are made of.
import { GatewayError } from './errors.js';
import { hasToJson, isPlainObject } from './json-text.js';
import { PAYLOAD_DEPTH_LIMIT } from './limits.js';
import { isWritableInteger, Writer } from './msgpack-writer.js';

function refuse(what: string): never {
  throw new GatewayError('bad_payload', `MessagePack cannot carry ${what}`);
}

/** An object of an application's class as an extension, where it is one; it stands `depth` levels deep. */
export type Extend = (value: object, depth: number) => { code: number; data: Uint8Array } | undefined;

/** @throws GatewayError `bad_payload` where the value has no MessagePack form */
export function writeValue(writer: Writer, value: unknown, depth = 0, extend?: Extend): void {
  switch (typeof value) {
    case 'string':
      return writer.text(value);
    case 'number':
      return writeNumber(writer, value);
    case 'boolean':
      return writer.byte(value ? 0xc3 : 0xc2);
    case 'undefined':
      return writer.nil();
    case 'bigint':
      return writeBigint(writer, value);
    case 'object':
      return value === null ? writer.nil() : writeObject(writer, value, depth + 1, extend);
    default:
      return refuse(`a ${typeof value}`);
  }
}

function writeNumber(writer: Writer, value: number): void {
  if (isWritableInteger(value)) writer.integer(value);
  else writeFloat(writer, value);
}

/** 32 bits where they hold the value exactly, as msgpack5 does; whole numbers beyond 2^53 always in 64. */
function writeFloat(writer: Writer, value: number): void {
  if (!(Number.isInteger(value) && value !== 0) && Object.is(Math.fround(value), value)) {
    writer.byte(0xca);
    writer.view(4).setFloat32(0, value);
  } else {
    writer.byte(0xcb);
    writer.view(8).setFloat64(0, value);
  }
}

function writeWide(writer: Writer, tag: number, value: bigint): void {
  writer.byte(tag);
  writer.view(8).setBigUint64(0, BigInt.asUintN(64, value));
}

function writeBigint(writer: Writer, value: bigint): void {
  if (value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)) {
    writer.integer(Number(value));
  } else if (value > 0n && value >> 64n === 0n) writeWide(writer, 0xcf, value);
  else if (value < 0n && value >= -(1n << 63n)) writeWide(writer, 0xd3, value);
  else refuse('an integer beyond 64 bits');
}

function writeObject(writer: Writer, value: object, depth: number, extend: Extend | undefined): void {
  if (depth > PAYLOAD_DEPTH_LIMIT) refuse(`more than ${PAYLOAD_DEPTH_LIMIT} levels, or a circular value`);
  const extension = extend?.(value, depth);
  if (extension !== undefined) writeExtension(writer, extension.code, extension.data);
  else if (Array.isArray(value)) writeItems(writer, value, depth, extend);
  else if (value instanceof Uint8Array) writer.bin(value);
  else if (value instanceof ArrayBuffer) writer.bin(new Uint8Array(value));
  else if (value instanceof Date) writeDate(writer, value);
  else if (value instanceof Map) writeEntries(writer, [...value], depth, extend);
  else if (hasToJson(value)) writeValue(writer, value.toJSON(), depth, extend);
  // A Set, an Error or a Promise has no properties: it would arrive as an empty map.
  else if (!isPlainObject(value)) refuse('an object of this class');
  else writeProperties(writer, value, depth, extend);
}

function writeItems(writer: Writer, items: readonly unknown[], depth: number, extend?: Extend): void {
  // Fixed first: a toJSON of an item may change the array.
  const { length } = items;
  writer.array(length);
  for (let i = 0; i < length; i++) writeValue(writer, items[i], depth, extend);
}

function writeEntries(
  writer: Writer,
  entries: (readonly [unknown, unknown])[],
  depth: number,
  extend?: Extend,
): void {
  writer.map(entries.length);
  for (const [key, item] of entries) {
    if (key === '__proto__') refuse('the key __proto__');
    writeValue(writer, key, depth, extend);
    writeValue(writer, item, depth, extend);
  }
}

function writeProperties(writer: Writer, value: object, depth: number, extend?: Extend): void {
  const keys = Object.keys(value);
  // Read once: a getter may say something else the next time.
  const items: unknown[] = Object.values(value);
  if (items.length !== keys.length) refuse('an object that changes while it is read');
  let count = 0;
  for (const item of items) if (item !== undefined) count++;
  writer.map(count);
  for (let i = 0; i < items.length; i++) {
    if (items[i] === undefined) continue;
    if (keys[i] === '__proto__') refuse('the key __proto__');
    writeValue(writer, keys[i], depth);
    writeValue(writer, items[i], depth, extend);
  }
}

/** The timestamp ext in the shortest of its three forms. */
function writeDate(writer: Writer, value: Date): void {
  const ms = value.getTime();
  if (Number.isNaN(ms)) refuse('an invalid Date');
  const seconds = Math.floor(ms / 1000);
  const nanos = (ms - seconds * 1000) * 1e6;
  if (seconds < 0 || seconds >= 2 ** 34) {
    writer.big(0xc70c, 2);
    writer.byte(0xff);
    writer.big(nanos, 4);
    writer.view(8).setBigInt64(0, BigInt(seconds));
  } else if (nanos > 0 || seconds > 0xffffffff) {
    writer.byte(0xd7);
    writeWide(writer, 0xff, (BigInt(nanos) << 34n) | BigInt(seconds));
  } else {
    writer.byte(0xd6);
    writer.byte(0xff);
    writer.big(seconds, 4);
  }
}

function writeExtension(writer: Writer, code: number, data: Uint8Array): void {
  const { length } = data;
  if (length > 0 && length <= 16 && (length & (length - 1)) === 0) writer.byte(0xd4 + Math.log2(length));
  else {
    const wide = length < 0x100 ? 0 : length < 0x10000 ? 1 : 2;
    writer.byte(0xc7 + wide);
    writer.big(length, 1 << wide);
  }
  writer.byte(code);
  writer.raw(data);
}

/**
 * One value as MessagePack, `depth` levels deep in another. `undefined` in arrays and maps with keys becomes nil, properties that are `undefined` are left out.
 * @throws GatewayError `bad_payload`
 */
export function encodeMsgpack(value: unknown, extend?: Extend, depth = 0): Uint8Array {
  // A writer of its own: getters and toJSON of the value may encode something else meanwhile.
  const writer = new Writer(64);
  writeValue(writer, value, depth, extend);
  return writer.take();
}
