// The budget of fan-out, with a clock of its own.
import { expect, test } from '@jest/globals';
import { FanOut } from '../../src/session/fan-out.js';

let now = 0;
const slowed: string[] = [];
const spender = (client: string, session = client) => ({
  ref: { client },
  connection: {
    pause: (ms: number) => {
      slowed.push(`${session} ${String(ms)}`);
    },
  },
});
const [alice, tablet, bob] = [spender('alice'), spender('alice', 'tablet'), spender('bob')];

function budget(perSecond = 1000): FanOut {
  now = 0;
  slowed.length = 0;
  return new FanOut(
    { perSecond, burst: perSecond * 5 },
    () => slowed.push('counted'),
    () => now,
  );
}

test('lets a burst pass, then slows down for as long as the debt takes', () => {
  const fanOut = budget();
  fanOut.charge(alice, 10, 500);
  expect(slowed).toEqual([]);
  fanOut.charge(alice, 4, 500);
  expect(slowed).toEqual(['counted', 'alice 2000']);
  expect(fanOut.allows(alice)).toBe(true);
  now = 2000;
  slowed.length = 0;
  expect(fanOut.allows(alice)).toBe(true);
  expect(slowed).toEqual([]);
});

test('refuses who owes more than ten seconds, on every connection of the client, until that is paid', () => {
  const fanOut = budget();
  fanOut.charge(alice, 100, 200_000);
  expect(fanOut.allows(alice)).toBe(false);
  expect(fanOut.allows(tablet)).toBe(false);
  expect(fanOut.allows(bob)).toBe(true);
  // Never longer: pongs must be read.
  expect(slowed).toEqual(['counted', 'alice 10000', 'counted', 'alice 10000', 'counted', 'tablet 10000']);
  now = 20_000_000 - 5_000 - 10_000;
  expect(fanOut.allows(alice)).toBe(true);
});

test('counts 256 bytes at least for each receiver', () => {
  const fanOut = budget();
  fanOut.charge(alice, 20, 1);
  expect(slowed).toEqual(['counted', 'alice 120']);
});

test('is off with a rate of 0, and costs nothing where nobody receives', () => {
  const off = budget(0);
  off.charge(alice, 1e6, 1e6);
  expect(off.allows(alice)).toBe(true);
  const fanOut = budget(1);
  fanOut.charge(alice, 0, 1e9);
  expect(fanOut.allows(alice)).toBe(true);
  expect(slowed).toEqual([]);
});

test('prune keeps what is owed', () => {
  const fanOut = budget();
  fanOut.charge(alice, 100, 200_000);
  fanOut.prune();
  expect(fanOut.allows(alice)).toBe(false);
  now = 30_000_000;
  fanOut.prune();
  expect(fanOut.allows(alice)).toBe(true);
});
