// Values on a link between two processes of a node: JSON where it will do, v8's format where bytes are among them.
import { deserialize, serialize } from 'node:v8';

/** JSON of an object begins with it, v8's format never does (0xff). */
const OPENING_BRACE = 0x7b;

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

/** A value with bytes somewhere in it. */
export function writeWithBytes(value: object): Uint8Array {
  return serialize(value);
}

/** @throws where `bytes` are neither */
export function readLinkValue(bytes: Buffer): unknown {
  return bytes[0] === OPENING_BRACE ? JSON.parse(bytes.toString()) : deserialize(bytes);
}
