// The queue of handshakes at a worker's door: order, pace, who is let in while others are still being served, and who is told to come back.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { DoorQueue } from '../../src/worker/door-queue.js';
import { until } from '../gateway-process.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));
const aWhile = () => new Promise((resolve) => setTimeout(resolve, 30));

describe('enter', () => {
  let events: string[];
  let gone: Set<number>;
  let owed: number;
  let silent: number;
  let now: number;
  let queue: DoorQueue;
  let last: number;

  beforeEach(() => {
    events = [];
    gone = new Set();
    owed = silent = now = last = 0;
    queue = new DoorQueue({ owed: () => owed, silent: () => silent, now: () => now });
  });

  afterEach(() => {
    queue.close();
  });

  function come(size: number): void {
    for (let i = 0; i < size; i++) {
      const number = ++last;
      queue.enter({
        begin: () => events.push(`begin ${String(number)}`),
        refuse: () => events.push(`refuse ${String(number)}`),
        isGone: () => gone.has(number),
      });
    }
  }

  const begun = (from: number, to: number): string[] =>
    Array.from({ length: to - from + 1 }, (_, i) => `begin ${String(from + i)}`);

  test('completes a handshake at once when nobody waits', () => {
    come(1);
    expect(events).toEqual(['begin 1']);
  });

  test('completes a crowd by and by, 16 a turn, in the order in which it came', async () => {
    come(40);
    expect(events).toEqual(begun(1, 16));
    await turn();
    expect(events.length).toBeLessThanOrEqual(32);
    // Who comes now is last.
    come(1);
    await until(() => events.length === 41);
    expect(events).toEqual(begun(1, 41));
  });

  test('holds everybody while what was begun is not finished, and goes on when it is', async () => {
    owed = 64;
    come(20);
    await aWhile();
    expect(events).toEqual([]);
    owed = 63;
    await until(() => events.length === 20);
    expect(events).toEqual(begun(1, 20));
  });

  test('lets nobody overtake those who wait, when there is room again before they were looked at', async () => {
    owed = 64;
    come(2);
    owed = 0;
    come(1);
    await until(() => events.length === 3);
    expect(events).toEqual(begun(1, 3));
  });

  test('stops in the middle of a turn when what it lets in makes the worker fall behind', async () => {
    owed = 64;
    const names: string[] = [];
    for (const name of ['a', 'b', 'c', 'd', 'e'])
      queue.enter({
        begin: () => {
          names.push(name);
          owed++;
        },
        refuse: () => undefined,
        isGone: () => false,
      });
    owed = 60;
    await until(() => names.length >= 4);
    await aWhile();
    expect(names).toEqual(['a', 'b', 'c', 'd']);
  });

  test('counts two who have not said hello yet as one who is being served', async () => {
    owed = 32;
    silent = 64;
    come(1);
    await aWhile();
    expect(events).toEqual([]);
    silent = 63;
    await until(() => events.length === 1);
  });

  test('refuses those who have waited for 8 s, and nobody else', async () => {
    owed = 1000;
    come(20);
    now = 7_999;
    come(1);
    await aWhile();
    expect(events).toEqual([]);
    now = 8_000;
    await until(() => events.length === 20);
    await aWhile();
    expect(events).toEqual(Array.from({ length: 20 }, (_, i) => `refuse ${String(i + 1)}`));
    owed = 0;
    await until(() => events.length === 21);
    expect(events.at(-1)).toBe('begin 21');
  });

  test('passes over those who have gone', async () => {
    owed = 64;
    come(40);
    for (let number = 1; number < 40; number++) gone.add(number);
    owed = 0;
    await until(() => events.length === 1);
    await turn();
    expect(events).toEqual(['begin 40']);
  });

  test('refuses one more than may wait', () => {
    owed = 64;
    come(8_192);
    expect(events).toEqual([]);
    come(1);
    expect(events).toEqual(['refuse 8193']);
  });

  test('refuses those who wait when it is closed, and those who would have to', () => {
    owed = 64;
    come(2);
    queue.close();
    come(1);
    expect(events).toEqual(['refuse 1', 'refuse 2', 'refuse 3']);
  });
});
