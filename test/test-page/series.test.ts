// Figures of one quantity, against values worked out by hand.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Series, SERIES_LIMIT, spreadOf } from '../../src/test-page/series.js';

describe('a series', () => {
  test('has mean, sample deviation and 95th percentile by nearest rank', () => {
    expect(spreadOf([2, 4, 4, 4, 5, 5, 7, 9])).toEqual({ count: 8, mean: 5, sd: Math.sqrt(32 / 7), p95: 9 });
    const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect(spreadOf(hundred)?.p95).toBe(95);
    expect(spreadOf(hundred.slice(0, 20).map((_, i) => i + 1))?.p95).toBe(19);
  });

  test('has no deviation when it has one value, and nothing when it has none', () => {
    expect(spreadOf([7])).toEqual({ count: 1, mean: 7, sd: null, p95: 7 });
    expect(new Series().spread()).toBeNull();
  });

  test('keeps the newest values, and takes only numbers', () => {
    const series = new Series();
    for (let i = 0; i < SERIES_LIMIT + 5; i++) series.add(i);
    series.add(NaN, Infinity);
    expect([series.values.length, series.values[0], series.last]).toEqual([
      SERIES_LIMIT,
      5,
      SERIES_LIMIT + 4,
    ]);
  });

  test('has a percentile that was measured and a mean between the extremes, whatever came', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1 }), (values) => {
        const spread = spreadOf(values);
        if (spread === null) return false;
        const below = values.filter((value) => value <= spread.p95).length;
        const slack = 1e-6;
        return (
          values.includes(spread.p95) &&
          below >= values.length * 0.95 &&
          spread.mean >= Math.min(...values) - slack &&
          spread.mean <= Math.max(...values) + slack
        );
      }),
    );
  });
});
