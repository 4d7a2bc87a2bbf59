// The sums of connection test reports: the right groups, the right figures, and no more memory than names.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Distribution, TestSums } from '../../src/admin/test-summary.js';
import {
  PAIR_OUTCOMES,
  TEST_BROWSERS,
  TEST_CANDIDATES,
  TEST_NETWORKS,
  TEST_WAYS,
  type TestGroup,
  type TestMeasure,
  type TestReport,
} from '../../src/protocol/test-report.js';
import { spreadOf } from '../../src/test-page/series.js';

const measure = (some: Partial<TestMeasure>): TestMeasure => ({
  way: 'direct',
  candidate: 'host',
  sameNetwork: false,
  ok: true,
  setupMs: 100,
  pingMs: 10,
  kbps: 1000,
  ...some,
});
const report = (some: Partial<TestReport>): TestReport => ({
  browser: 'firefox',
  platform: 'linux',
  network: 'wifi',
  measures: [],
  pairs: [],
  ...some,
});
const find = (groups: TestGroup[], by: string, value = ''): TestGroup | undefined =>
  groups.find((group) => group.by === by && group.value === value);

describe('sums of tests', () => {
  test('are by browser, network and candidate, and of all', () => {
    const sums = new TestSums(() => 5);
    sums.add(report({ measures: [measure({}), measure({ way: 'websocket', candidate: 'none' })] }));
    sums.add(
      report({
        browser: 'safari',
        network: 'cellular',
        measures: [measure({ candidate: 'relay', setupMs: 300 })],
      }),
    );
    const { sinceMs, reports, groups } = sums.summary();
    expect([sinceMs, reports]).toEqual([5, 2]);
    expect(groups.map(({ by, value }) => `${by} ${value}`).sort()).toEqual([
      'all ',
      'browser firefox',
      'browser safari',
      'candidate host',
      'candidate relay',
      'network cellular',
      'network wifi',
    ]);
    const direct = find(groups, 'all')?.ways.find(({ way }) => way === 'direct');
    expect(direct).toMatchObject({ ok: 2, failed: 0, setupMs: { count: 2, mean: 200 } });
    expect(direct?.setupMs?.sd).toBeCloseTo(Math.SQRT1_2 * 200);
    expect(find(groups, 'candidate', 'relay')?.ways).toMatchObject([
      { way: 'direct', setupMs: { mean: 300 } },
    ]);
  });

  test('count failures without figures, and pairs of one network apart', () => {
    const sums = new TestSums();
    sums.add(
      report({
        measures: [measure({ ok: false, candidate: 'none', setupMs: null, pingMs: null, kbps: null })],
        pairs: [
          { outcome: 'relay', sameNetwork: false },
          { outcome: 'direct', sameNetwork: true },
        ],
      }),
    );
    const all = find(sums.summary().groups, 'all');
    expect(all?.ways).toMatchObject([{ ok: 0, failed: 1, setupMs: null, kbps: null }]);
    expect(all?.pairs).toEqual({ direct: 0, relay: 1, none: 0 });
    expect(all?.sameNetworkPairs).toEqual({ direct: 1, relay: 0, none: 0 });
  });

  test('keep the figures of one network apart from those between networks', () => {
    const sums = new TestSums();
    sums.add(
      report({
        measures: [
          measure({ sameNetwork: true, setupMs: 20, pingMs: 1, kbps: 90_000 }),
          measure({ setupMs: 400, pingMs: 80, kbps: 3000 }),
          measure({ way: 'media', sameNetwork: true, ok: false, setupMs: null, pingMs: null, kbps: null }),
        ],
      }),
    );
    const { groups } = sums.summary();
    for (const [by, value] of [['all'], ['browser', 'firefox'], ['network', 'wifi'], ['candidate', 'host']]) {
      const group = find(groups, by ?? '', value);
      expect(group?.ways).toMatchObject([
        { way: 'direct', ok: 1, setupMs: { mean: 400 }, pingMs: { mean: 80 }, kbps: { mean: 3000 } },
      ]);
      expect(group?.sameNetworkWays).toMatchObject([
        { way: 'direct', ok: 1, setupMs: { mean: 20 }, pingMs: { mean: 1 }, kbps: { mean: 90_000 } },
        { way: 'media', ok: 0, failed: 1, setupMs: null },
      ]);
    }
  });

  test('have no more groups than there are names, whatever is reported', () => {
    const of = <Value>(values: readonly Value[]) => fc.constantFrom(...values);
    const figure = fc.option(fc.double({ min: 0, max: 600_000, noNaN: true }));
    const anyReport = fc.record({
      browser: of(TEST_BROWSERS),
      platform: fc.constant('other' as const),
      network: of(TEST_NETWORKS),
      measures: fc.array(
        fc.record({
          way: of(TEST_WAYS),
          candidate: of(TEST_CANDIDATES),
          sameNetwork: fc.boolean(),
          ok: fc.boolean(),
          setupMs: figure,
          pingMs: figure,
          kbps: figure,
        }),
      ),
      pairs: fc.array(fc.record({ outcome: of(PAIR_OUTCOMES), sameNetwork: fc.boolean() })),
    });
    fc.assert(
      fc.property(fc.array(anyReport), (reports) => {
        const sums = new TestSums();
        for (const one of reports) sums.add(one);
        const { groups } = sums.summary();
        const most = 1 + TEST_BROWSERS.length + TEST_NETWORKS.length + TEST_CANDIDATES.length - 1;
        const all = find(groups, 'all');
        const told = reports.flatMap(({ measures }) => measures).length;
        const ways = [...(all?.ways ?? []), ...(all?.sameNetworkWays ?? [])];
        const counted = ways.reduce((sum, { ok, failed }) => sum + ok + failed, 0);
        return groups.length <= most && counted === told;
      }),
    );
  });
});

test('a distribution has mean and deviation exactly, and a percentile at most a quarter too high', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0.2, max: 1e6, noNaN: true }), { minLength: 2 }), (values) => {
      const distribution = new Distribution();
      for (const value of values) distribution.add(value);
      const [rough, exact] = [distribution.spread(), spreadOf(values)];
      if (rough === null || exact === null) return false;
      const isClose = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-6 * Math.max(...values);
      return (
        isClose(rough.mean, exact.mean) &&
        isClose(rough.sd ?? 0, exact.sd ?? 0) &&
        rough.p95 >= exact.p95 * (1 - 1e-9) &&
        rough.p95 <= exact.p95 * 1.26
      );
    }),
  );
});
