// The timer wheel, moved by hand.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { TimerWheel } from '../../src/session/wheel.js';

describe('TimerWheel', () => {
  let now: number;
  let wheel: TimerWheel;
  beforeEach(() => {
    now = 12_345;
    wheel = new TimerWheel(() => now);
  });
  afterEach(() => {
    wheel.close();
  });
  const pass = (ms: number): void => {
    now += ms;
    wheel.advance();
  };

  test('runs a deadline once, never early, and at most two ticks late', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 5000 }),
        fc.array(fc.integer({ min: 1, max: 150 }), { minLength: 80, maxLength: 80 }),
        (delay, steps) => {
          const due = now + delay;
          const runs: number[] = [];
          wheel.in(delay, () => runs.push(now));
          for (const step of steps) pass(step);
          pass(10_000);
          expect(runs).toHaveLength(1);
          expect(runs[0]).toBeGreaterThanOrEqual(due);
        },
      ),
    );
  });

  test('runs deadlines in their order when the clock jumps over all of them', () => {
    const runs: string[] = [];
    wheel.in(900, () => runs.push('late'));
    wheel.in(100, () => runs.push('early'));
    wheel.in(500, () => runs.push('middle'));
    pass(5000);
    expect(runs).toEqual(['early', 'middle', 'late']);
  });

  test('runs nothing that was cancelled, also by a deadline of the same tick', () => {
    const runs: string[] = [];
    wheel.in(100, () => {
      runs.push('first');
      second.cancel();
    });
    const second = wheel.in(100, () => runs.push('second'));
    const third = wheel.in(300, () => runs.push('third'));
    third.cancel();
    third.cancel();
    pass(1000);
    expect(runs).toEqual(['first']);
  });

  test('runs a deadline that is armed while others run, in a later tick', () => {
    const runs: number[] = [];
    const again = (): void => {
      runs.push(now);
      if (runs.length < 3) wheel.in(0, again);
    };
    wheel.in(0, again);
    pass(200);
    pass(200);
    pass(200);
    expect(runs).toHaveLength(3);
  });

  test('runs nothing after it was closed', () => {
    let ran = false;
    wheel.in(100, () => (ran = true));
    wheel.close();
    pass(1000);
    expect(ran).toBe(false);
  });
});
