// The axis of the plots: everything that was measured is on it, and there are marks to read it by.
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { LogScale } from '../../src/test-page/scale.js';

test('a scale has all values inside, in their order, and two marks or more', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0.01, max: 1e5, noNaN: true }), { maxLength: 30 }), (values) => {
      const scale = new LogScale(values);
      const sorted = [...values].sort((a, b) => a - b);
      const places = sorted.map((value) => scale.place(value));
      const isInOrder = places.every((place, i) => i === 0 || place >= (places[i - 1] ?? 0));
      return (
        isInOrder &&
        places.every((place) => place >= 0 && place <= 1) &&
        scale.ticks.length >= 2 &&
        scale.ticks.length <= 8
      );
    }),
  );
});

test.each([[[1, 60]], [[1.5, 150]], [[0.3, 40]], [[2, 400]]])(
  'a scale of %j has three marks or more',
  (values) => {
    expect(new LogScale(values).ticks.length).toBeGreaterThanOrEqual(3);
  },
);

test('a scale puts what it was not made for at its edges', () => {
  const scale = new LogScale([10, 100]);
  expect([scale.place(0), scale.place(0.001), scale.place(1e9)]).toEqual([0, 0, 1]);
  expect(scale.place(Math.sqrt(1000))).toBeCloseTo(0.5);
});

test.each([[[1e-200]], [[1.5e308]], [[Infinity]], [[1e-200, 1.5e308]], [[5e-324, Infinity]]])(
  'a scale of %j, which nobody measured, has an end',
  (values) => {
    const scale = new LogScale(values);
    expect(scale.ticks.length).toBeLessThanOrEqual(20);
    expect(scale.ticks.every((tick) => tick >= 1e-7 && tick <= 1e13)).toBe(true);
    expect(values.every((value) => scale.place(value) >= 0 && scale.place(value) <= 1)).toBe(true);
  },
);
