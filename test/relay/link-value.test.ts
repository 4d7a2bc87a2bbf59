// What processes of a node say to each other comes out as it went in, whichever of the two forms carries it.
import { describe, expect, test } from '@jest/globals';
import { readLinkValue, writeAsJson, writeWithBytes } from '../../src/relay/link-value.js';

/** Bytes come back as Buffers. */
function asBuffers(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (Array.isArray(value)) return value.map(asBuffers);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, asBuffers(field)]));
}

describe('a value on a link', () => {
  const value = { id: 1, args: [{ client: 'zoë', resume: null }, [], true, 'a"b\u2028\n'] };

  test('comes out of JSON as it went in', () => {
    expect(readLinkValue(Buffer.from(writeAsJson(value)))).toEqual(value);
  });

  test('comes out with its bytes as it went in', () => {
    const entries = [new Uint8Array(0), new Uint8Array([1])].map((body) => ({ id: 'a', body }));
    const withBytes = { ...value, body: new Uint8Array([0, 0x7b, 255]), entries };
    const read = readLinkValue(Buffer.from(writeWithBytes(withBytes)));
    expect(JSON.stringify(read)).toBe(JSON.stringify(asBuffers(withBytes)));
  });

  test('is never taken for the other form', () => {
    expect(writeAsJson({})[0]).toBe(0x7b);
    expect(writeWithBytes({ body: new Uint8Array(1) })[0]).not.toBe(0x7b);
  });

  test('that is neither is refused', () => {
    for (const bytes of ['', '{', 'null', '\u0000', '\u0002', '\u0002\u0009\u0000\u0000\u0000{"a":1}'])
      expect(() => readLinkValue(Buffer.from(bytes))).toThrow();
  });
});
