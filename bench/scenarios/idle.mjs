// Scenario idle: many sessions that are connected and silent; what does each hold in memory, and what did its handshake cost?
import { Load } from '../load.mjs';
import { cpuMicros, pssKib } from '../machine.mjs';
import { bareWsJson } from '../peers/bare-ws.mjs';
import { signalbox } from '../peers/signalbox.mjs';
import { socketIo } from '../peers/socket-io.mjs';
import { ServerProcess } from '../server-process.mjs';
import { median } from '../table.mjs';

const BASELINE = bareWsJson.label;
/** Most times the baseline's KiB per connection. */
const MEMORY_GOALS = [
  ['signalbox/1', 2],
  ['signalbox/2', 2],
];

/** Under way at once, per generator: below the backlog of every server. */
const HANDSHAKES_AT_ONCE = 32;
/** Connected before the baseline is read: they load and warm the code, which is no connection's cost. */
const FIRST_CONNECTIONS = 200;
/** Memory has settled when a second changes it by less than this share. */
const SETTLED_SHARE = 0.003;
const SETTLE_LIMIT_SECONDS = 20;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function run(system, { connections }) {
  const server = await ServerProcess.start(system);
  const generators = new Load();
  const connect = (name, count) =>
    generators.askEach((index) => {
      const ids = Array.from({ length: count / generators.size }, (_, i) => `bench-${name}-${index}-${i}`);
      return { type: 'connect', driver: system.driver, port: server.port, ids, atOnce: HANDSHAKES_AT_ONCE };
    });
  try {
    await connect('first', FIRST_CONNECTIONS);
    const before = await settledPss(server);
    const cpuBefore = cpuMicros(server.pids);
    const measured = connections - (connections % generators.size);
    await connect('idle', measured);
    const cpu = cpuMicros(server.pids) - cpuBefore;
    const after = await settledPss(server);
    const answers = await generators.ask({ type: 'faults' });
    return {
      connections: measured,
      kibPerConnection: (after - before) / measured,
      cpuMicrosPerHandshake: cpu / measured,
      baseMib: before / 1024,
      faults: answers.flatMap((answer) => answer.faults),
    };
  } finally {
    await generators.stop();
    await server.stop();
  }
}

async function settledPss(server) {
  let last = pssKib(server.pids);
  for (let second = 0; second < SETTLE_LIMIT_SECONDS; second++) {
    await sleep(1000);
    const now = pssKib(server.pids);
    if (Math.abs(now - last) < last * SETTLED_SHARE) return now;
    last = now;
  }
  return last;
}

function summarize(system, results) {
  const keys = ['connections', 'kibPerConnection', 'cpuMicrosPerHandshake', 'baseMib'];
  return {
    label: system.label,
    system: system.name,
    workers: system.workers,
    faults: results.flatMap((result) => result.faults),
    ...Object.fromEntries(keys.map((key) => [key, median(results.map((result) => result[key]))])),
  };
}

function toJson(row) {
  return {
    system: row.system,
    scenario: 'idle',
    workers: row.workers,
    connections: row.connections,
    kibPerConnection: Number(row.kibPerConnection.toFixed(2)),
    cpuMicrosPerHandshake: Number(row.cpuMicrosPerHandshake.toFixed(1)),
  };
}

function table(rows) {
  const base = rows.find((row) => row.label === BASELINE);
  const times = (row, key) => (base === undefined ? '–' : `${(row[key] / base[key]).toFixed(2)} ×`);
  return {
    head: ['idle', 'connections', 'KiB/connection', BASELINE, 'CPU µs/handshake', BASELINE, 'MiB before'],
    rows: rows.map((row) => [
      row.label,
      String(row.connections),
      row.kibPerConnection.toFixed(2),
      times(row, 'kibPerConnection'),
      row.cpuMicrosPerHandshake.toFixed(0),
      times(row, 'cpuMicrosPerHandshake'),
      row.baseMib.toFixed(1),
    ]),
    notes: goalNotes(rows, base),
  };
}

function goalNotes(rows, base) {
  return MEMORY_GOALS.flatMap(([label, most]) => {
    const row = rows.find((candidate) => candidate.label === label);
    if (row === undefined || base === undefined) return [];
    const ratio = row.kibPerConnection / base.kibPerConnection;
    return [
      `goal: ${label} ≤ ${most} × ${BASELINE}: ${ratio.toFixed(2)} ×, ${ratio <= most ? 'met' : 'MISSED'}`,
    ];
  });
}

export const idle = {
  systems: [bareWsJson, socketIo(1), socketIo(2), signalbox(1), signalbox(2)],
  run,
  describe: (r) =>
    `${r.connections} connections, ${r.kibPerConnection.toFixed(2)} KiB each, ` +
    `${r.cpuMicrosPerHandshake.toFixed(0)} µs per handshake`,
  summarize,
  toJson,
  table,
};
