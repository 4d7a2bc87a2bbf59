// How soon a dead worker is replaced.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { backoffMs, nextFate } from '../src/supervision.js';

describe('nextFate', () => {
  test('counts early deaths in a row, and forgets them after a healthy life', () => {
    let fate = { failures: 0 };
    for (let i = 1; i <= 4; i++) {
      fate = nextFate(fate, 9_999);
      expect(fate.failures).toBe(i);
    }
    expect(nextFate(fate, 10_000).failures).toBe(0);
  });
});

describe('backoffMs', () => {
  test('is nothing after a single death', () => {
    expect(backoffMs(0, 0.9)).toBe(0);
    expect(backoffMs(1, 0.9)).toBe(0);
  });

  test('doubles from half a second up to half a minute', () => {
    expect([2, 3, 4, 5, 6, 7, 8, 9].map((failures) => backoffMs(failures, 1))).toEqual([
      500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000,
    ]);
  });

  test('never runs a tight loop, and never waits for longer than its limit', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 5000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (failures, random) => {
          const ms = backoffMs(failures, random);
          expect(ms).toBeGreaterThanOrEqual(250);
          expect(ms).toBeLessThanOrEqual(30_000);
        },
      ),
    );
  });
});
