// Values on a link between two processes of a node: JSON, and behind it the bytes that are among them.

/** JSON of an object begins with the one, of an array with the other. */
const OPENING_BRACE = 0x7b;
const OPENING_BRACKET = 0x5b;
/** Begins a value with bytes: this, the length of its JSON, its JSON, the bytes of each place one after the other. */
const WITH_BYTES = 0x02;
const HEADER_BYTES = 5;
/** In the JSON, the length of bytes that stand behind it. */
const LENGTH = '#bytes';

/** True where a value of this type can hold bytes. */
export type HoldsBytes<T> = true extends BytesWithin<T> ? true : false;
type BytesWithin<T> = T extends Uint8Array
  ? true
  : T extends readonly (infer Item)[]
    ? BytesWithin<Item>
    : T extends object
      ? { [Name in keyof T]: BytesWithin<T[Name]> }[keyof T]
      : false;

/** A value without bytes, in a third of the time: v8's format costs more to set up than a small value is long. */
export function writeAsJson<T extends object>(value: HoldsBytes<T> extends true ? never : T): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

/** A value of plain objects and arrays with bytes somewhere in it; v8's own format takes three times as long. */
export function writeWithBytes(value: object): Uint8Array {
  const pieces: Uint8Array[] = [];
  const json = Buffer.from(JSON.stringify(takeBytes(value, pieces)));
  if (pieces.length === 0) return json;
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header[0] = WITH_BYTES;
  header.writeUInt32LE(json.length, 1);
  return Buffer.concat([header, json, ...pieces]);
}

/** @throws where `bytes` are neither form */
export function readLinkValue(bytes: Buffer): unknown {
  if (bytes[0] === OPENING_BRACE || bytes[0] === OPENING_BRACKET) return JSON.parse(bytes.toString());
  if (bytes[0] !== WITH_BYTES) throw new TypeError('no value of a link');
  const end = HEADER_BYTES + bytes.readUInt32LE(1);
  if (end > bytes.length) throw cutShort();
  const value: unknown = JSON.parse(bytes.toString('utf8', HEADER_BYTES, end));
  return putBytes(value, { bytes, at: end });
}

/** Copies only what leads to bytes. */
function takeBytes(value: unknown, pieces: Uint8Array[]): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) {
    pieces.push(value);
    return { [LENGTH]: value.length };
  }
  if (Array.isArray(value)) return value.map((item) => takeBytes(item, pieces));
  let copy: Record<string, unknown> | null = null;
  const fields = value as Record<string, unknown>;
  for (const name in fields) {
    const taken = takeBytes(fields[name], pieces);
    if (taken !== fields[name]) (copy ??= { ...fields })[name] = taken;
  }
  return copy ?? value;
}

/** In the order in which they were taken, which JSON keeps. */
function putBytes(value: unknown, from: { bytes: Buffer; at: number }): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const items = value as unknown[];
    for (const [i, item] of items.entries()) items[i] = putBytes(item, from);
    return items;
  }
  const fields = value as Record<string, unknown>;
  const length = fields[LENGTH];
  if (typeof length === 'number') {
    const start = from.at;
    from.at += length;
    if (from.at > from.bytes.length) throw cutShort();
    return from.bytes.subarray(start, from.at);
  }
  for (const name in fields) fields[name] = putBytes(fields[name], from);
  return fields;
}

function cutShort(): RangeError {
  return new RangeError('a value of a link is cut short');
}
