// When a worker sheds newcomers, and when it asks to be replaced.
import { expect, test } from '@jest/globals';
import { MemoryGuard } from '../../src/worker/memory-guard.js';

function guarded() {
  const state = { used: 0, recycled: 0 };
  const guard = new MemoryGuard({
    shedAbove: 0.8,
    recycleAbove: 0.9,
    recycle: () => {
      state.recycled++;
    },
    used: () => state.used,
  });
  const look = (used: number): boolean => {
    state.used = used;
    guard.look();
    return guard.sheds;
  };
  return { state, look };
}

test('newcomers are shed above the first share, and welcome again below it', () => {
  const { look } = guarded();
  expect([0.79, 0.81, 0.95, 0.8].map(look)).toEqual([false, true, true, false]);
});

test('a worker asks to be replaced when three looks in a row are above the second share', () => {
  const { state, look } = guarded();
  for (const used of [0.91, 0.91, 0.89, 0.91, 0.91]) look(used);
  expect(state.recycled).toBe(0);
  look(0.91);
  expect(state.recycled).toBe(1);
  look(0.91);
  expect(state.recycled).toBe(1);
});

test('it asks again where the need came back', () => {
  const { state, look } = guarded();
  for (const used of [0.95, 0.95, 0.95, 0.5, 0.95, 0.95, 0.95]) look(used);
  expect(state.recycled).toBe(2);
});

test('shares of 1 are never reached', () => {
  const guard = new MemoryGuard({
    shedAbove: 1,
    recycleAbove: 1,
    recycle: () => {
      throw new Error('recycled');
    },
    used: () => 1,
  });
  for (let i = 0; i < 5; i++) guard.look();
  expect(guard.sheds).toBe(false);
});
