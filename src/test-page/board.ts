// All that this page has measured so far: rows of ways, in sections of who is at the other end.
import type { Spread, TestCandidate, TestMeasure, TestPair, TestWay } from '../protocol/test-report.js';
import { type CandidatePair, candidateOf, isSameNetwork } from './candidate-pair.js';
import { Series } from './series.js';
import type { WayResult } from './way-result.js';

export type RowStatus = 'waiting' | 'running' | 'ok' | 'failed' | 'off';

/** What one row shows, also of a result that was shared. */
export interface RowView {
  way: TestWay;
  status: RowStatus;
  /** Why it failed, or what it waits for. */
  note: string;
  candidate: TestCandidate;
  setup: Spread | null;
  ping: Spread | null;
  bandwidth: Spread | null;
  /** Single round trips, ms. */
  pings: readonly number[];
}

/** Rounds that the plot over time goes back. */
export const HISTORY_LIMIT = 200;

export class Row {
  status: RowStatus = 'waiting';
  note = '';
  candidate: TestCandidate = 'none';
  sameNetwork = false;
  readonly setup = new Series();
  readonly ping = new Series();
  readonly bandwidth = new Series();
  /** Mean ping of each round: wall clock in ms, and ms. */
  readonly history: { at: number; pingMs: number }[] = [];
  /** How the last test ended that came to an end. */
  #known: 'ok' | 'failed' | null = null;
  /** Of the latest round, until it was reported. */
  #unreported: TestMeasure | null = null;

  constructor(readonly way: TestWay) {}

  run(): void {
    if (this.status === 'ok' || this.status === 'failed') this.#known = this.status;
    this.status = 'running';
    this.note = '';
  }

  skip(note: string): void {
    this.status = 'off';
    this.note = note;
  }

  /** @param tags of this page's public address and the other's */
  take(result: WayResult, tags: readonly [string, string], at = Date.now()): void {
    switch (result.status) {
      case 'ok':
        this.#ok(result, tags, at);
        return;
      case 'failed':
        this.status = 'failed';
        this.note = result.reason;
        this.sameNetwork = isSameNetwork(null, tags);
        this.#unreported = this.#measure({ ok: false, setupMs: null, pingMs: null, kbps: null });
        return;
      case 'busy':
        this.#keep('the other page is busy');
        return;
      case 'gone':
        this.#keep('the other page was closed');
        return;
      case 'away':
        this.#keep('the gateway went away');
        return;
      default:
        result satisfies never;
    }
  }

  /** What the gateway has not been told yet, once. */
  takeUnreported(): TestMeasure[] {
    const measure = this.#unreported;
    this.#unreported = null;
    return measure === null ? [] : [measure];
  }

  view(): RowView {
    const { way, status, note, candidate } = this;
    return {
      ...{ way, status, note, candidate },
      setup: this.setup.spread(),
      ping: this.ping.spread(),
      bandwidth: this.bandwidth.spread(),
      pings: this.ping.values,
    };
  }

  /** Nothing new is known: what was known stays. */
  #keep(note: string): void {
    this.status = this.#known ?? 'waiting';
    this.note = note;
  }

  #ok(
    result: { setupMs: number; pings: number[]; kbps: number | null; pair: CandidatePair | null },
    tags: readonly [string, string],
    at: number,
  ): void {
    const { setupMs, pings, kbps, pair } = result;
    this.status = 'ok';
    this.note = kbps === null ? 'the bandwidth could not be measured' : '';
    this.candidate = pair === null ? 'none' : candidateOf(pair);
    this.sameNetwork = isSameNetwork(pair, tags);
    this.setup.add(setupMs);
    this.ping.add(...pings);
    if (kbps !== null) this.bandwidth.add(kbps);
    const pingMs = pings.length === 0 ? null : pings.reduce((sum, ms) => sum + ms, 0) / pings.length;
    if (pingMs !== null) {
      this.history.push({ at, pingMs });
      this.history.splice(0, this.history.length - HISTORY_LIMIT);
    }
    this.#unreported = this.#measure({ ok: true, setupMs, pingMs, kbps });
  }

  #measure(figures: Pick<TestMeasure, 'ok' | 'setupMs' | 'pingMs' | 'kbps'>): TestMeasure {
    const { way, sameNetwork } = this;
    return { way, candidate: figures.ok ? this.candidate : 'none', sameNetwork, ...figures };
  }
}

/** The rows of another browser. */
export class PeerRows {
  readonly direct = new Row('direct');
  readonly relay = new Row('relay');
  readonly media = new Row('media');
  #reported: TestPair | null = null;

  get rows(): Row[] {
    return [this.direct, this.relay, this.media];
  }

  get sameNetwork(): boolean {
    return this.direct.sameNetwork || this.relay.sameNetwork;
  }

  /** Null as long as it is not known: a test runs, or never came to an end. */
  get pair(): TestPair | null {
    const { direct, relay, sameNetwork } = this;
    if (direct.status === 'ok') return { outcome: 'direct', sameNetwork };
    if (direct.status !== 'failed') return null;
    if (relay.status === 'ok') return { outcome: 'relay', sameNetwork };
    // Without a relay to try, `direct` alone decides.
    return relay.status === 'failed' || relay.status === 'off' ? { outcome: 'none', sameNetwork } : null;
  }

  /** @param media null where it was not tried, for what came of the channel */
  takeVideo(channel: WayResult['status'], media: WayResult | null, tags: readonly [string, string]): void {
    const row = this.media;
    if (media !== null) row.take(media, tags);
    else if (channel === 'ok') row.skip('this browser makes no test picture');
    else if (channel === 'failed') {
      row.status = 'waiting';
      row.note = 'no way yet';
    } else row.take({ status: channel }, tags);
  }

  /** What the gateway has not been told of its ways: of one network all or none, though relayed candidates do not show it. */
  takeMeasures(): TestMeasure[] {
    const { rows, sameNetwork } = this;
    return rows.flatMap((row) => row.takeUnreported()).map((measure) => ({ ...measure, sameNetwork }));
  }

  /** The pair where its outcome is another than the gateway was told. */
  takeUnreported(): TestPair[] {
    const { pair } = this;
    const isSame =
      pair?.outcome === this.#reported?.outcome && pair?.sameNetwork === this.#reported?.sameNetwork;
    if (pair === null || isSame) return [];
    this.#reported = pair;
    return [pair];
  }
}
