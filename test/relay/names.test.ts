// Names read from bytes: the same string for the same bytes, whatever stood there before.
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Names } from '../../src/relay/names.js';

const text = fc.oneof(
  // So few that they come again, and so many that some want the same place.
  fc.integer({ min: 0, max: 20_000 }).map((number) => `client-${String(number)}`),
  fc.stringMatching(/^[A-Za-z0-9._~@:/+-]{0,100}$/),
  fc.string({ unit: 'grapheme', maxLength: 80 }),
);

test('Names reads every string as it was written, wherever it stands', () => {
  const names = new Names();
  fc.assert(
    fc.property(fc.array(text, { maxLength: 50 }), fc.string(), (texts, before) => {
      for (const each of texts) {
        const [head, body] = [Buffer.from(before), Buffer.from(each)];
        const bytes = Buffer.concat([head, body, Buffer.from('behind')]);
        expect(names.read(bytes, head.length, head.length + body.length)).toBe(body.toString());
      }
    }),
    { numRuns: 500 },
  );
});

test('Names reads each of many names that want the same places', () => {
  const names = new Names();
  for (const round of [0, 1]) {
    for (let i = 0; i < 10_000; i++) {
      const bytes = Buffer.from(`${String(i)}.session`);
      expect(names.read(bytes, 0, bytes.length)).toBe(`${String(i)}.session`);
    }
    expect(round).toBeLessThan(2);
  }
});
