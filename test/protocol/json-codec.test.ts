// Payloads in JSON frames: text that stays the text it was, and what a gateway does with what JSON cannot carry.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DEFLATED, PAYLOAD_CODECS } from '../../src/protocol/encoding.js';
import { ProtocolError } from '../../src/protocol/errors.js';
import { FRAME_LIMIT_BYTES } from '../../src/protocol/limits.js';
import type { Payload } from '../../src/protocol/frame.js';
import { createJsonCodec } from '../../src/protocol/json-codec.js';
import { elementText, nestsDeeper } from '../../src/protocol/json-text.js';
import { encodeMsgpack } from '../../src/protocol/msgpack-values.js';
import { deflatePayload } from '../../src/protocol/compression.js';
import { inflatePayload, zlibCompressor } from '../../src/session/zlib-compressor.js';
import { payload as anyPayload } from './frame-arbitraries.js';

const codec = createJsonCodec();
const inflating = createJsonCodec({ inflate: inflatePayload });
const utf8 = (text: string) => new TextEncoder().encode(text);
const json = (text: string): Payload => ({ encoding: PAYLOAD_CODECS.json, data: utf8(text) });
const msgpack = (value: unknown): Payload => ({
  encoding: PAYLOAD_CODECS.msgpack,
  data: encodeMsgpack(value),
});

/** Encoding and payload as a gateway writes them for a client that reads JSON. */
function shown(payload: Payload, by = codec): string {
  const text = by.encodeGateway({ type: 'response', ref: 1, payload });
  expect(typeof text).toBe('string');
  expect(() => JSON.parse(String(text))).not.toThrow();
  return String(text).slice('[23,1,'.length, -1);
}

/** Text of the payload that a client's frame carries. */
function received(elements: string): string | null {
  const frame = codec.decodeClient(`[18,1,{},"e",${elements}]`);
  return 'payload' in frame
    ? `${frame.payload.encoding}:${Buffer.from(frame.payload.data).toString()}`
    : null;
}

describe('a JSON payload from a client', () => {
  test.each([
    '12345678901234567890',
    '0.10000000000000000000001',
    '1e400',
    '-0',
    '"\\u0041\\"],[{"',
    '"\\\\"',
    '{ "b":1,\n"a" : [ "}" , {} ] }',
    '[[],[[]],"]"]',
    'null',
    '""',
  ])('stays the text that it was: %s', (text) => {
    expect(received(`"json",${text}`)).toBe(`2:${text}`);
    expect(received(`"json" , ${text} `)).toBe(`2:${text}`);
    expect(received(`"json",${text},"elements of a later version",[]`)).toBe(`2:${text}`);
  });

  test('is found behind options and targets that look like it', () => {
    const frame = codec.decodeClient(
      '[16,1,null,{"trace":"a","x":"],\\"json\\",1]"},["bob","carol"],"e","json",{"a":[1,2]}]',
    );
    expect('payload' in frame && Buffer.from(frame.payload.data).toString()).toBe('{"a":[1,2]}');
  });

  test('may come in bytes, but only in UTF-8', () => {
    expect(codec.decodeClient(utf8('[18,1,{},"e","json","é"]'))).toMatchObject({ payload: json('"é"') });
    const broken = Uint8Array.from([...utf8('[18,1,{},"e","json","'), 0xff, ...utf8('"]')]);
    expect(() => codec.decodeClient(broken)).toThrow(ProtocolError);
  });

  test.each([
    ['a name that nobody has', '"brotli",""'],
    ['a name that is a number', '2,""'],
    ['an inherited name', '"constructor",""'],
    ['base64 with a space', '"bytes","AA A="'],
    ['base64 without its padding', '"bytes","AA"'],
    ['base64url', '"bytes","__-_"'],
    ['bytes that are no string', '"bytes",[1,2]'],
    ['none with a value', '"none",0'],
    ['nothing after json', '"json"'],
    ['none, deflated', '"none+deflate",""'],
    ['a dictionary that nobody has', '"json+deflate/2",""'],
    ['a dictionary without deflate', '"json/1",""'],
  ])('is refused when it is %s', (_, elements) => {
    expect(() => received(elements)).toThrow(expect.objectContaining({ code: 'bad_parameter', ref: 1 }));
  });

  test('nested 100,000 deep costs no stack', () => {
    const deep = '['.repeat(100_000) + ']'.repeat(100_000);
    expect(received(`"json",${deep}`)).toBe(`2:${deep}`);
  });
});

