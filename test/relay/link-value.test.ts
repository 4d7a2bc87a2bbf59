// What processes of a node say to each other comes out as it went in, whichever of the two forms carries it.
import { describe, expect, test } from '@jest/globals';
import { readLinkValue, writeAsJson, writeWithBytes } from '../../src/relay/link-value.js';

describe('a value on a link', () => {
  const value = { id: 1, args: [{ client: 'zoë', resume: null }, [], true, 'a"b\u2028\n'] };

  test('comes out of JSON as it went in', () => {
    expect(readLinkValue(Buffer.from(writeAsJson(value)))).toEqual(value);
  });

  test('comes out with its bytes as it went in', () => {
    const withBytes = { ...value, body: new Uint8Array([0, 0x7b, 255]) };
    const read = readLinkValue(Buffer.from(writeWithBytes(withBytes)));
    expect(read).toEqual(withBytes);
  });

  test('is never taken for the other form', () => {
    expect(writeAsJson({})[0]).toBe(0x7b);
    expect(writeWithBytes({})[0]).not.toBe(0x7b);
  });

  test('that is neither is refused', () => {
    for (const bytes of ['', '{', 'null', '\u0000'])
      expect(() => readLinkValue(Buffer.from(bytes))).toThrow();
  });
});
