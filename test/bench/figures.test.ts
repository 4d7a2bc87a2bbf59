// How the benchmark makes figures of samples, rows of repeats, and verdicts of rows.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';

const bench = fileURLToPath(new URL('../../bench', import.meta.url));
const { median, mergeSamples, percentile, Samples, shareOut } = await import(join(bench, 'statistics.mjs'));
const { makeRow, medianRatio } = await import(join(bench, 'rows.mjs'));
const { atMost, goalTable, growsAtMost, judge } = await import(join(bench, 'goals.mjs'));
const { fixed, formatTable, percent, times } = await import(join(bench, 'table.mjs'));
const { measure } = await import(join(bench, 'measure.mjs'));
const { casesOf, refuseIgnored } = await import(join(bench, 'cases.mjs'));
const { streams } = await import(join(bench, 'scenarios/streams.mjs'));
const { pairAcross } = await import(join(bench, 'pairing.mjs'));

describe('statistics', () => {
  test('the median is the middle of the sorted values, or the mean of the middle two', () => {
    expect(median([10, 9, 100])).toBe(10);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([])).toBeNaN();
  });

  test('a percentile is the smallest sample that the share does not exceed', () => {
    const hundred = Array.from({ length: 100 }, (_, i) => i + 1);
    expect([0, 0.5, 0.99, 0.999, 1].map((share) => percentile(hundred, share))).toEqual([
      1, 50, 99, 100, 100,
    ]);
    expect(percentile([7], 0.5)).toBe(7);
    expect(percentile([], 0.5)).toBeNaN();
  });

  test('samples of several processes are merged and sorted by value, so that one slow process shows', () => {
    const fast = new Float32Array(99).fill(1);
    const slow = new Float32Array([500, 20]);
    const merged = mergeSamples([slow, fast]);
    expect([merged.length, merged[0], percentile(merged, 0.99), merged.at(-1)]).toEqual([101, 1, 20, 500]);
  });

  test('samples keep every value when they grow', () => {
    const samples = new Samples();
    for (let i = 0; i < 40_000; i++) samples.add(i);
    const taken: Float32Array = samples.taken();
    expect([taken.length, taken[0], taken[39_999]]).toEqual([40_000, 0, 39_999]);
  });

  test('shares differ by one at most and add up', () => {
    expect(shareOut(7, 3)).toEqual([3, 2, 2]);
    expect(shareOut(1, 2)).toEqual([1, 0]);
  });
});

describe('rows', () => {
  test('a row has the medians of its measured rounds, and all faults', () => {
    const row = makeRow(
      'a',
      [{ cost: 3, faults: ['lost'] }, null, { cost: 5, faults: [] }],
      ['did not start'],
    );
    expect(row.figures).toEqual({ cost: 4 });
    expect(row.faults).toEqual(['did not start', 'lost']);
  });

  test('a ratio is the median of the ratios of each round, not the ratio of the medians', () => {
    // A machine that was ten times as slow in the second round.
    const ours = [3, 10, 1];
    const theirs = [2, 20, 2];
    const { ratio, low, high, rounds } = medianRatio(3, (round: number) => [ours[round], theirs[round]]);
    expect([ratio, low, high, rounds]).toEqual([0.5, 0.5, 1.5, 3]);
  });

  test('a ratio leaves rounds out that lack one of both', () => {
    expect(medianRatio(2, (round: number) => (round === 0 ? [1, Number.NaN] : [1, 4]))).toMatchObject({
      ratio: 0.25,
      rounds: 1,
    });
  });
});

describe('goals', () => {
  const goal = atMost({
    what: 'w',
    key: 'cost',
    label: 'us',
    baseline: 'ws',
    most: 0.75,
    unit: 'µs',
    digits: 1,
  });
  const rows = (ours: number[]) => [
    makeRow(
      'ws',
      ours.map(() => ({ cost: 4 })),
    ),
    makeRow(
      'us',
      ours.map((cost) => ({ cost })),
    ),
  ];

  test('a goal is met at its limit and missed above it', () => {
    expect(judge(goal, rows([3, 3, 3]))).toMatchObject({ figure: 3, theirs: 4, ratio: 0.75, verdict: 'met' });
    expect(judge(goal, rows([3, 3.1, 3.2]))).toMatchObject({ verdict: 'MISSED' });
  });

  test('a goal is not measured when a row is missing, or failed in every round', () => {
    expect(judge(goal, []).verdict).toBe('not measured');
    const failed = [makeRow('ws', [null]), makeRow('us', [{ cost: 1 }])];
    expect(judge(goal, failed)).toMatchObject({ verdict: 'not measured', theirs: Number.NaN });
  });

  test('growth is compared with the growth of the baseline', () => {
    const growth = growsAtMost({
      what: 'g',
      key: 'cost',
      from: 'us 1',
      to: 'us 9',
      baseline: { from: 'ws 1', to: 'ws 9' },
      most: 1.15,
    });
    const grown = (cost: number) =>
      Object.entries({ 'us 1': 2, 'us 9': cost, 'ws 1': 10, 'ws 9': 20 }).map(([label, value]) =>
        makeRow(label, [{ cost: value }]),
      );
    expect(judge(growth, grown(4.4))).toMatchObject({ figure: 2.2, theirs: 2, verdict: 'met' });
    expect(judge(growth, grown(4.8))).toMatchObject({ figure: 2.4, verdict: 'MISSED' });
  });

  test('the table has figure, ratio and goal of each side by side', () => {
    const { rows: lines } = goalTable([judge(goal, rows([3])), judge(goal, [])]);
    expect(lines[0]).toEqual(['w', 'us', '3.0 µs', 'ws', '4.0', '0.75', '0.75 … 0.75', '≤ 0.75', 'met']);
    expect(lines[1]).toEqual(['w', 'us', '– µs', 'ws', '–', '–', '– … –', '≤ 0.75', 'not measured']);
  });
});

