// POSTs that overtake each other and come again: handed on in order and once, with a bound on what waits.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { POSTS_AHEAD_LIMIT } from '../../src/protocol/http-transport.js';
import { PostInbox, type PostOutcome } from '../../src/transport/post-inbox.js';

function inbox(limitBytes = 1000) {
  const taken: number[] = [];
  const box = new PostInbox((body) => taken.push(body[0] ?? -1), limitBytes);
  const outcomes: PostOutcome[] = [];
  const send = (number: number, bytes = 1): void => {
    box.receive(number, new Uint8Array(bytes).fill(number), (outcome) => outcomes.push(outcome));
  };
  return { box, taken, outcomes, send };
}

describe('a post inbox', () => {
  test('hands on each number once and in order, whatever comes when', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 200 }), (numbers) => {
        const { taken, outcomes, send } = inbox();
        for (const number of numbers) send(number);
        // What is still missing comes at last.
        for (let number = 1; number <= 20; number++) send(number);
        expect(taken).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
        // Each try is answered once.
        expect(outcomes).toHaveLength(numbers.length + 20);
      }),
    );
  });

  test('keeps no more than its limits ahead of the next number', () => {
    const { taken, outcomes, send } = inbox(10);
    send(1 + POSTS_AHEAD_LIMIT);
    expect(outcomes).toEqual(['ahead']);
    send(2, 8);
    send(3, 8);
    expect(outcomes).toEqual(['ahead', 'ahead']);
    send(1);
    expect([taken, outcomes]).toEqual([
      [1, 2],
      ['ahead', 'ahead', 'taken', 'taken'],
    ]);
  });

  test('answers a try that a newer one replaces, and all that wait when it ends', () => {
    const { box, taken, outcomes, send } = inbox();
    send(2);
    send(2);
    expect(outcomes).toEqual(['ahead']);
    box.end();
    send(1);
    expect([taken, outcomes]).toEqual([[], ['ahead', 'gone', 'gone']]);
  });

  test('hands nothing on during a pause, and all of it after, in order', async () => {
    const { box, taken, outcomes, send } = inbox();
    box.pause(20);
    for (const number of [2, 1, 3]) send(number);
    expect(taken).toEqual([]);
    await new Promise<void>((resolve) => {
      const look = setInterval(() => {
        if (outcomes.length < 3) return;
        clearInterval(look);
        resolve();
      }, 5);
    });
    expect(taken).toEqual([1, 2, 3]);
  });
});
