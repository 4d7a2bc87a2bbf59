// Refused calls: each is counted, and those that are the caller's fault draw from its budget.
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Code } from '../../src/protocol/codes.js';
import { Refusals } from '../../src/session/refusals.js';
import { createReceiver } from '../relay/receiver.js';

describe('a refusal', () => {
  let counted: Code[];
  let now: number;
  let refusals: Refusals;
  beforeEach(() => {
    counted = [];
    now = 0;
    refusals = new Refusals(
      6,
      (code) => counted.push(code),
      () => now,
    );
  });
  const toldUntilClosed = (code: Code, most: number): number => {
    const { session, frames } = createReceiver('alice');
    for (let i = 1; i <= most; i++) {
      refusals.tell(session, i, code);
      if (frames.at(-1)?.type === 'goaway') return i;
    }
    return Infinity;
  };

  test('is told with its code and text, and counted', () => {
    const { session, frames } = createReceiver('alice');
    refusals.tell(session, 7, 'limit', 'At most 5.');
    expect(frames).toEqual([{ type: 'error', ref: 7, code: 'limit', text: 'At most 5.', expected: null }]);
    expect(counted).toEqual(['limit']);
  });

  test.each<[Code, number]>([
    ['forbidden', 7],
    ['limit', 7],
    ['bad_parameter', 7],
    ['not_found', 61],
    ['out_of_order', Infinity],
    ['unavailable', Infinity],
    ['timeout', Infinity],
  ])('of the code %s ends a session with six errors a minute at number %d', (code, number) => {
    expect(toldUntilClosed(code, 1000)).toBe(number);
    expect(counted).toHaveLength(Math.min(number, 1000));
  });

  test('is forgiven with time, and each session has its own budget', () => {
    const [alice, bob] = [createReceiver('alice'), createReceiver('bob')];
    for (let i = 1; i <= 6; i++) refusals.tell(alice.session, i, 'forbidden');
    refusals.tell(bob.session, 1, 'forbidden');
    now += 10_000;
    refusals.tell(alice.session, 7, 'forbidden');
    expect([alice, bob].flatMap(({ frames }) => frames).every(({ type }) => type === 'error')).toBe(true);
    refusals.tell(alice.session, 8, 'forbidden');
    expect(alice.frames.at(-1)?.type).toBe('goaway');
  });
});
