// The throttle: who draws from which bucket, and what happens to those that nobody draws from any more.
import { expect, test } from '@jest/globals';
import { Throttle, type Throttled, type ThrottleRates } from '../../src/session/throttle.js';

const OFF = { perSecond: 0, burst: 1 };
const TEN = { perSecond: 10, burst: 1 };
const RATES: ThrottleRates = {
  connection: { messages: OFF, bytes: OFF },
  client: { messages: OFF, bytes: OFF },
  address: { messages: OFF, bytes: OFF },
};

/** A connection that notes what the throttle does to it. */
function session(client: string, address: string): Throttled & { done: (number | string)[] } {
  const done: (number | string)[] = [];
  const note = (what: number | string): void => void done.push(what);
  return { usages: null, ref: { client }, connection: { address, pause: note, close: note }, done };
}

function throttle(rates: Partial<ThrottleRates>): { counted: string[]; at: (ms: number) => Throttle } {
  let now = 0;
  const counted: string[] = [];
  const made = new Throttle(
    { ...RATES, ...rates },
    (scope) => void counted.push(scope),
    () => now,
  );
  return { counted, at: (ms) => ((now = ms), made) };
}

test('the sessions of a client draw from one bucket, those of others from theirs', () => {
  const { at, counted } = throttle({ client: { messages: TEN, bytes: OFF } });
  const [one, two, other] = [session('alice', 'a'), session('alice', 'b'), session('bob', 'a')];
  expect([one, two, other].map((each) => at(1000).take(each, 1))).toEqual([true, true, true]);
  expect([one, two, other].map(({ done }) => done)).toEqual([[], [100], []]);
  expect(counted).toEqual(['client']);
});

test('bytes and messages are both paid for, the longer wait counts', () => {
  const { at } = throttle({ address: { messages: TEN, bytes: { perSecond: 100, burst: 10 } } });
  const [one, two] = [session('alice', 'a'), session('bob', 'a')];
  at(1000).take(one, 10);
  at(1000).take(two, 50);
  expect(two.done).toEqual([500]);
});

test('a debt is found again by who comes back, and a quiet client has one bucket again afterwards', () => {
  const { at } = throttle({ client: { messages: TEN, bytes: OFF } });
  const first = session('alice', 'a');
  at(1000).take(first, 1, 5);
  at(1100).prune();
  const second = session('alice', 'b');
  at(1100).take(second, 1);
  expect(second.done).toEqual([400]);
  // All is paid long since: who comes now finds a new bucket, and who was here before moves to it.
  at(10_000).prune();
  at(10_000).take(session('alice', 'c'), 1, 3);
  at(10_000).take(first, 1);
  expect(first.done).toEqual([400, 300]);
});

test('too much at once ends the connection, and is not forgiven by a new one', () => {
  const { at, counted } = throttle({ client: { messages: TEN, bytes: OFF } });
  const [flood, again] = [session('mallory', 'a'), session('mallory', 'a')];
  expect(at(1000).take(flood, 1, 200)).toBe(false);
  expect(at(1000).take(again, 1)).toBe(false);
  expect([flood.done, again.done]).toEqual([['rate_limited'], ['rate_limited']]);
  expect(counted).toEqual(['client', 'client']);
});
