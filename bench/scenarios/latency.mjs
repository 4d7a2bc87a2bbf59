// Scenario latency: messages that leave one by one at fixed times; how long does each take?
import { atMost } from '../goals.mjs';
import { Interval, sleep } from '../interval.mjs';
import { Load } from '../load.mjs';
import { connectPairs, warmUp } from '../pairing.mjs';
import { bareWsBinary, bareWsJson } from '../peers/bare-ws.mjs';
import { nats } from '../peers/nats.mjs';
import { signalbox } from '../peers/signalbox.mjs';
import { socketIo } from '../peers/socket-io.mjs';
import { lineChart } from '../plot/lines.mjs';
import { ServerProcess } from '../server-process.mjs';
import { percentile } from '../statistics.mjs';
import { fixed, percent, times } from '../table.mjs';

const BASELINE = bareWsJson.label;
const SYSTEMS = [bareWsJson, signalbox(1), signalbox(2)];
/** Beside them once: no goal names them. */
const OTHERS = [bareWsBinary, nats, socketIo(1), socketIo(2)];

async function run({ system, load }) {
  const server = await ServerProcess.start(system);
  // One: its loop never sleeps, and two would leave a machine of two cores nothing for the server.
  const generators = new Load(1);
  try {
    const { pairs, across } = await connectPairs(system, server, generators, load);
    await warmUp(generators, pairs, load);
    const { rate, payload } = load;
    await generators.ask({ type: 'start', pairs: pairs[0], ratePerSecond: rate, payload });
    await sleep(load.warmup);
    await generators.ask({ type: 'mark' });
    const interval = new Interval(server, generators);
    await sleep(load.seconds);
    const used = interval.end();
    const [result] = await generators.ask({ type: 'stop' });
    const { sent, received, faults } = result;
    const latencies = result.latenciesMs.sort();
    return {
      across,
      ...used,
      messagesPerSecond: (latencies.length / result.elapsedMs) * 1000,
      cpuMicrosPerMessage: (used.serverCores * 1e3 * result.elapsedMs) / latencies.length,
      p50Ms: percentile(latencies, 0.5),
      p90Ms: percentile(latencies, 0.9),
      p99Ms: percentile(latencies, 0.99),
      p999Ms: percentile(latencies, 0.999),
      latenessP99Ms: percentile(result.latenessMs.sort(), 0.99),
      sent,
      received,
      faults: sent === received ? faults : [...faults, `sent ${sent} but received ${received}`],
    };
  } finally {
    await generators.stop();
    await server.stop();
  }
}

const goal = (what, label, most) =>
  atMost({ what, key: 'p99Ms', label, baseline: BASELINE, most, unit: 'ms p99', digits: 3 });

const PERCENTILES = [
  ['p50', 'p50Ms'],
  ['p90', 'p90Ms'],
  ['p99', 'p99Ms'],
  ['p99.9', 'p999Ms'],
];

const caseOf = (system, load) => ({ label: system.label, system, load });

export const latency = {
  name: 'latency',
  defaults: { seconds: 3, warmup: 0.5, pairs: 100, rate: 4000, payload: 64 },
  cases: (load) => [
    ...SYSTEMS.map((system) => caseOf(system, load)),
    ...OTHERS.map((system) => ({ ...caseOf(system, load), rounds: 1 })),
  ],
  casesOf: caseOf,
  run,
  describe: (r) =>
    `${r.messagesPerSecond.toFixed(0)} messages/s, p50 ${r.p50Ms.toFixed(3)} ms, p99 ${r.p99Ms.toFixed(3)} ms, ` +
    `sender late by ${r.latenessP99Ms.toFixed(3)} ms (p99), sent ${r.sent}, received ${r.received}`,
  columns: [
    { head: 'messages/s', text: fixed('messagesPerSecond', 0) },
    { head: 'p50 ms', text: fixed('p50Ms', 3) },
    { head: 'p90 ms', text: fixed('p90Ms', 3) },
    { head: 'p99 ms', text: fixed('p99Ms', 3) },
    { head: BASELINE, text: times('p99Ms', BASELINE) },
    { head: 'p99.9 ms', text: fixed('p999Ms', 3) },
    { head: 'CPU µs/message', text: fixed('cpuMicrosPerMessage', 1) },
    { head: 'across workers', text: percent('across') },
    { head: 'sender late, p99 ms', text: fixed('latenessP99Ms', 3) },
    { head: 'server idle', text: percent('serverIdle') },
    { head: 'other cores', text: fixed('otherCores', 2) },
  ],
  goals: [
    goal('latency at 4,000 messages/s, 1 worker', 'signalbox/1', 1.2),
    goal('latency at 4,000 messages/s, across 2 workers', 'signalbox/2', 2),
  ],
  plot: (rows) =>
    lineChart({
      title: 'One-way latency, counted from the time at which each message was due',
      subtitle: '4,000 messages of 64 bytes a second, one by one, 200 clients',
      unit: 'ms',
      logarithmic: true,
      ticks: PERCENTILES.map(([name]) => name),
      series: rows.map((row) => ({
        label: row.label,
        values: PERCENTILES.map(([, key]) => row.figures[key]),
        ours: row.label.startsWith('signalbox'),
      })),
    }),
};
