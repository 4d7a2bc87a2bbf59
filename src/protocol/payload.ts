// Application data to payload and back: the one place where an SDK meets the bytes that the gateway only carries.
import { DEFLATED, DICTIONARY_SHIFT, PAYLOAD_CODECS } from './encoding.js';
import { GatewayError, ProtocolError } from './errors.js';
import type { Payload } from './frame.js';
import { isJsonSafe, nestsDeeper } from './json-text.js';
import { INFLATED_LIMIT_BYTES, PAYLOAD_DEPTH_LIMIT } from './limits.js';
import { decodeMsgpack, type ReadLimits, UTF8 } from './msgpack-reader.js';
import { encodeMsgpack } from './msgpack-values.js';

/** Inflates one zlib stream that was made with this dictionary; throws `too_big` past the limit, else `bad_payload`. */
export type Inflate = (data: Uint8Array, dictionary: number, limitBytes: number) => Uint8Array;

export interface DecodePayloadOptions {
  /** Without it a deflated payload is refused. */
  inflate?: Inflate;
}

/** Of MessagePack in payloads. */
export const MSGPACK_LIMITS = {
  fault: 'bad_payload',
  depth: PAYLOAD_DEPTH_LIMIT,
  // Each value is a byte at least, and the bytes are bounded.
  items: INFLATED_LIMIT_BYTES,
} as const satisfies ReadLimits;

/** Of no data at all. */
export const NO_PAYLOAD: Payload = { encoding: PAYLOAD_CODECS.none, data: new Uint8Array() };

/**
 * `undefined` is no data at all, bytes are sent as they are, the rest is encoded.
 * @throws GatewayError `bad_payload` where no codec can carry the value
 */
export function encodePayload(data: unknown, encodeValue = asMsgpack): Payload {
  if (data === undefined) return NO_PAYLOAD;
  if (data instanceof Uint8Array) return { encoding: PAYLOAD_CODECS.bytes, data };
  if (data instanceof ArrayBuffer) return { encoding: PAYLOAD_CODECS.bytes, data: new Uint8Array(data) };
  try {
    return encodeValue(data);
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause;
    // A getter, or a toJSON of the application threw.
    throw new GatewayError('bad_payload', 'the data cannot be encoded', { cause });
  }
}

function asMsgpack(data: unknown): Payload {
  return { encoding: PAYLOAD_CODECS.msgpack, data: encodeMsgpack(data) };
}

/** For `encodePayload`: JSON where it can carry the value, MessagePack otherwise. */
export function asJson(data: unknown): Payload {
  if (!isJsonSafe(data, PAYLOAD_DEPTH_LIMIT)) return asMsgpack(data);
  return { encoding: PAYLOAD_CODECS.json, data: new TextEncoder().encode(JSON.stringify(data)) };
}

/**
 * @throws ProtocolError `bad_payload`, or `unknown_encoding` for a codec of an application (8–15), which has the `codec` and the
 * bytes (`data`); or `too_big` where it inflates past the limit
 */
export function decodePayload(payload: Payload, options?: DecodePayloadOptions | null): unknown {
  return readData(payload.encoding & 0x0f, plainBytes(payload, options));
}

/** Exactly one layer: what comes out is never inflated again. @throws ProtocolError */
export function plainBytes(payload: Payload, options?: DecodePayloadOptions | null): Uint8Array {
  return (payload.encoding & DEFLATED) === 0 ? payload.data : inflated(payload, options?.inflate);
}

function inflated(payload: Payload, inflate: Inflate | undefined): Uint8Array {
  if (inflate === undefined)
    throw new ProtocolError('bad_payload', 'a deflated payload, and no way to inflate it');
  return inflate(payload.data, payload.encoding >> DICTIONARY_SHIFT, INFLATED_LIMIT_BYTES);
}

/** What every SDK can read. */
export function readData(codec: number, data: Uint8Array): unknown {
  switch (codec) {
    case PAYLOAD_CODECS.none:
      return undefined;
    case PAYLOAD_CODECS.msgpack:
      return decodeMsgpack(data, MSGPACK_LIMITS);
    case PAYLOAD_CODECS.json:
      return parseJson(data);
    default:
      // A copy that is all of its buffer: an application may keep it, or look at its buffer.
      if (data.byteLength !== data.buffer.byteLength) data = new Uint8Array(data);
      if (codec === PAYLOAD_CODECS.bytes) return data;
      throw Object.assign(new ProtocolError('unknown_encoding'), { codec, data });
  }
}

function parseJson(data: Uint8Array): unknown {
  try {
    const value: unknown = JSON.parse(UTF8.decode(data));
    if (!nestsDeeper(value, PAYLOAD_DEPTH_LIMIT)) return value;
  } catch (cause) {
    throw new ProtocolError('bad_payload', 'the payload is not JSON', { cause });
  }
  throw new ProtocolError('bad_payload', 'nested too deep');
}
