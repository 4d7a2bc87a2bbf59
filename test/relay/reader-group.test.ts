// Readers of a stream to several: what the opener is told is what the slowest has and allows, however they come and go.
import { expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import type { ClientId, SessionId } from '../../src/protocol/ids.js';
import { GATHER_MS, ReaderGroup } from '../../src/relay/reader-group.js';
import { newPeer } from '../../src/relay/stream-peer.js';
import { TimerWheel } from '../../src/session/wheel.js';

interface Move {
  do: string;
  who: number;
  upTo: number;
  more: number;
}

const move: fc.Arbitrary<Move> = fc.record({
  do: fc.constantFrom('add', 'hear', 'hear', 'hear', 'remove'),
  who: fc.integer({ min: 0, max: 5 }),
  upTo: fc.integer({ min: 0, max: 4 }),
  more: fc.integer({ min: 0, max: 3 }),
});

function apply(group: ReaderGroup, { do: what, who, upTo, more }: Move): void {
  const session = String(who) as SessionId;
  const reader = group.get(session);
  const limit = upTo + more;
  if (what === 'remove') group.remove(session);
  else if (reader !== undefined) group.heard(reader, upTo, limit);
  else if (what === 'add') group.add({ ...newPeer('bob' as ClientId, session, true), upTo, limit });
}

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

test('a group that gathers counts as one that does not, from its end on, whoever came and went meanwhile', () => {
  jest.useFakeTimers();
  const runs = fc.property(
    fc.array(move, { maxLength: 30 }),
    fc.array(move, { maxLength: 30 }),
    (early, late) => {
      const wheel = new TimerWheel();
      const group = new ReaderGroup({
        drop: false,
        gathers: true,
        wheel,
        changed: () => undefined,
        tooSlow: () => undefined,
      });
      for (const step of early) {
        apply(group, step);
        expect([group.upTo, group.limit]).toEqual([0, 0]);
        // How many stand where the group does.
        const all = [...group.all()];
        expect([Reflect.get(group, 'atUpTo'), Reflect.get(group, 'atLimit')]).toEqual([
          all.filter(({ upTo }) => upTo === 0).length,
          all.filter(({ limit }) => limit === 0).length,
        ]);
      }
      jest.advanceTimersByTime(GATHER_MS + 1000);
      expect(group.gathers).toBe(false);
      for (const step of late) {
        apply(group, step);
        const all = [...group.all()];
        if (all.length === 0) continue;
        expect(group.upTo).toBe(Math.min(...all.map(({ upTo }) => upTo)));
        expect(group.limit).toBe(Math.min(...all.map(({ limit }) => limit)));
      }
      group.close();
      wheel.close();
    },
  );
  try {
    fc.assert(runs, { numRuns: 200 });
  } finally {
    jest.useRealTimers();
  }
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
