// How a payload's bytes are encoded: one byte in front of the payload, never looked behind by the gateway.

/** Low four bits: the codec of the payload. 8–15 belong to the application. */
export const PAYLOAD_CODECS = { none: 0, msgpack: 1, json: 2, bytes: 3 } as const;
export type PayloadCodec = keyof typeof PAYLOAD_CODECS;

/** Bit 4: the bytes are one zlib stream (RFC 1950). */
export const DEFLATED = 0x10;
/** Bits 5–7: the preset dictionary of that stream; 0 is none. Ids are permanent. */
export const DICTIONARY_SHIFT = 5;
export const SDP_DICTIONARY_ID = 1;

export interface Encoding {
  codec: number;
  deflated: boolean;
  dictionary: number;
}

export function packEncoding(encoding: Encoding): number {
  return encoding.codec | (encoding.deflated ? DEFLATED : 0) | (encoding.dictionary << DICTIONARY_SHIFT);
}

export function unpackEncoding(byte: number): Encoding {
  return { codec: byte & 0x0f, deflated: (byte & DEFLATED) !== 0, dictionary: byte >> DICTIONARY_SHIFT };
}

/** A byte that this version understands well enough to pass on: a dictionary only with deflate, and one it knows. */
export function isEncoding(value: unknown): value is number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 255) return false;
  return value >> DICTIONARY_SHIFT <= ((value & DEFLATED) === 0 ? 0 : SDP_DICTIONARY_ID);
}
