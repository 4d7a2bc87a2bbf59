// What a connection test page tells its gateway, and what the gateway makes of all of them: shared, and checked where it arrives.
import { ProtocolError } from './errors.js';

/** How bytes travel: to the gateway and back, through the TURN server and back, or to another browser. */
export const TEST_WAYS = ['websocket', 'sse', 'turn', 'direct', 'relay', 'media'] as const;
export const TEST_BROWSERS = ['chrome', 'edge', 'firefox', 'safari', 'other'] as const;
export const TEST_PLATFORMS = ['android', 'ios', 'linux', 'macos', 'windows', 'other'] as const;
export const TEST_NETWORKS = ['wifi', 'cellular', 'ethernet', 'other', 'unknown'] as const;
/** Of this end of the chosen pair; `none` where there is no such thing, as with a WebSocket. */
export const TEST_CANDIDATES = ['host', 'srflx', 'prflx', 'relay', 'none'] as const;
export const PAIR_OUTCOMES = ['direct', 'relay', 'none'] as const;

export type TestWay = (typeof TEST_WAYS)[number];
export type TestBrowser = (typeof TEST_BROWSERS)[number];
export type TestPlatform = (typeof TEST_PLATFORMS)[number];
export type TestNetwork = (typeof TEST_NETWORKS)[number];
export type TestCandidate = (typeof TEST_CANDIDATES)[number];
/** Whether two browsers reached each other without a relay, only through one, or not at all. */
export type PairOutcome = (typeof PAIR_OUTCOMES)[number];

export interface TestMeasure {
  way: TestWay;
  candidate: TestCandidate;
  sameNetwork: boolean;
  /** False: it never came to a connection; the figures are null then. */
  ok: boolean;
  setupMs: number | null;
  /** Mean of the round trips of one round. */
  pingMs: number | null;
  kbps: number | null;
}

export interface TestPair {
  outcome: PairOutcome;
  sameNetwork: boolean;
}

/** One round of one page. Holds no address, no id, and nothing else that tells whose it is. */
export interface TestReport {
  browser: TestBrowser;
  platform: TestPlatform;
  network: TestNetwork;
  measures: TestMeasure[];
  /** Pairs whose outcome is new: each page tells of each once, however often it tests. */
  pairs: TestPair[];
}

/** Three for the server, three for each of the browsers that a round takes in, and room to spare. */
export const MEASURES_LIMIT = 64;
export const PAIRS_LIMIT = 32;
const TIME_LIMIT_MS = 600_000;
const BANDWIDTH_LIMIT_KBPS = 1e9;

/** @throws ProtocolError `bad_parameter`, with the field */
export function parseTestReport(value: unknown): TestReport {
  const report = recordOf(value, 'the report');
  return {
    browser: choice(report, 'browser', TEST_BROWSERS),
    platform: choice(report, 'platform', TEST_PLATFORMS),
    network: choice(report, 'network', TEST_NETWORKS),
    measures: list(report, 'measures', MEASURES_LIMIT).map(parseMeasure),
    pairs: list(report, 'pairs', PAIRS_LIMIT).map((entry) => {
      const pair = recordOf(entry, 'a pair');
      return { outcome: choice(pair, 'outcome', PAIR_OUTCOMES), sameNetwork: flag(pair, 'sameNetwork') };
    }),
  };
}

function parseMeasure(entry: unknown): TestMeasure {
  const measure = recordOf(entry, 'a measure');
  return {
    way: choice(measure, 'way', TEST_WAYS),
    candidate: choice(measure, 'candidate', TEST_CANDIDATES),
    sameNetwork: flag(measure, 'sameNetwork'),
    ok: flag(measure, 'ok'),
    setupMs: figure(measure, 'setupMs', TIME_LIMIT_MS),
    pingMs: figure(measure, 'pingMs', TIME_LIMIT_MS),
    kbps: figure(measure, 'kbps', BANDWIDTH_LIMIT_KBPS),
  };
}

type Fields = Readonly<Record<string, unknown>>;

function refuse(text: string): never {
  throw new ProtocolError('bad_parameter', text);
}

function recordOf(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse(`${what} is no object`);
  return Object.fromEntries(Object.entries(value));
}

function choice<Value extends string>(fields: Fields, name: string, values: readonly Value[]): Value {
  return values.find((known) => known === fields[name]) ?? refuse(`${name} is none of ${values.join(', ')}`);
}

function list(fields: Fields, name: string, limit: number): unknown[] {
  const value = fields[name];
  if (!Array.isArray(value)) refuse(`${name} is no list`);
  if (value.length > limit) refuse(`${name} has more than ${String(limit)} entries`);
  return value as unknown[];
}

function flag(fields: Fields, name: string): boolean {
  const value = fields[name];
  return typeof value === 'boolean' ? value : refuse(`${name} is not true or false`);
}

function figure(fields: Fields, name: string, limit: number): number | null {
  const value = fields[name];
  if (value === null) return null;
  if (typeof value === 'number' && value >= 0 && value <= limit) return value;
  return refuse(`${name} is no number from 0 to ${String(limit)}`);
}

export interface Spread {
  count: number;
  mean: number;
  /** Standard deviation; null for one value. */
  sd: number | null;
  p95: number;
}

export interface WaySummary {
  way: TestWay;
  ok: number;
  failed: number;
  setupMs: Spread | null;
  pingMs: Spread | null;
  kbps: Spread | null;
}

/** All that was told of one browser, one type of network or one type of candidate, or of all. */
export interface TestGroup {
  by: 'all' | 'browser' | 'network' | 'candidate';
  value: string;
  /** To the server, and between browsers of different networks. */
  ways: WaySummary[];
  /** Between browsers on one network: their figures say nothing of the Internet. */
  sameNetworkWays: WaySummary[];
  /** Between browsers of different networks; those on one network need no relay and are counted apart. */
  pairs: Record<PairOutcome, number>;
  sameNetworkPairs: Record<PairOutcome, number>;
}

export interface TestSummary {
  /** Wall clock, ms: when this node began to count. */
  sinceMs: number;
  reports: number;
  groups: TestGroup[];
}

/** Of the pairs in different networks that reached each other at all, the share that needed the relay; null without any. */
export function turnShare(pairs: Record<PairOutcome, number>): number | null {
  const reached = pairs.direct + pairs.relay;
  return reached === 0 ? null : pairs.relay / reached;
}

/** How many pairs there were. */
export function countOf(pairs: Record<PairOutcome, number>): number {
  return PAIR_OUTCOMES.reduce((sum, outcome) => sum + pairs[outcome], 0);
}
