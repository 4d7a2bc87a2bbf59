// Readers of a stream to several: what the opener is told is what the slowest has and allows, however they come and go.
import { expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import type { ClientId, SessionId } from '../../src/protocol/ids.js';
import { ReaderGroup, SLOW_READER_BYTES, SLOW_READER_MS } from '../../src/relay/reader-group.js';
import { newPeer } from '../../src/relay/stream-peer.js';
import { TimerWheel } from '../../src/session/wheel.js';

const move = fc.record({
  do: fc.constantFrom('add', 'hear', 'hear', 'hear', 'remove'),
  who: fc.integer({ min: 0, max: 5 }),
  upTo: fc.integer({ min: 0, max: 4 }),
  more: fc.integer({ min: 0, max: 3 }),
});

test('a group allows what the slowest of its readers allows, and tells each change once', () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 60 }), (moves) => {
      const wheel = new TimerWheel();
      const told: string[] = [];
      const group: ReaderGroup = new ReaderGroup({
        drop: false,
        gathers: false,
        wheel,
        changed: () => told.push(`${String(group.upTo)} ${String(group.limit)}`),
        tooSlow: () => undefined,
      });
      const states = new Map<string, { upTo: number; limit: number }>();
      const expected: string[] = [];
      let last = '0 0';
      for (const { do: what, who, upTo, more } of moves) {
        const session = String(who) as SessionId;
        const state = states.get(session);
        const reader = group.get(session);
        if (what === 'add' && state === undefined) {
          states.set(session, { upTo, limit: upTo + more });
          group.add({ ...newPeer('bob' as ClientId, session, true), upTo, limit: upTo + more });
        } else if (what === 'hear' && state !== undefined && reader !== undefined) {
          state.upTo = Math.max(state.upTo, upTo);
          state.limit = Math.max(state.limit, upTo + more);
          group.heard(reader, upTo, upTo + more);
        } else if (what === 'remove') {
          states.delete(session);
          group.remove(session);
        }
        if (states.size === 0) continue;
        const all = [...states.values()];
        const slowest = `${String(Math.min(...all.map((each) => each.upTo)))} ${String(Math.min(...all.map((each) => each.limit)))}`;
        expect(`${String(group.upTo)} ${String(group.limit)}`).toBe(slowest);
        if (slowest !== last) expected.push(slowest);
        last = slowest;
      }
      expect(told).toEqual(expected);
      group.close();
      wheel.close();
    }),
    { numRuns: 300 },
  );
});

test('hearing of a thousand readers looks at all of them once for each step of the slowest, not once for each reader', () => {
  const wheel = new TimerWheel();
  const group = new ReaderGroup({
    drop: false,
    gathers: false,
    wheel,
    changed: () => undefined,
    tooSlow: () => undefined,
  });
  let looked = 0;
  const readers = Array.from({ length: 1000 }, (_, i) => {
    const reader = { ...newPeer('bob' as ClientId, String(i) as SessionId, true), upTo: 0, limit: 10 };
    let upTo = 0;
    return Object.defineProperty(reader, 'upTo', {
      get: () => (looked++, upTo),
      set: (value: number) => (upTo = value),
    });
  });
  for (const reader of readers) group.add(reader);
  looked = 0;
  for (const reader of readers) group.heard(reader, 5, 15);
  expect(group.upTo).toBe(5);
  expect(looked).toBeLessThan(20_000);
  group.close();
  wheel.close();
});

const window = 512 * 1024;

/** Readers with a window each, of whom the slow ones are dropped. */
function droppingGroup(sessions: readonly string[]): {
  group: ReaderGroup;
  wheel: TimerWheel;
  dropped: string[];
} {
  const wheel = new TimerWheel();
  const dropped: string[] = [];
  const group: ReaderGroup = new ReaderGroup({
    drop: true,
    gathers: false,
    wheel,
    changed: () => undefined,
    tooSlow: ({ session }) => {
      dropped.push(session);
      group.remove(session);
    },
  });
  for (const session of sessions)
    group.add({ ...newPeer('bob' as ClientId, session as SessionId, true), upTo: 0, limit: window });
  return { group, wheel, dropped };
}

/** How many readers are dropped in some seconds where the opener sends all that it may, and one of them takes so much every 100 ms. */
function droppedOf(bytesPerStep: number): string[] {
  jest.useFakeTimers();
  const { group, wheel, dropped } = droppingGroup(['fast', 'last']);
  for (let ms = 0, taken = 0; ms < 4 * SLOW_READER_MS; ms += 100) {
    taken += bytesPerStep;
    group.passed(group.limit);
    const [fast, last] = [group.get('fast' as SessionId), group.get('last' as SessionId)];
    if (last !== undefined) group.heard(last, taken, taken + window);
    if (fast !== undefined) group.heard(fast, group.limit, group.limit + window);
    group.passed(group.limit);
    jest.advanceTimersByTime(100);
  }
  group.close();
  wheel.close();
  jest.useRealTimers();
  return dropped;
}

test('the last of the readers is dropped where it hardly takes anything, and not where the writer is only faster than all', () => {
  const steps = SLOW_READER_MS / 100;
  expect(droppedOf(0)).toEqual(['last']);
  expect(droppedOf(Math.floor(SLOW_READER_BYTES / steps / 2))).toEqual(['last']);
  expect(droppedOf(Math.ceil((SLOW_READER_BYTES / steps) * 2))).toEqual([]);
});

test('readers that all stood still are not dropped when one of them moves before the others, and then are if they do not', () => {
  jest.useFakeTimers();
  const { group, wheel, dropped } = droppingGroup(['first', 'second', 'third']);
  group.passed(window);
  jest.advanceTimersByTime(10_000);
  const [first, second] = [group.get('first' as SessionId), group.get('second' as SessionId)];
  if (first === undefined || second === undefined) throw new Error('dropped');
  group.heard(first, window, 2 * window);
  jest.advanceTimersByTime(SLOW_READER_MS / 2);
  expect(dropped).toEqual([]);
  group.heard(second, window, 2 * window);
  jest.advanceTimersByTime(SLOW_READER_MS);
  expect(dropped).toEqual(['third']);
  group.close();
  wheel.close();
  jest.useRealTimers();
});
