// Ids of entries: the offset that is read for every message is the one that a look at the whole id finds.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { offsetIn, parseEntryId } from '../../../src/session/store/entry-id.js';

const epoch = fc.stringMatching(/^[A-Za-z0-9_-]{1,12}$/);
const id = fc
  .tuple(epoch, fc.integer({ min: 1, max: 10 ** 15 - 1 }), fc.nat(2 ** 31 - 1))
  .map(([log, offset, tag]) => `${log}:${String(offset)}-${String(tag)}`);
const spoilt = fc.oneof(
  id.map((text) => `${text}x`),
  id.map((text) => text.replace(':', ':0')),
  id.map((text) => text.replace('-', '--')),
  id.map((text) => `${text}00000000000`),
  id.map((text) => text.replace(':', ':9999999999999999')),
  fc.tuple(id, fc.nat(40)).map(([text, length]) => text.slice(0, length)),
  fc.string(),
);

describe('offsetIn', () => {
  test('finds what parseEntryId finds, in the log of the epoch', () => {
    fc.assert(
      fc.property(fc.oneof(id, spoilt), epoch, (text, other) => {
        const place = parseEntryId(text);
        for (const log of [text.split(':')[0] ?? '', other, '']) {
          const expected = place !== null && place.epoch === log ? place.offset : 0;
          expect(offsetIn(log, text)).toBe(expected);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
