// Application data to payload and back.
import { deflateSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { deflatePayload, inflateWith } from '../../src/protocol/compression.js';
import { DEFLATED, PAYLOAD_CODECS } from '../../src/protocol/encoding.js';
import { GatewayError } from '../../src/protocol/errors.js';
import { asJson, decodePayload, encodePayload } from '../../src/protocol/payload.js';
import { zlibCompressor } from '../../src/session/zlib-compressor.js';

const inflate = inflateWith(zlibCompressor);
const utf8 = (text: string) => new TextEncoder().encode(text);
const anything = fc.anything({ withDate: true, withMap: true, withBigInt: false, withNullPrototype: false });

// The one key that is refused.
const jsonData = fc.jsonValue().filter((data) => !JSON.stringify(data).includes('__proto__'));

describe('encodePayload', () => {
  test.each<[string, unknown, number]>([
    ['none', undefined, PAYLOAD_CODECS.none],
    ['bytes', new Uint8Array([1, 2]), PAYLOAD_CODECS.bytes],
    ['msgpack', null, PAYLOAD_CODECS.msgpack],
    ['msgpack', { a: [1, new Uint8Array([3])] }, PAYLOAD_CODECS.msgpack],
  ])('gives %s for %p', (_, data, encoding) => {
    const payload = encodePayload(data);
    expect(payload.encoding).toBe(encoding);
    expect(decodePayload(payload)).toEqual(data);
  });

  test('takes an ArrayBuffer as bytes', () => {
    expect(encodePayload(new Uint8Array([1, 2]).buffer)).toEqual({
      encoding: 3,
      data: new Uint8Array([1, 2]),
    });
  });

  test.each<[string, unknown]>([
    ['a Date', new Date(5)],
    ['bytes inside', [new Uint8Array([1])]],
    ['a Map', new Map([[1, 2]])],
    ['NaN', NaN],
    ['an infinite number', [-Infinity]],
    ['-0', -0],
    ['a bigint', 2n ** 60n],
    ['undefined in an array', [undefined]],
    ['a hole in an array', [1, , 2]],
  ])('leaves JSON for MessagePack where the data are %s', (_, data) => {
    expect(encodePayload(data, asJson).encoding).toBe(PAYLOAD_CODECS.msgpack);
  });

  test('writes JSON where JSON carries the data', () => {
    const data = { a: [1, 'é', null], gone: undefined, toJSON: undefined };
    expect(encodePayload(data, asJson)).toEqual({ encoding: 2, data: utf8('{"a":[1,"é",null]}') });
    class Candidate {
      toJSON() {
        return { candidate: 'x' };
      }
    }
    expect(encodePayload(new Candidate(), asJson)).toEqual({
      encoding: 2,
      data: utf8('{"candidate":"x"}'),
    });
  });

  test.each([
    ['a function', () => 1],
    [
      'a getter that throws',
      {
        get a() {
          throw new RangeError('mine');
        },
      },
    ],
    [
      'a toJSON that throws',
      {
        toJSON() {
          throw new RangeError('mine');
        },
      },
    ],
  ])('refuses %s with bad_payload in both codecs', (_, data) => {
    for (const encodeValue of [undefined, asJson]) {
      expect(() => encodePayload(data, encodeValue)).toThrow(
        expect.objectContaining({ code: 'bad_payload' }),
      );
    }
  });

  test('throws nothing but GatewayError, and what it encodes decodes', () => {
    fc.assert(
      fc.property(anything, fc.constantFrom(undefined, asJson), (data, encodeValue) => {
        try {
          decodePayload(encodePayload(data, encodeValue));
        } catch (error) {
          expect(error).toBeInstanceOf(GatewayError);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('gives JSON data back as MessagePack does', () => {
    fc.assert(
      fc.property(jsonData, (data) => {
        const both = [undefined, asJson].map((encodeValue) =>
          decodePayload(encodePayload(data, encodeValue)),
        );
        expect(both).toEqual([data, data]);
      }),
    );
  });
});

describe('decodePayload', () => {
  const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
  test.each<[string, number, Uint8Array]>([
    ['MessagePack', PAYLOAD_CODECS.msgpack, new Uint8Array([0xc1])],
    ['MessagePack with something behind it', PAYLOAD_CODECS.msgpack, new Uint8Array([1, 1])],
    ['JSON', PAYLOAD_CODECS.json, utf8('{')],
    ['UTF-8', PAYLOAD_CODECS.json, new Uint8Array([0x22, 0xff, 0x22])],
    ['shallow JSON', PAYLOAD_CODECS.json, utf8(deep(65))],
    ['zlib', PAYLOAD_CODECS.json | DEFLATED, new Uint8Array([1, 2])],
  ])('refuses what is not %s with bad_payload', (_, encoding, data) => {
    expect(() => decodePayload({ encoding, data }, { inflate })).toThrow(
      expect.objectContaining({ code: 'bad_payload' }),
    );
  });

  test('refuses a codec that nobody knows yet with unknown_encoding', () => {
    expect(() => decodePayload({ encoding: 5, data: new Uint8Array() })).toThrow(
      expect.objectContaining({ code: 'unknown_encoding', codec: 5 }),
    );
  });

  test('takes JSON as deep as the limit', () => {
    expect(decodePayload({ encoding: 2, data: utf8(deep(64)) })).toBeInstanceOf(Array);
  });

  test('inflates, and refuses to without a way to', () => {
    const data = 'to be or not to be '.repeat(40);
    const deflated = deflatePayload(encodePayload(data), zlibCompressor);
    expect(deflated.encoding & DEFLATED).toBe(DEFLATED);
    expect(decodePayload(deflated, { inflate })).toBe(data);
    expect(() => decodePayload(deflated)).toThrow(expect.objectContaining({ code: 'bad_payload' }));
  });

  test('inflates one layer only', () => {
    const inner = zlibCompressor.deflate(utf8('"x"'));
    const outer = { encoding: PAYLOAD_CODECS.json | DEFLATED, data: zlibCompressor.deflate(inner) };
    expect(() => decodePayload(outer, { inflate })).toThrow(expect.objectContaining({ code: 'bad_payload' }));
  });

  test('refuses a payload that inflates past the limit with too_big', () => {
    const bomb = zlibCompressor.deflate(new Uint8Array(8 * 1024 * 1024));
    expect(bomb.length).toBeLessThan(10_000);
    const payload = { encoding: PAYLOAD_CODECS.bytes | DEFLATED, data: bomb };
    expect(() => decodePayload(payload, { inflate })).toThrow(expect.objectContaining({ code: 'too_big' }));
  });

  test('gives bytes that do not share memory with the frame', () => {
    const frame = new Uint8Array([9, 1, 2]);
    const bytes = decodePayload({ encoding: 3, data: frame.subarray(1) });
    frame.fill(0);
    expect(bytes).toEqual(new Uint8Array([1, 2]));
  });

  test.each([9, 0x19])('tells codec and bytes of an application’s own codec, inflated (%i)', (encoding) => {
    const frame = new Uint8Array([9, 1, 2]);
    const payload = { encoding: 9, data: frame.subarray(1) };
    const sent = encoding === 9 ? payload : { encoding, data: deflateSync(payload.data) };
    let error: unknown;
    try {
      decodePayload(sent, { inflate });
    } catch (thrown) {
      error = thrown;
    }
    frame.fill(0);
    expect(error).toMatchObject({ code: 'unknown_encoding', codec: 9, data: new Uint8Array([1, 2]) });
  });
});
