// One contract for every compressor, and the sender's choice of when and how to deflate.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { warmUp } from '../../src/client/compression.js';
import { pakoCompressor } from '../../src/client/pako-compressor.js';
import { deflatePayload, inflateWith, type Compressor } from '../../src/protocol/compression.js';
import { PAYLOAD_CODECS, unpackEncoding } from '../../src/protocol/encoding.js';
import { ProtocolError } from '../../src/protocol/errors.js';
import { asJson, decodePayload, encodePayload } from '../../src/protocol/payload.js';
import { SDP_DICTIONARY } from '../../src/protocol/sdp-dictionary.js';
import { zlibCompressor } from '../../src/session/zlib-compressor.js';

const LIMIT = 64 * 1024;
const utf8 = (text: string) => new TextEncoder().encode(text);
const joined = (...parts: Uint8Array[]) => Uint8Array.from(Buffer.concat(parts));
const samples = new URL('samples/', import.meta.url);
const sample = async (name: string): Promise<unknown> =>
  JSON.parse(await readFile(new URL(name, samples), 'utf8'));

const compressors: [string, Compressor, Compressor][] = [
  ['zlib', zlibCompressor, pakoCompressor],
  ['pako', pakoCompressor, zlibCompressor],
];

describe.each(compressors)('the %s compressor', (_, compressor, other) => {
  const faultOf = (data: Uint8Array, limit = LIMIT, dictionary?: Uint8Array) => {
    try {
      compressor.inflate(Uint8Array.from(data), dictionary, limit);
      return null;
    } catch (error) {
      if (error instanceof ProtocolError) return error.code;
      throw error;
    }
  };
  const good = zlibCompressor.deflate(utf8('to be or not to be '.repeat(20)));

  test('inflates what the other deflates, with and without dictionary', () => {
    const dictionaries = fc.constantFrom(undefined, SDP_DICTIONARY);
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 3000 }),
        fc.integer({ min: 1, max: 20 }),
        dictionaries,
        (bytes, times, dictionary) => {
          const data = joined(...Array.from({ length: times }, () => bytes));
          const inflated = compressor.inflate(other.deflate(data, dictionary), dictionary, LIMIT);
          expect(inflated).toEqual(data);
        },
      ),
    );
  });

  test('inflates up to the limit and not a byte past it', () => {
    for (const length of [1, 1000, 16 * 1024, 16 * 1024 + 1, LIMIT]) {
      const data = compressor.deflate(new Uint8Array(length));
      expect(compressor.inflate(data, undefined, length)).toHaveLength(length);
      expect(faultOf(data, length - 1)).toBe('too_big');
    }
  });

  test('stops at the limit when 8 KB inflate to 8 MiB', () => {
    expect(faultOf(zlibCompressor.deflate(new Uint8Array(8 * 1024 * 1024)))).toBe('too_big');
  });

  test.each([120, 127, 250, 400, 900, 1_900, 2_000, 7_000, 30_000])(
    'sees that %i bytes are there twice',
    (length) => {
      const once = Uint8Array.from(
        { length },
        (_byte, at) => createHash('sha1').update(String(at)).digest()[0] ?? 0,
      );
      const deflated = compressor.deflate(joined(once, once));
      expect(deflated.length).toBeLessThan(length * 1.05 + 40);
      const known = compressor.deflate(joined(SDP_DICTIONARY.slice(0, 500), once), SDP_DICTIONARY);
      expect(known.length).toBeLessThan(length * 1.05 + 40);
    },
  );

  test.each([65_535, 65_536, 65_537, 1_048_576])('gives back %i bytes that cannot be smaller', (length) => {
    const data = Uint8Array.from({ length }, (_byte, at) => Math.imul(at * at + 7, 2_654_435_761) >>> 24);
    expect(compressor.inflate(other.deflate(data), undefined, length)).toEqual(data);
    expect(other.inflate(compressor.deflate(data, SDP_DICTIONARY), SDP_DICTIONARY, length)).toEqual(data);
  });

  test.each([700, 1_500, 1_786, 6_000])('takes a block of its own for nothing of %i letters', (length) => {
    const letters = Uint8Array.from(
      { length },
      (_byte, at) => 40 + ((Math.imul(at * at + 7, 2_654_435_761) >>> 24) & 63),
    );
    expect(compressor.deflate(letters).length).toBeLessThanOrEqual(deflateSync(letters).length + 2);
  });

  test('inflates no data to no data', () => {
    expect(compressor.inflate(other.deflate(new Uint8Array()), undefined, LIMIT)).toEqual(new Uint8Array());
  });

  test.each<[string, Uint8Array]>([
    ['no bytes', new Uint8Array()],
    ['a wrong checksum', Uint8Array.from(good, (byte, at) => (at === good.length - 1 ? byte ^ 1 : byte))],
    ['a wrong header', Uint8Array.from(good, (byte, at) => (at === 1 ? byte ^ 1 : byte))],
    ['no zlib at all', utf8('hello, world')],
    ['gzip', Uint8Array.from(gzipSync('hello'))],
    ['raw deflate', Uint8Array.from(deflateRawSync('hello'))],
    ['two streams', joined(good, good)],
    ['two gzip members', joined(gzipSync('a'), gzipSync('b'))],
    ['a zero after the stream', joined(good, new Uint8Array(1))],
    ['a byte after the stream', joined(good, utf8('x'))],
    ['a dictionary that is not named', zlibCompressor.deflate(utf8('a'), SDP_DICTIONARY)],
  ])('refuses %s with bad_payload', (_name, data) => {
    expect(faultOf(data)).toBe('bad_payload');
  });

  test('refuses another dictionary than the one it was deflated with', () => {
    const data = compressor.deflate(utf8('hello'), utf8('hello'));
    expect(faultOf(data, LIMIT, SDP_DICTIONARY)).toBe('bad_payload');
  });

  test('refuses a stream that is cut at any place', () => {
    for (let at = 0; at < good.length; at++) expect(faultOf(good.subarray(0, at))).toBe('bad_payload');
  });

  test('throws nothing but ProtocolError on changed bytes', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 0, max: 255 }), (at, value) => {
        const changed = Uint8Array.from(good);
        changed[at % changed.length] = value;
        expect([null, 'bad_payload', 'too_big']).toContain(faultOf(changed));
      }),
    );
  });

  test('leaves its input as it was', () => {
    const input = Uint8Array.from(good);
    compressor.inflate(input, undefined, LIMIT);
    expect(input).toEqual(good);
  });
});