describe('measuring', () => {
  const silent = () => {};

  test('runs all cases in turn, some in fewer rounds, and goes on after one that fails', async () => {
    const order: string[] = [];
    const scenario = {
      name: 's',
      describe: () => '',
      async run({ label }: { label: string }) {
        order.push(label);
        if (label === 'b' && order.length < 4) throw new Error('did not start');
        return { cost: order.length, faults: [] };
      },
    };
    const cases = [
      { label: 'a' },
      { label: 'b' },
      { label: 'once', rounds: 1 },
      { label: 'absent', system: { missing: () => 'not installed' } },
    ];
    const rows = await measure(scenario, cases, 2, silent);
    expect(order).toEqual(['a', 'b', 'once', 'a', 'b']);
    expect(rows).toMatchObject([
      { label: 'a', figures: { cost: 2.5 }, faults: [] },
      { label: 'b', figures: { cost: 5 }, faults: ['did not start'], repeats: [null, { cost: 5 }] },
      { label: 'once', figures: { cost: 3 }, repeats: [{ cost: 3 }, null] },
      { label: 'absent', figures: {}, repeats: [null, null] },
    ]);
  });

  test('a case of several parts is as many rows', async () => {
    const scenario = {
      name: 's',
      describe: () => '',
      run: async () => [
        { cost: 1, faults: [] },
        { cost: 2, faults: ['lost'] },
      ],
    };
    const rows = await measure(scenario, [{ label: 'x', parts: ['x 1', 'x 2'] }], 1, silent);
    expect(rows).toMatchObject([
      { label: 'x 1', figures: { cost: 1 }, faults: [] },
      { label: 'x 2', figures: { cost: 2 }, faults: ['lost'] },
    ]);
  });
});

describe('tables', () => {
  const rows = [makeRow('ws', [{ cost: 4, idle: 0.5 }]), makeRow('us', [{ cost: 3 }])];

  test('columns are figures, shares and ratios, and a dash where there is none', () => {
    const columns = [fixed('cost', 1), percent('idle'), times('cost', 'ws'), times('cost', 'nobody')];
    expect(rows.map((row) => columns.map((text) => text(row, rows)))).toEqual([
      ['4.0', '50 %', '1.00 ×', '–'],
      ['3.0', '–', '0.75 ×', '–'],
    ]);
  });

  test('the first column begins at the left, the others end at the right', () => {
    expect(formatTable({ head: ['system', 'µs'], rows: [['a', '10.5']] })).toBe(
      'system    µs\n────────────\na       10.5',
    );
  });
});

describe('pairs', () => {
  const clients = (holders: number[]) => holders.map((holder, id) => ({ id, holder }));
  const kinds = (pairs: { holder: number }[][]) =>
    pairs
      .map((pair) =>
        pair
          .map(({ holder }) => holder)
          .sort()
          .join('-'),
      )
      .sort();

  test('go across processes wherever two are left', () => {
    expect(kinds(pairAcross(clients([1, 1, 1, 2, 2, 2])))).toEqual(['1-2', '1-2', '1-2']);
    expect(kinds(pairAcross(clients([1, 1, 1, 2])))).toEqual(['1-1', '1-2']);
    expect(kinds(pairAcross(clients([1, 1])))).toEqual(['1-1']);
  });

  test('use each two of four processes alike often', () => {
    const many = kinds(pairAcross(clients(Array.from({ length: 48 }, (_, i) => i % 4))));
    const counts = new Map<string, number>();
    for (const kind of many) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    expect([...counts.values()]).toEqual([4, 4, 4, 4, 4, 4]);
  });
});

describe('another build or setting', () => {
  const asked = { load: {}, against: 'dist.before', settings: [['PORT', '1']], mode: 'volatile' };

  test('has its rows in a scenario that compares, with its own build and what the scenario needs', async () => {
    const cases: {
      label: string;
      system: { build?: string; server: (ports: number[]) => { env: object } };
    }[] = await casesOf(streams, { ...asked, only: ['before', 'with/2'] });
    expect(cases.map(({ label, system }) => [label, system.build])).toEqual([
      ['before/2', 'dist.before'],
      ['room, before', 'dist.before'],
      ['with/2', 'dist'],
    ]);
    const environments = cases.map(({ system }) => system.server([8]).env);
    expect(environments[0]).toMatchObject({ ADDRESS_BYTES_PER_SECOND_LIMIT: '0', PORT: '8' });
    expect(environments[2]).toMatchObject({ ADDRESS_BYTES_PER_SECOND_LIMIT: '0', PORT: '1' });
  });

  test('is refused where it would be ignored, unless all scenarios run', () => {
    const other = { name: 'wire' };
    expect(() => {
      refuseIgnored([streams, other], { ...asked, all: false });
    }).toThrow('--against and --with compare nothing in: wire');
    refuseIgnored([streams, other], { ...asked, all: true });
    refuseIgnored([streams], { ...asked, all: false });
    refuseIgnored([other], { ...asked, all: false, against: undefined, settings: [] });
  });
});
