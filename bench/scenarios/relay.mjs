// Scenario relay: pairs of clients keep a window of small messages in flight; what does one relayed message cost?
import { Interval, sleep } from '../interval.mjs';
import { Load } from '../load.mjs';
import { connectPairs, warmUp } from '../pairing.mjs';
import { bareWsBinary, bareWsJson } from '../peers/bare-ws.mjs';
import { nats } from '../peers/nats.mjs';
import { peerServer } from '../peers/peer-server.mjs';
import { signalbox, signalboxKept, signalboxKeptInRedis, signalboxNodes } from '../peers/signalbox.mjs';
import { socketIo, socketIoRedis } from '../peers/socket-io.mjs';
import { barChart } from '../plot/bars.mjs';
import { ServerProcess } from '../server-process.mjs';
import { mergeSamples, percentile } from '../statistics.mjs';
import { atMost } from '../goals.mjs';
import { fixed, percent, times } from '../table.mjs';

const BASELINES = [bareWsJson, bareWsBinary];
const MODES = {
  volatile: [nats, peerServer, socketIo(1), socketIo(2), signalbox(1), signalbox(2)],
  nodes: [socketIoRedis(2), signalboxNodes(2)],
  kept: [socketIoRedis(2), signalboxKept(1), signalboxKept(2), signalboxKeptInRedis(2)],
};

/** No goal names them: fewer rounds do. */
const COMPANY = new Set(['peer-server/1', 'socket.io/1', 'socket.io/2', 'socket.io-redis/2', 'kept/1']);
const COMPANY_ROUNDS = 3;

function systems(mode) {
  const chosen = mode === 'all' ? Object.values(MODES).flat() : MODES[mode];
  if (chosen === undefined) throw new Error(`no mode ${mode}: ${Object.keys(MODES).join(', ')} or all`);
  const byLabel = new Map([...BASELINES, ...chosen].map((system) => [system.label, system]));
  return [...byLabel.values()];
}

/** Also what growth measures, with other numbers of connections. */
export async function measureRelay(system, load) {
  const server = await ServerProcess.start(system);
  const generators = new Load();
  try {
    const { pairs, across } = await connectPairs(system, server, generators, load);
    await warmUp(generators, pairs, load);
    const { window, inFlight, payload } = load;
    const share = inFlight === undefined ? undefined : Math.ceil(inFlight / generators.size);
    await generators.askEach((index) => ({
      type: 'start',
      pairs: pairs[index],
      window,
      inFlight: share,
      payload,
    }));
    await sleep(load.warmup);
    return { across, ...(await measureInterval(server, generators, load)) };
  } finally {
    await generators.stop();
    await server.stop();
  }
}

async function measureInterval(server, generators, { seconds }) {
  await generators.ask({ type: 'mark' });
  const interval = new Interval(server, generators);
  await sleep(seconds);
  const used = interval.end();
  const results = await generators.ask({ type: 'stop' });

  const latencies = mergeSamples(results.map((result) => result.latenciesMs));
  const perSecond = results.reduce((sum, r) => sum + (r.latenciesMs.length / r.elapsedMs) * 1000, 0);
  const sent = results.reduce((sum, r) => sum + r.sent, 0);
  const received = results.reduce((sum, r) => sum + r.received, 0);
  return {
    ...used,
    messagesPerSecond: perSecond,
    cpuMicrosPerMessage: (used.serverCores * 1e6) / perSecond,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    sent,
    received,
    faults: [
      ...results.flatMap((r) => r.faults),
      ...(sent === received ? [] : [`sent ${sent} but received ${received}`]),
    ],
  };
}

const COST = 'cpuMicrosPerMessage';
const [JSON_BASE, STRICT_BASE] = BASELINES.map((system) => system.label);
const goal = (what, label, baseline, most) =>
  atMost({ what, key: COST, label, baseline, most, unit: 'µs/message', digits: 2 });

const caseOf = (system, load) => ({ label: system.label, system, load });

export const relay = {
  name: 'relay',
  defaults: { seconds: 2, warmup: 0.5, pairs: 100, window: 8, payload: 64 },
  cases: (load, { mode = 'volatile' }) =>
    systems(mode).map((system) => ({
      ...caseOf(system, load),
      ...(mode === 'all' && COMPANY.has(system.label) ? { rounds: COMPANY_ROUNDS } : {}),
    })),
  casesOf: caseOf,
  run: ({ system, load }) => measureRelay(system, load),
  describe: (r) =>
    `${r.messagesPerSecond.toFixed(0)} messages/s, ${r.cpuMicrosPerMessage.toFixed(2)} µs each, ` +
    `p99 ${r.p99Ms.toFixed(2)} ms, sent ${r.sent}, received ${r.received}`,
  columns: [
    { head: 'messages/s', text: fixed('messagesPerSecond', 0) },
    { head: 'CPU µs/message', text: fixed(COST, 2) },
    { head: JSON_BASE, text: times(COST, JSON_BASE) },
    { head: STRICT_BASE, text: times(COST, STRICT_BASE) },
    { head: 'p50 ms', text: fixed('p50Ms', 2) },
    { head: 'p99 ms', text: fixed('p99Ms', 2) },
    { head: 'across workers', text: percent('across') },
    { head: 'server cores', text: fixed('serverCores', 2) },
    { head: 'idle', text: percent('serverIdle') },
    { head: 'generator cores', text: fixed('generatorCores', 2) },
    { head: 'idle', text: percent('generatorIdle') },
    { head: 'other cores', text: fixed('otherCores', 2) },
  ],
  goals: [
    goal('relay, volatile, 1 worker', 'signalbox/1', JSON_BASE, 0.75),
    goal('relay, volatile, 2 workers, all across', 'signalbox/2', JSON_BASE, 0.85),
    goal('the same', 'signalbox/2', nats.label, 1.2),
    goal('relay, volatile, 1 worker, stricter baseline', 'signalbox/1', STRICT_BASE, 1.3),
    goal('relay, volatile, 2 workers, stricter baseline', 'signalbox/2', STRICT_BASE, 1.3),
    goal("2 nodes over Redis, Redis's CPU counted", 'nodes/2', JSON_BASE, 1.6),
    goal('relay, kept, embedded store (aim 1.5)', 'kept/2', JSON_BASE, 2),
    goal('relay, kept, Redis (aim 2.5)', 'kept-redis/2', JSON_BASE, 4),
  ],
  plot: (rows) =>
    barChart({
      title: 'CPU time of all server processes per relayed message',
      subtitle:
        '100 pairs of clients, 8 messages of 64 bytes in flight each; Redis counted where there is one',
      unit: 'µs',
      rows: rows.map((row) => ({
        label: row.label,
        value: row.figures[COST],
        ours: isOurs(row.label),
      })),
    }),
};

/** Plots set signalbox's own rows off. */
export function isOurs(label) {
  return /^(signalbox|nodes|kept)/.test(label);
}
