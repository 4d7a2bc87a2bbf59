// The vectors that are published for clients in other languages hold for our own codecs.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { pakoCompressor } from '../../src/client/pako-compressor.js';
import { inflateWith } from '../../src/protocol/compression.js';
import { DICTIONARY_SHIFT } from '../../src/protocol/encoding.js';
import { ProtocolError } from '../../src/protocol/errors.js';
import { TYPES, type FrameCodec } from '../../src/protocol/frame.js';
import { createJsonCodec } from '../../src/protocol/json-codec.js';
import { INFLATED_LIMIT_BYTES } from '../../src/protocol/limits.js';
import { msgpackCodec } from '../../src/protocol/msgpack-codec.js';
import { asJson, decodePayload, encodePayload } from '../../src/protocol/payload.js';
import { SDP_DICTIONARY } from '../../src/protocol/sdp-dictionary.js';
import { zlibCompressor } from '../../src/session/zlib-compressor.js';

type Side = 'client' | 'gateway';
interface Vectors {
  dictionaries: Record<string, { sha256: string; base64: string }>;
  frames: { name: string; from: Side; frame: Record<string, unknown>; msgpack: string; json: string }[];
  alsoValid: { name: string; from: Side; frame: string; msgpack: string; json: string }[];
  payloads: { name: string; encoding: number; hex: string; value?: unknown }[];
  timestamps: { name: string; encoding: number; hex: string; time: string }[];
  compression: { name: string; encoding: number; hex: string; inflated: string }[];
  invalidCompression: { name: string; encoding: number; hex: string }[];
  shownToJsonClients: { name: string; encoding: number; hex: string; json: string }[];
  invalid: { name: string; from: Side; msgpack?: string; json?: string; code: string; ref: number }[];
}

const file = new URL('../../docs/protocol-vectors.json', import.meta.url);
const vectors: Vectors = JSON.parse(readFileSync(file, 'utf8'));
const jsonCodec = createJsonCodec({ inflate: inflateWith(zlibCompressor) });
const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'));
const hex = (data: Uint8Array | string) => Buffer.from(data).toString('hex');

/** Frames as the file shows them: payloads in hex. */
function shown(frame: object): object {
  if (!('payload' in frame)) return frame;
  const { encoding, data } = Object(frame.payload);
  return { ...frame, payload: { encoding, hex: hex(data) } };
}

function decode(codec: FrameCodec, from: Side, input: Uint8Array | string): object {
  return from === 'client' ? codec.decodeClient(input) : codec.decodeGateway(input);
}

function encode(codec: FrameCodec, from: Side, input: Uint8Array | string): string {
  const written =
    from === 'client'
      ? codec.encodeClient(codec.decodeClient(input))
      : codec.encodeGateway(codec.decodeGateway(input));
  return typeof written === 'string' ? written : hex(written);
}

describe('vectors', () => {
  test.each(vectors.frames)('frame: $name', ({ from, frame, msgpack, json }) => {
    expect(shown(decode(msgpackCodec, from, bytes(msgpack)))).toEqual(frame);
    expect(shown(decode(jsonCodec, from, json))).toEqual(frame);
    expect(encode(msgpackCodec, from, bytes(msgpack))).toBe(msgpack);
    expect(encode(jsonCodec, from, json)).toBe(json);
  });

  test('have every frame type', () => {
    expect(new Set(vectors.frames.map(({ frame }) => frame.type))).toEqual(new Set(Object.keys(TYPES)));
  });

  test.each(vectors.alsoValid)('also valid: $name', ({ from, frame, msgpack, json }) => {
    const meaning = vectors.frames.find(({ name }) => name === frame)?.frame;
    expect(shown(decode(msgpackCodec, from, bytes(msgpack)))).toEqual(meaning);
    expect(shown(decode(jsonCodec, from, json))).toEqual(meaning);
  });

  test.each(vectors.payloads)('payload: $name', ({ encoding, hex: data, value }) => {
    expect(decodePayload({ encoding, data: bytes(data) })).toEqual(value);
    const written = encodePayload(value, encoding === 2 ? asJson : undefined);
    expect([written.encoding, hex(written.data)]).toEqual([encoding, data]);
  });

  test.each(vectors.timestamps)('timestamp: $name', ({ encoding, hex: data, time }) => {
    expect(decodePayload({ encoding, data: bytes(data) })).toEqual(new Date(time));
    expect(hex(encodePayload(new Date(time)).data)).toBe(data);
  });

  test.each(vectors.compression)('compression: $name', ({ encoding, hex: data, inflated }) => {
    for (const compressor of [zlibCompressor, pakoCompressor]) {
      const inflate = inflateWith(compressor);
      expect(hex(inflate(bytes(data), encoding >> DICTIONARY_SHIFT, INFLATED_LIMIT_BYTES))).toBe(inflated);
    }
  });

  test.each(vectors.invalidCompression)('invalid compression: $name', ({ encoding, hex: data }) => {
    for (const compressor of [zlibCompressor, pakoCompressor]) {
      const inflate = inflateWith(compressor);
      expect(() => inflate(bytes(data), encoding >> DICTIONARY_SHIFT, INFLATED_LIMIT_BYTES)).toThrow(
        ProtocolError,
      );
    }
  });

  test.each(vectors.shownToJsonClients)('shown to JSON clients: $name', ({ encoding, hex: data, json }) => {
    const frame = { type: 'response', ref: 1, payload: { encoding, data: bytes(data) } } as const;
    expect(jsonCodec.encodeGateway(frame)).toBe(`[23,1,${json}]`);
  });

  test.each(vectors.invalid)('invalid: $name', ({ from, msgpack, json, code, ref }) => {
    const refusal = expect.objectContaining({ name: 'ProtocolError', code, ref });
    if (msgpack !== undefined) expect(() => decode(msgpackCodec, from, bytes(msgpack))).toThrow(refusal);
    if (json !== undefined) expect(() => decode(jsonCodec, from, json)).toThrow(refusal);
  });

  test('have the dictionary that the source has', () => {
    const { '1': one } = vectors.dictionaries;
    expect(one?.base64).toBe(Buffer.from(SDP_DICTIONARY).toString('base64'));
    expect(one?.sha256).toBe(createHash('sha256').update(SDP_DICTIONARY).digest('hex'));
  });
});
