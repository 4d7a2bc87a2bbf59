// Scenario relay: pairs of clients keep a window of small messages in flight; what does one relayed message cost?
import { Load } from '../load.mjs';
import { cpuMicros, machineCpuMicros, mainThread, ownersOfPorts } from '../machine.mjs';
import { bareWsBinary, bareWsJson } from '../peers/bare-ws.mjs';
import { signalbox, signalboxKept, signalboxKeptInRedis } from '../peers/signalbox.mjs';
import { socketIo, socketIoRedis } from '../peers/socket-io.mjs';
import { ServerProcess } from '../server-process.mjs';
import { median, percentile } from '../table.mjs';

const BASELINE = bareWsJson.label;
const STRICT_BASELINE = bareWsBinary.label;
/** System, baseline, most times the baseline's CPU per message. */
const GOALS = [
  ['signalbox/2', BASELINE, 1.5],
  ['kept/2', BASELINE, 2.5],
  ['kept-redis/2', 'socket.io-redis/2', 1],
];

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function run(system, load) {
  const server = await ServerProcess.start(system);
  const generators = new Load();
  try {
    const across = await startPairs(system, server, generators, load);
    await sleep(load.warmup * 1000);
    return { across, ...(await measureInterval(server, generators, load)) };
  } finally {
    await generators.stop();
    await server.stop();
  }
}

/** Connects everybody, then pairs those that are held by different processes. Returns the share of such pairs. */
async function startPairs(system, server, generators, { pairs, window, payload }) {
  const shares = share(pairs, generators.size);
  // One after the other: connections that arrive in turn are spread evenly by every balancer.
  const answers = await generators.askEach((index) => {
    const ids = Array.from({ length: shares[index] * 2 }, (_, i) => `bench-${index}-${i}`);
    return { type: 'connect', driver: system.driver, port: server.port, ids, atOnce: 1 };
  });
  const owners = ownersOfPorts(server.port, server.pids);
  const holderOf = (port) => {
    const holder = owners.get(port);
    if (holder === undefined) throw new Error('a connection that no process of the server holds');
    return holder;
  };
  const paired = answers.map(({ ports }) =>
    pairAcross(ports.map(([id, port]) => ({ id, holder: holderOf(port) }))),
  );
  const all = paired.flat();
  await generators.askEach((index) => ({
    type: 'start',
    pairs: paired[index].map(([a, b]) => [a.id, b.id]),
    window,
    payload,
  }));
  return all.filter(([a, b]) => a.holder !== b.holder).length / all.length;
}

function share(total, parts) {
  return Array.from({ length: parts }, (_, i) => Math.floor(total / parts) + (i < total % parts ? 1 : 0));
}

/** The largest group of one holder gives the first end, the next largest the second, as long as there are two groups. */
function pairAcross(clients) {
  const byHolder = new Map();
  for (const client of clients) byHolder.set(client.holder, [...(byHolder.get(client.holder) ?? []), client]);
  const groups = [...byHolder.values()];
  const pairs = [];
  while (groups.some((group) => group.length > 0)) {
    groups.sort((a, b) => b.length - a.length);
    const first = groups[0].pop();
    const second = groups[1]?.pop() ?? groups[0].pop();
    pairs.push([first, second]);
  }
  return pairs;
}

async function measureInterval(server, generators, { seconds }) {
  const pids = server.pids;
  await generators.ask({ type: 'mark' });
  const before = usage(pids, generators.pids);
  await sleep(seconds * 1000);
  const after = usage(pids, generators.pids);
  const results = await generators.ask({ type: 'stop' });

  const latencies = merge(results.map((result) => result.latenciesMs)).sort();
  const perSecond = results.reduce((sum, r) => sum + (r.latenciesMs.length / r.elapsedMs) * 1000, 0);
  const elapsedMs = after.at - before.at;
  const cores = (key) => (after[key] - before[key]) / (elapsedMs * 1000);
  return {
    messagesPerSecond: perSecond,
    cpuMicrosPerMessage: (cores('serverCpu') * 1e6) / perSecond,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    serverCores: cores('serverCpu'),
    serverIdle: leastIdle(before.servers, after.servers, elapsedMs),
    generatorCores: cores('generatorCpu'),
    otherCores: Math.max(0, cores('machineCpu') - cores('serverCpu') - cores('generatorCpu')),
    generatorIdle: leastIdle(before.generators, after.generators, elapsedMs),
    sent: results.reduce((sum, r) => sum + r.sent, 0),
    received: results.reduce((sum, r) => sum + r.received, 0),
    faults: results.flatMap((r) => r.faults),
  };
}

