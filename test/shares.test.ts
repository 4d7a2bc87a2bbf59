// Who rests from accepting: those that are ahead, and never so many that the port is closed.
import { beforeEach, expect, test } from '@jest/globals';
import { Shares } from '../src/shares.js';

let now: number;
let shares: Shares<string>;
/** Orders that were given: worker, accept, number. */
let orders: [string, boolean, number][];

beforeEach(() => {
  now = 0;
  orders = [];
  shares = new Shares(
    (...order) => orders.push(order),
    () => now,
  );
});

/** Each says how many it holds, and that it has done what it was told. */
function hear(loads: Record<string, number | null>): void {
  for (const [worker, connections] of Object.entries(loads))
    shares.heard(worker, connections, orders.findLast(([name]) => name === worker)?.[2] ?? 0);
}

test('nobody rests while all are about level', () => {
  hear({ a: 1000, b: 1000 });
  hear({ a: 1090, b: 910 });
  expect(orders).toEqual([]);
});

test('of few connections one worker may have some more', () => {
  hear({ a: 0, b: 0 });
  hear({ a: 4 });
  expect(orders).toEqual([]);
  hear({ a: 5 });
  expect(orders).toEqual([['a', false, 1]]);
});

test('who has no descriptor left rests until it has, and counts for nobody’s mean', () => {
  hear({ a: 1000, b: 1000 });
  hear({ b: null });
  expect(orders).toEqual([['b', false, 1]]);
  hear({ a: 3000, b: null });
  expect(orders).toHaveLength(1);
  hear({ b: 1000 });
  expect(orders.slice(1)).toEqual([['b', true, 2]]);
});

test('where nobody has a descriptor left one accepts all the same', () => {
  hear({ a: 1000, b: 1000 });
  hear({ a: null });
  hear({ b: null });
  expect(orders).toEqual([['a', false, 1]]);
});

test('a lone worker never rests', () => {
  hear({ a: 10_000 });
  expect(orders).toEqual([]);
});

test('who was ahead accepts again once the others have nearly caught up', () => {
  hear({ a: 1000, b: 1000 });
  hear({ a: 1300 });
  expect(orders).toEqual([['a', false, 1]]);
  hear({ a: 1300, b: 1150 });
  expect(orders).toHaveLength(1);
  hear({ b: 1200 });
  expect(orders).toEqual([
    ['a', false, 1],
    ['a', true, 2],
  ]);
});

test('nobody rests before who accepts in its place has said that it does', () => {
  hear({ a: 1000, b: 1000 });
  hear({ a: 1300 });
  // At one blow it is the other that is ahead.
  shares.heard('a', 100, 1);
  expect(orders.at(-1)).toEqual(['a', true, 2]);
  // This was said before it had the port open.
  shares.heard('a', 100, 1);
  expect(orders).toHaveLength(2);
  shares.heard('a', 100, 2);
  expect(orders.at(-1)).toEqual(['b', false, 1]);
});

test('of three or more two keep the port open', () => {
  hear({ a: 0, b: 0, c: 0 });
  hear({ a: 1000, b: 1000 });
  expect(orders).toEqual([['a', false, 1]]);
});

test('nobody rests where the others are gone', () => {
  hear({ a: 1000, b: 1000 });
  hear({ a: 1300 });
  shares.gone('b');
  expect(orders.at(-1)).toEqual(['a', true, 2]);
});

test('nobody rests where the others say nothing', () => {
  hear({ a: 1000, b: 1000 });
  hear({ a: 1300 });
  now = 1_201;
  hear({ a: 1300 });
  expect(orders.at(-1)).toEqual(['a', true, 2]);
});

test('who comes anew takes what comes until it has its share', () => {
  hear({ a: 1000, b: 1000 });
  hear({ c: 0 });
  // One of the two others stays beside it.
  expect(orders).toEqual([['a', false, 1]]);
});
