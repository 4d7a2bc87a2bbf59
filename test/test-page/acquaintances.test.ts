// Who is remembered, and for how long: those who are here, those who left a moment ago, and of others only how they were reached.
import { describe, expect, test } from '@jest/globals';
import { Acquaintances, GONE_LIMIT, PAST_LIMIT } from '../../src/test-page/acquaintances.js';
import { Patience } from '../../src/test-page/patience.js';

const TAGS = ['a', 'b'] as const;
const DIRECT = { outcome: 'direct', sameNetwork: false };

function make() {
  const clock = { now: 0 };
  const peers = new Acquaintances(() => clock.now);
  const here = new Set<string>();
  const meet = (id: string, isTested = true): void => {
    here.add(id);
    const rows = peers.meet(id, null);
    if (isTested) rows.direct.take({ status: 'ok', setupMs: 1, pings: [1], kbps: 1, pair: null }, TAGS);
  };
  const look = (): boolean => peers.look((id) => here.has(id));
  const ids = (): string[] => peers.list.map(([id]) => id);
  return { clock, here, ids, look, meet, peers };
}

describe('one who left', () => {
  test('is shown for a minute, and then only counts', () => {
    const { clock, here, ids, look, meet, peers } = make();
    meet('one');
    expect(look()).toBe(false);
    here.delete('one');
    expect(look()).toBe(true);
    clock.now = 59_999;
    expect([look(), ids(), peers.past]).toEqual([false, ['one'], []]);
    clock.now = 60_000;
    expect([look(), ids(), peers.past, peers.pairs]).toEqual([true, [], [DIRECT], [DIRECT]]);
  });

  test('is forgotten at once where nothing came out', () => {
    const { here, ids, look, meet, peers } = make();
    meet('one', false);
    here.delete('one');
    expect([look(), ids(), peers.pairs]).toEqual([true, [], []]);
  });

  test('has its card and its figures again when it comes back in time, and counts once when later', () => {
    const { clock, here, ids, look, meet, peers } = make();
    meet('one');
    here.delete('one');
    look();
    clock.now = 50_000;
    meet('one', false);
    clock.now = 100_000;
    expect([look(), ids(), peers.get('one')?.rows.direct.status]).toEqual([false, ['one'], 'ok']);
    here.delete('one');
    look();
    clock.now = 200_000;
    look();
    expect(peers.past).toEqual([DIRECT]);
    meet('one');
    expect([peers.past, peers.pairs]).toEqual([[], [DIRECT]]);
  });

  test('makes room for those who left later, on the page and in mind', () => {
    const { clock, here, ids, look, meet, peers } = make();
    for (let i = 0; i < GONE_LIMIT + PAST_LIMIT + 5; i++) {
      meet(`peer-${String(i)}`);
      clock.now++;
      here.clear();
      look();
    }
    expect(ids()).toHaveLength(GONE_LIMIT);
    expect(ids().at(-1)).toBe(`peer-${String(GONE_LIMIT + PAST_LIMIT + 4)}`);
    expect(peers.past).toHaveLength(PAST_LIMIT);
  });
});

describe('one who is always busy', () => {
  test('is asked after 10 s, and half as often each time, down to once in 5 minutes', () => {
    const clock = { now: 0 };
    const patience = new Patience(
      () => clock.now,
      () => 1,
    );
    expect(patience.isOver('one')).toBe(true);
    const waits = Array.from({ length: 7 }, () => {
      patience.wasBusy('one');
      const since = clock.now;
      while (!patience.isOver('one')) clock.now += 1_000;
      return (clock.now - since) / 1000;
    });
    expect(waits).toEqual([10, 20, 40, 80, 160, 300, 300]);
    expect(patience.isOver('another')).toBe(true);
    patience.wasBusy('one');
    patience.forget('one');
    expect(patience.isOver('one')).toBe(true);
    patience.wasBusy('one');
    expect(patience.isOver('one')).toBe(false);
    patience.keepOnly(() => false);
    expect(patience.isOver('one')).toBe(true);
  });

  test('is not asked by all at the same time', () => {
    const patience = new Patience(
      () => 0,
      () => 0,
    );
    const clock = { now: 0 };
    const other = new Patience(
      () => clock.now,
      () => 0,
    );
    patience.wasBusy('one');
    other.wasBusy('one');
    clock.now = 5_000;
    expect([patience.isOver('one'), other.isOver('one')]).toEqual([false, true]);
  });
});