describe('a payload for a client that reads JSON', () => {
  test.each<[string, Payload, string]>([
    ['JSON as its text', json('{"big": 12345678901234567890}'), '"json",{"big": 12345678901234567890}'],
    ['no data', { encoding: 0, data: new Uint8Array() }, '"none",null'],
    ['bytes', { encoding: 3, data: new Uint8Array([0, 255]) }, '"bytes","AP8="'],
    ['an application codec', { encoding: 15, data: new Uint8Array([1]) }, '"app15","AQ=="'],
    [
      'an application codec, deflated with the dictionary',
      { encoding: 0x38, data: new Uint8Array([1]) },
      '"app8+deflate/1","AQ=="',
    ],
    ['a codec of a later version', { encoding: 5, data: new Uint8Array([1]) }, '"codec5","AQ=="'],
    ['JSON that is none', json('{"a":'), '"json+raw","eyJhIjo="'],
    ['JSON that would end the frame', json('1],[2'), '"json+raw","MV0sWzI="'],
    [
      'JSON that is not UTF-8',
      { encoding: 2, data: new Uint8Array([0x22, 0xff, 0x22]) },
      '"json+raw","Iv8i"',
    ],
    ['no JSON at all', json(''), '"json+raw",""'],
    ['JSON with a byte order mark', json('\ufeff1'), '"json+raw","77u/MQ=="'],
    [
      'MessagePack that JSON can carry',
      msgpack({ a: [1, 'é', null, true, 0.5] }),
      '"json",{"a":[1,"é",null,true,0.5]}',
    ],
    ['MessagePack with bytes', msgpack([new Uint8Array([1])]), '"msgpack","kcQBAQ=="'],
    ['MessagePack with a date', msgpack(new Date(0)), '"msgpack","1v8AAAAA"'],
    ['MessagePack with a number as key', msgpack(new Map([[1, 2]])), '"msgpack","gQEC"'],
    ['MessagePack with NaN', msgpack(NaN), '"msgpack","yn/AAAA="'],
    ['MessagePack with -0', msgpack(-0), '"msgpack","yoAAAAA="'],
    ['MessagePack with an integer beyond 2^53', msgpack(2n ** 53n), '"msgpack","zwAgAAAAAAAA"'],
    ['MessagePack that is broken', { encoding: 1, data: new Uint8Array([0xc1]) }, '"msgpack","wQ=="'],
    [
      'MessagePack with the key __proto__',
      { encoding: 1, data: new Uint8Array([0x81, 0xa9, ...utf8('__proto__'), 1]) },
      '"msgpack","galfX3Byb3RvX18B"',
    ],
  ])('shows %s', (_, payload, expected) => {
    expect(shown(payload)).toBe(expected);
    expect(shown(payload, inflating)).toBe(expected);
  });

  const long = { text: 'to be or not to be '.repeat(40) };

  test('is inflated where the gateway can', () => {
    for (const payload of [msgpack(long), json(JSON.stringify(long))]) {
      const deflated = deflatePayload(payload, zlibCompressor);
      expect(deflated.encoding).toBe(payload.encoding | DEFLATED);
      expect(shown(deflated, inflating)).toBe(`"json",${JSON.stringify(long)}`);
      expect(shown(deflated)).toBe(
        `"${payload.encoding === 1 ? 'msgpack' : 'json'}+deflate","${Buffer.from(deflated.data).toString('base64')}"`,
      );
    }
  });

  test('stays deflated where it is broken, or larger than a frame may be', () => {
    const broken = { encoding: PAYLOAD_CODECS.json | DEFLATED, data: new Uint8Array([1, 2, 3]) };
    expect(shown(broken, inflating)).toBe('"json+deflate","AQID"');
    const bomb = {
      encoding: broken.encoding,
      data: zlibCompressor.deflate(utf8(`"${'x'.repeat(FRAME_LIMIT_BYTES)}"`)),
    };
    expect(shown(bomb, inflating)).toMatch(/^"json\+deflate",/);
  });

  test('stays MessagePack where its JSON would be larger than a frame may be', () => {
    expect(shown(msgpack('\u0001'.repeat(FRAME_LIMIT_BYTES / 4)))).toMatch(/^"msgpack",/);
    expect(shown(msgpack('a'.repeat(FRAME_LIMIT_BYTES / 4)))).toMatch(/^"json",/);
  });

  test('never breaks the frame, whatever its sender says that it is', () => {
    fc.assert(
      fc.property(
        fc.oneof(anyPayload, fc.record({ encoding: fc.nat({ max: 63 }), data: fc.uint8Array() })),
        (payload) => {
          shown(payload);
          shown(payload, inflating);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

test('elementText gives each element of an array as its own JSON', () => {
  fc.assert(
    fc.property(fc.array(fc.json(), { minLength: 1 }), (elements) => {
      const text = `[${elements.map((element) => ` ${element}\n`).join(',')}]`;
      elements.forEach((element, at) => expect(elementText(text, at)).toBe(element.trim()));
    }),
  );
});

test('nestsDeeper counts lists and maps, not brackets in strings', () => {
  const value: unknown = JSON.parse('[{"[[[[\\"[[":[]}]');
  expect(nestsDeeper(value, 3)).toBe(false);
  expect(nestsDeeper(value, 2)).toBe(true);
});
