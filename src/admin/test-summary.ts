// All that connection test pages told this node, added up: by browser, network and candidate. Holds sums, never a report.
import {
  type PairOutcome,
  type Spread,
  TEST_WAYS,
  type TestGroup,
  type TestMeasure,
  type TestReport,
  type TestSummary,
  type TestWay,
  type WaySummary,
} from '../protocol/test-report.js';

/** Bounds of the buckets grow by this factor: a percentile is off by less. */
const BUCKET_FACTOR = 1.25;
/** Smallest value that is told apart from zero. */
const SMALLEST = 0.1;
/** 0.1 to 10⁹. */
const BUCKETS = Math.ceil(Math.log(1e10) / Math.log(BUCKET_FACTOR)) + 1;

/** Mean and deviation as they come (Welford), percentiles by buckets: memory does not grow with the count. */
export class Distribution {
  private count = 0;
  private mean = 0;
  private squares = 0;
  private largest = 0;
  private readonly buckets = new Uint32Array(BUCKETS);

  add(value: number): void {
    this.count++;
    const delta = value - this.mean;
    this.mean += delta / this.count;
    this.squares += delta * (value - this.mean);
    this.largest = Math.max(this.largest, value);
    const bucket = Math.ceil(Math.log(value / SMALLEST) / Math.log(BUCKET_FACTOR));
    const index = Math.min(BUCKETS - 1, Math.max(0, bucket));
    this.buckets[index] = (this.buckets[index] ?? 0) + 1;
  }

  spread(): Spread | null {
    const { count, mean, squares } = this;
    if (count === 0) return null;
    return {
      count,
      mean,
      sd: count < 2 ? null : Math.sqrt(squares / (count - 1)),
      p95: this.percentile(0.95),
    };
  }

  /** Upper bound of the bucket, but never above what came. */
  private percentile(share: number): number {
    let left = Math.ceil(this.count * share);
    for (const [index, count] of this.buckets.entries()) {
      left -= count;
      if (left <= 0) return Math.min(this.largest, SMALLEST * BUCKET_FACTOR ** index);
    }
    return this.largest;
  }
}

class WaySums {
  ok = 0;
  failed = 0;
  readonly setupMs = new Distribution();
  readonly pingMs = new Distribution();
  readonly kbps = new Distribution();

  add({ ok, setupMs, pingMs, kbps }: TestMeasure): void {
    if (ok) this.ok++;
    else this.failed++;
    if (setupMs !== null) this.setupMs.add(setupMs);
    if (pingMs !== null) this.pingMs.add(pingMs);
    if (kbps !== null) this.kbps.add(kbps);
  }

  summary(way: TestWay): WaySummary {
    return {
      way,
      ok: this.ok,
      failed: this.failed,
      setupMs: this.setupMs.spread(),
      pingMs: this.pingMs.spread(),
      kbps: this.kbps.spread(),
    };
  }
}

class Group {
  readonly ways = new Map<TestWay, WaySums>();
  readonly sameNetworkWays = new Map<TestWay, WaySums>();
  readonly pairs = noPairs();
  readonly sameNetworkPairs = noPairs();

  constructor(
    readonly by: TestGroup['by'],
    readonly value: string,
  ) {}

  measure(measure: TestMeasure): void {
    const ways = measure.sameNetwork ? this.sameNetworkWays : this.ways;
    let sums = ways.get(measure.way);
    if (sums === undefined) ways.set(measure.way, (sums = new WaySums()));
    sums.add(measure);
  }

  summary(): TestGroup {
    const { by, value, pairs, sameNetworkPairs } = this;
    return {
      ...{ by, value },
      ways: summaries(this.ways),
      sameNetworkWays: summaries(this.sameNetworkWays),
      pairs: { ...pairs },
      sameNetworkPairs: { ...sameNetworkPairs },
    };
  }
}

function summaries(sums: ReadonlyMap<TestWay, WaySums>): WaySummary[] {
  return TEST_WAYS.flatMap((way) => sums.get(way)?.summary(way) ?? []);
}

function noPairs(): Record<PairOutcome, number> {
  return { direct: 0, relay: 0, none: 0 };
}

export class TestSums {
  private reports = 0;
  /** One for all, and one for each name of the three tables in `protocol/test-report.ts`: they are what bounds it. */
  private readonly groups = new Map<string, Group>();
  private readonly sinceMs: number;

  /** @param now wall clock, ms */
  constructor(now: () => number = Date.now) {
    this.sinceMs = now();
  }

  add({ browser, network, measures, pairs }: TestReport): void {
    this.reports++;
    const mine = [this.group('all', ''), this.group('browser', browser), this.group('network', network)];
    for (const measure of measures) {
      for (const group of mine) group.measure(measure);
      if (measure.candidate !== 'none') this.group('candidate', measure.candidate).measure(measure);
    }
    for (const { outcome, sameNetwork } of pairs)
      for (const group of mine) (sameNetwork ? group.sameNetworkPairs : group.pairs)[outcome]++;
  }

  summary(): TestSummary {
    const { sinceMs, reports } = this;
    return { sinceMs, reports, groups: [...this.groups.values()].map((group) => group.summary()) };
  }

  private group(by: TestGroup['by'], value: string): Group {
    const key = `${by} ${value}`;
    let group = this.groups.get(key);
    if (group === undefined) this.groups.set(key, (group = new Group(by, value)));
    return group;
  }
}
