// The numbers of one worker, in Prometheus' terms; the primary adds them up over its workers.
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Outcome } from './session/session.js';
import type { RelayPath } from './relay/relay.js';

export class Metrics {
  readonly registry = new Registry();

  readonly connections = this.gauge('connections', 'Live connections.');
  readonly sessions = this.gauge('sessions', 'Sessions with a live connection on a worker.');
  readonly framesIn = this.counter('frames_received_total', 'Frames from clients.', ['type']);
  readonly bytesIn = this.counter('received_bytes_total', 'Bytes of frames from clients.', []);
  readonly deliveries = this.counter('deliveries_total', 'Messages handed to connections, by outcome.', [
    'outcome',
  ]);
  readonly dropped = this.counter('volatile_dropped_total', 'Volatile messages that reached nobody.', [
    'reason',
  ]);
  readonly relayed = this.counter('relay_envelopes_total', 'Envelopes between places.', ['path', 'outcome']);
  readonly entries = this.counter('store_entries_total', 'Entries that the store told this worker of.', [
    'channel',
  ]);
  readonly closes = this.counter('closes_total', 'Connections that ended, by close code.', ['code']);
  readonly refusals = this.counter('refusals_total', 'Calls refused, by code.', ['code']);
  readonly handshakes = this.counter('handshakes_total', 'Handshakes, by outcome.', ['outcome']);
  readonly tokensRefused = this.counter('tokens_refused_total', 'Access tokens refused, by reason.', [
    'reason',
  ]);
  readonly attachments = this.counter('attachments_total', 'Sessions that began or went on.', ['kind']);
  readonly throttled = this.counter('throttled_total', 'Times a connection was slowed by a rate limit.', [
    'scope',
  ]);
  readonly storeErrors = this.counter('store_errors_total', 'Store calls and messages that failed.', [
    'kind',
  ]);
  readonly loopLag = new Histogram({
    name: 'signalbox_event_loop_lag_seconds',
    help: "How late the worker's clock tick came.",
    buckets: [0.005, 0.02, 0.1, 0.5, 2],
    registers: [this.registry],
  });

  countDelivery(outcome: Outcome, receivers: number): void {
    this.deliveries.inc({ outcome }, receivers);
  }

  countRelay(path: RelayPath, outcome: 'sent' | 'failed' | 'bad'): void {
    this.relayed.inc({ path, outcome });
  }

  private counter<Label extends string>(name: string, help: string, labelNames: Label[]): Counter<Label> {
    return new Counter({ name: `signalbox_${name}`, help, labelNames, registers: [this.registry] });
  }

  private gauge(name: string, help: string): Gauge {
    return new Gauge({ name: `signalbox_${name}`, help, registers: [this.registry] });
  }
}