describe('deflatePayload', () => {
  test('leaves alone what is short, incompressible or deflated already', () => {
    const noise = Uint8Array.from(
      { length: 64 },
      (_, at) => createHash('sha256').update(String(at)).digest()[0] ?? 0,
    );
    for (const data of [
      'hi',
      'x'.repeat(200),
      joined(...Array.from({ length: 8 }, () => noise.slice(0, 1))),
      noise,
    ]) {
      const payload = encodePayload(data);
      expect(deflatePayload(payload, zlibCompressor)).toBe(payload);
    }
    const deflated = deflatePayload(encodePayload('x'.repeat(1000)), zlibCompressor);
    expect(unpackEncoding(deflated.encoding)).toEqual({
      codec: PAYLOAD_CODECS.msgpack,
      deflated: true,
      dictionary: 0,
    });
    expect(deflatePayload(deflated, zlibCompressor)).toBe(deflated);
  });

  test.each(['data-offer.json', 'data-answer.json', 'call-offer.json', 'call-answer.json'])(
    'uses the dictionary for %s and halves at least what deflate alone leaves',
    async (name) => {
      const data = await sample(name);
      for (const codec of ['msgpack', 'json'] as const) {
        const payload = encodePayload(data, codec === 'json' ? asJson : undefined);
        const deflated = deflatePayload(payload, pakoCompressor);
        expect(unpackEncoding(deflated.encoding)).toEqual({
          codec: payload.encoding,
          deflated: true,
          dictionary: 1,
        });
        const withoutDictionary = zlibCompressor.deflate(payload.data).length;
        const factor = codec === 'msgpack' ? 0.5 : 0.65;
        expect(deflated.data.length).toBeLessThan(withoutDictionary * factor);
        expect(decodePayload(deflated, { inflate: inflateWith(zlibCompressor) })).toEqual(data);
      }
    },
  );

  test('uses the dictionary for ICE candidates, short as they are', async () => {
    const candidates = await sample('candidates.json');
    expect(Array.isArray(candidates)).toBe(true);
    for (const candidate of Array.isArray(candidates) ? candidates : []) {
      const payload = encodePayload(candidate);
      const deflated = deflatePayload(payload, zlibCompressor);
      expect(deflated.encoding).toBe(0x31);
      expect(deflated.data.length).toBeLessThan(payload.data.length * 0.6);
      expect(decodePayload(deflated, { inflate: inflateWith(pakoCompressor) })).toEqual(candidate);
    }
  });
});

describe('dictionary 1', () => {
  test('is the one that everybody has, for ever', () => {
    expect(createHash('sha256').update(SDP_DICTIONARY).digest('hex')).toBe(
      'ae789b1fbfc949203baaf9909c664ac5814bd7e90d83e085b69369556538f4f2',
    );
  });

  test('is the only one', () => {
    const data = zlibCompressor.deflate(utf8('a'));
    expect(() => inflateWith(zlibCompressor)(data, 2, LIMIT)).toThrow(
      expect.objectContaining({ code: 'bad_payload' }),
    );
  });
});

test('warming up runs both ways once', () => {
  const runs = (['deflate', 'inflate'] as const).map((way) => jest.spyOn(pakoCompressor, way));
  warmUp();
  expect(runs.map(({ mock }) => mock.calls.length)).toEqual([1, 1]);
  jest.restoreAllMocks();
});