function merge(arrays) {
  const merged = new Float32Array(arrays.reduce((sum, array) => sum + array.length, 0));
  let offset = 0;
  for (const array of arrays) {
    merged.set(array, offset);
    offset += array.length;
  }
  return merged;
}

function usage(serverPids, generatorPids) {
  return {
    at: performance.now(),
    serverCpu: cpuMicros(serverPids),
    generatorCpu: cpuMicros(generatorPids),
    machineCpu: machineCpuMicros(),
    servers: serverPids.map(mainThread),
    generators: generatorPids.map(mainThread),
  };
}

/** Of the busiest main thread: the share of the time in which it had nothing to do. */
function leastIdle(before, after, elapsedMs) {
  const busy = after.map(
    ({ ranMs, waitedMs }, i) => (ranMs - before[i].ranMs + waitedMs - before[i].waitedMs) / elapsedMs,
  );
  return Math.max(0, 1 - Math.max(...busy));
}

function summarize(system, results) {
  const medianOf = (key) => median(results.map((result) => result[key]));
  const faults = results.flatMap((result) => result.faults);
  for (const { sent, received } of results) {
    if (sent !== received) faults.push(`sent ${sent} but received ${received}`);
  }
  const keys = ['messagesPerSecond', 'cpuMicrosPerMessage', 'p50Ms', 'p99Ms', 'across'];
  const load = ['serverCores', 'serverIdle', 'generatorCores', 'generatorIdle', 'otherCores'];
  return {
    label: system.label,
    system: system.name,
    workers: system.workers,
    faults,
    ...Object.fromEntries([...keys, ...load].map((key) => [key, medianOf(key)])),
  };
}

function toJson(row) {
  const rounded = (value, digits) => Number(value.toFixed(digits));
  return {
    system: row.system,
    scenario: 'relay',
    workers: row.workers,
    messagesPerSecond: rounded(row.messagesPerSecond, 0),
    cpuMicrosPerMessage: rounded(row.cpuMicrosPerMessage, 3),
    p50Ms: rounded(row.p50Ms, 3),
    p99Ms: rounded(row.p99Ms, 3),
  };
}

const percent = (value) => `${Math.round(value * 100)} %`;

function table(rows) {
  const costOf = (label) => rows.find((row) => row.label === label)?.cpuMicrosPerMessage;
  const times = (row, label) => {
    const base = costOf(label);
    return base === undefined ? '–' : `${(row.cpuMicrosPerMessage / base).toFixed(2)} ×`;
  };
  return {
    head: [
      'relay',
      'messages/s',
      'CPU µs/message',
      BASELINE,
      STRICT_BASELINE,
      'p50 ms',
      'p99 ms',
      'across workers',
      'server cores',
      'idle',
      'generator cores',
      'idle',
      'other cores',
    ],
    rows: rows.map((row) => [
      row.label,
      row.messagesPerSecond.toFixed(0),
      row.cpuMicrosPerMessage.toFixed(2),
      times(row, BASELINE),
      times(row, STRICT_BASELINE),
      row.p50Ms.toFixed(2),
      row.p99Ms.toFixed(2),
      percent(row.across),
      row.serverCores.toFixed(2),
      percent(row.serverIdle),
      row.generatorCores.toFixed(2),
      percent(row.generatorIdle),
      row.otherCores.toFixed(2),
    ]),
    notes: goalNotes(costOf),
  };
}

function goalNotes(costOf) {
  return GOALS.flatMap(([label, baseline, most]) => {
    const [cost, base] = [costOf(label), costOf(baseline)];
    if (cost === undefined || base === undefined) return [];
    const ratio = cost / base;
    return [
      `goal: ${label} ≤ ${most} × ${baseline}: ${ratio.toFixed(2)} ×, ${ratio <= most ? 'met' : 'MISSED'}`,
    ];
  });
}

export const relay = {
  systems: [bareWsJson, bareWsBinary, socketIo(1), socketIo(2), signalbox(1), signalbox(2)],
  /** With `--mode kept`. */
  keptSystems: [
    bareWsJson,
    bareWsBinary,
    socketIoRedis(2),
    signalboxKept(1),
    signalboxKept(2),
    signalboxKeptInRedis(2),
  ],
  run,
  describe: (r) =>
    `${r.messagesPerSecond.toFixed(0)} messages/s, ${r.cpuMicrosPerMessage.toFixed(2)} µs each, ` +
    `p99 ${r.p99Ms.toFixed(2)} ms, sent ${r.sent}, received ${r.received}`,
  summarize,
  toJson,
  table,
};
