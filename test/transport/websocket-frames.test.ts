// What is put together once for all members of a room, and what is not.
import { expect, test } from '@jest/globals';
import { Framer } from '../../src/transport/websocket-frames.js';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

test('connections with the same messages share what was put together for the first', () => {
  const framer = new Framer();
  const [one, two] = [bytes(1), bytes(2)];
  const first = framer.chunks([one, two]);
  expect(first).toEqual([Buffer.from([0x82, 1, 1, 0x82, 1, 2])]);
  expect(framer.chunks([one, two])).toBe(first);
});

test('messages that only begin alike, come in another order or are other bytes are put together anew', () => {
  const framer = new Framer();
  const [one, two] = [bytes(1), bytes(2)];
  framer.chunks([one, two]);
  expect(framer.chunks([one])).toEqual([Buffer.from([0x82, 1, 1])]);
  expect(framer.chunks([two, one])).toEqual([Buffer.from([0x82, 1, 2, 0x82, 1, 1])]);
  expect(framer.chunks([two, bytes(3)])).toEqual([Buffer.from([0x82, 1, 2, 0x82, 1, 3])]);
  expect(framer.chunks([])).toEqual([]);
});
