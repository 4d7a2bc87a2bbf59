// The numbers of one worker, in Prometheus' terms; the primary adds them up over its workers.
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { PeerMetrics } from './peer-metrics.js';
import type { ClientFrame } from './protocol/frame.js';
import type { CallOutcome } from './relay/services.js';
import type { RelayOutcome, RelayPath } from './relay/relay.js';
import type { Outcome } from './session/session.js';
import type { TestReport } from './protocol/test-report.js';
import type { Channel } from './session/store/store.js';

/**
 * A counter for what happens with every message: adding is one map entry, and prom-client, which would hash the labels
 * each time, sees the sums when somebody asks.
 */
class Tally<Key extends string> {
  private readonly counts = new Map<Key, number>();

  constructor(registry: Registry, name: string, help: string, labelNames: string[]) {
    const { counts } = this;
    new Counter({
      name: `signalbox_${name}`,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        for (const [key, count] of counts) {
          const values = key.split(' ');
          this.inc(Object.fromEntries(labelNames.map((label, i) => [label, values[i] ?? ''])), count);
        }
      },
    });
  }

  /** @param key the labels' values, in their order, separated by spaces */
  add(key: Key, count = 1): void {
    this.counts.set(key, (this.counts.get(key) ?? 0) + count);
  }
}

/** A number that goes up and down with every connection, for the same reason. */
class Level {
  private value = 0;

  constructor(registry: Registry, name: string, help: string) {
    const read = (): number => this.value;
    new Gauge({
      name: `signalbox_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  }

  set(value: number): void {
    this.value = value;
  }

  add(change: number): void {
    this.value += change;
  }
}

export class Metrics {
  readonly registry = new Registry();

  readonly connections = new Level(this.registry, 'connections', 'Live connections.');
  readonly sessions = new Level(this.registry, 'sessions', 'Sessions with a live connection on a worker.');
  readonly framesIn = this.tally<ClientFrame['type']>('frames_received_total', 'Frames from clients.', [
    'type',
  ]);
  readonly bytesIn = this.tally<''>('received_bytes_total', 'Bytes of frames from clients.', []);
  readonly deliveries = this.tally<Outcome>('deliveries_total', 'Messages handed to connections.', [
    'outcome',
  ]);
  readonly dropped = this.counter('volatile_dropped_total', 'Volatile messages that reached nobody.', [
    'reason',
  ]);
  readonly relayed = this.tally<`${RelayPath} ${RelayOutcome}`>(
    'relay_envelopes_total',
    'Envelopes between places.',
    ['path', 'outcome'],
  );
  readonly entries = this.tally<Channel['kind']>('store_entries_total', 'Entries that the store told of.', [
    'channel',
  ]);
  readonly logReads = this.tally<'hole' | 'replay'>(
    'log_reads_total',
    'Reads of logs: `hole` where live entries left one or a first reader came, `replay` for one session.',
    ['reason'],
  );
  readonly gaps = this.counter('gaps_told_total', 'Sessions told that messages are missing, by reason.', [
    'reason',
  ]);
  readonly closes = this.tally<string>('closes_total', 'Connections that ended, by close code.', ['code']);
  readonly refusals = this.counter('refusals_total', 'Calls refused, by code.', ['code']);
  readonly handshakes = this.tally<string>('handshakes_total', 'Handshakes, by outcome.', ['outcome']);
  readonly tokensRefused = this.counter('tokens_refused_total', 'Access tokens refused, by reason.', [
    'reason',
  ]);
  readonly attachments = this.tally<'fresh' | 'resumed'>(
    'attachments_total',
    'Sessions that began or went on.',
    ['kind'],
  );
  readonly throttled = this.counter('throttled_total', 'Times a connection was slowed by a rate limit.', [
    'scope',
  ]);
  readonly storeErrors = this.counter('store_errors_total', 'Store calls and messages that failed.', [
    'kind',
  ]);
  readonly doubts = this.counter(
    'store_doubts_total',
    'Times a worker found its store to be another than before, and asked senders for what it may have lost.',
    [],
  );
  readonly logLinesDropped = this.counter(
    'log_lines_dropped_total',
    'Log lines of workers that could not be written.',
    [],
  );
  readonly recycled = this.counter(
    'workers_recycled_total',
    'Workers that asked to be replaced because their heap was nearly used up.',
    [],
  );
  readonly streamCuts = this.counter('stream_ends_total', 'Ends of streams, by code; `normal` were done.', [
    'code',
  ]);
  readonly pluginFaults = this.counter(
    'plugin_faults_total',
    'Calls of plugins that threw, took too long, or answered what is no answer.',
    ['plugin', 'fault'],
  );
  readonly standingOffers = this.counter(
    'standing_offers_total',
    'Standing offers: `left`, `given`; asked for and not given by reason.',
    ['outcome'],
  );
  /** Told by clients of their connections with each other. */
  readonly peers = new PeerMetrics(this.registry);
  readonly serviceCalls = this.tally<CallOutcome>(
    'service_calls_total',
    'Calls of services, by how they ended; `retried` each time that one went to another provider.',
    ['outcome'],
  );
  readonly testReports = this.tally<string>(
    'connection_test_requests_total',
    'Reports of connection test pages, and what of theirs was refused.',
    ['outcome'],
  );
  private readonly tests = this.tally<string>(
    'connection_tests_total',
    'Connections that test pages tried.',
    ['way', 'browser', 'network', 'candidate', 'same_network', 'outcome'],
  );
  private readonly testPairs = this.tally<string>(
    'connection_test_pairs_total',
    'Pairs of browsers that test pages tried: whether they need a relay.',
    ['browser', 'network', 'same_network', 'outcome'],
  );
  readonly loopLag = new Histogram({
    name: 'signalbox_event_loop_lag_seconds',
    help: "How late the latest of a second's clock ticks of the worker came.",
    buckets: [0.005, 0.02, 0.1, 0.5, 1, 2],
    registers: [this.registry],
  });

  /** Labels have few values each: they are checked where reports come in. */
  countTest({ browser, network, measures, pairs }: TestReport): void {
    for (const { way, candidate, sameNetwork, ok } of measures) {
      const outcome = ok ? 'ok' : 'failed';
      this.tests.add(`${way} ${browser} ${network} ${candidate} ${String(sameNetwork)} ${outcome}`);
    }
    for (const { outcome, sameNetwork } of pairs)
      this.testPairs.add(`${browser} ${network} ${String(sameNetwork)} ${outcome}`);
  }

  /** @param count how many ends of streams are held now */
  countStreams(count: () => number): void {
    new Gauge({
      name: 'signalbox_streams',
      help: 'Ends of streams that sessions of a worker hold.',
      registers: [this.registry],
      collect() {
        this.set(count());
      },
    });
  }

  /** @param urls each that is asked, and whether it answers now */
  watchTurnServers(urls: () => Iterable<[server: string, isUp: boolean]>): void {
    new Gauge({
      name: 'signalbox_turn_server_up',
      help: 'Whether a URL of a TURN server answers: 0 where it does not answer some worker.',
      labelNames: ['server'],
      aggregator: 'min',
      registers: [this.registry],
      collect() {
        for (const [server, isUp] of urls()) this.set({ server }, isUp ? 1 : 0);
      },
    });
  }

  private tally<Key extends string>(name: string, help: string, labelNames: string[]): Tally<Key> {
    return new Tally(this.registry, name, help, labelNames);
  }

  private counter<Label extends string>(name: string, help: string, labelNames: Label[]): Counter<Label> {
    return new Counter({ name: `signalbox_${name}`, help, labelNames, registers: [this.registry] });
  }
}
