// Scenario idle: many sessions that are connected and silent; what does each hold in memory, and what did its handshake cost?
import { atMost } from '../goals.mjs';
import { Interval, sleep } from '../interval.mjs';
import { Load } from '../load.mjs';
import { pssKib } from '../machine.mjs';
import { bareWsJson } from '../peers/bare-ws.mjs';
import { nats } from '../peers/nats.mjs';
import { peerServer } from '../peers/peer-server.mjs';
import { signalbox } from '../peers/signalbox.mjs';
import { socketIo } from '../peers/socket-io.mjs';
import { groupedBars } from '../plot/bars.mjs';
import { ServerProcess } from '../server-process.mjs';
import { shareOut } from '../statistics.mjs';
import { fixed, percent, times } from '../table.mjs';

const BASELINE = bareWsJson.label;

/** Under way at once, per generator: below the backlog of every server. */
const HANDSHAKES_AT_ONCE = 32;
/** Connected before the baseline is read: they load and warm the code, which is no connection's cost. */
const FIRST_CONNECTIONS = 200;
/** Memory has settled when a second changes it by less than this share. */
const SETTLED_SHARE = 0.003;
const SETTLE_LIMIT_SECONDS = 20;

async function run({ system, load: { connections } }) {
  const server = await ServerProcess.start(system);
  const generators = new Load();
  const connect = (name, count) => {
    const counts = shareOut(count, generators.size);
    return generators.askEach((index) => ({
      type: 'connect',
      driver: system.driver,
      ports: server.ports,
      ids: Array.from({ length: counts[index] }, (_, i) => `bench-${name}-${index}-${i}`),
      atOnce: HANDSHAKES_AT_ONCE,
    }));
  };
  try {
    await connect('first', FIRST_CONNECTIONS);
    const before = await settledPss(server);
    const interval = new Interval(server, generators);
    await connect('idle', connections);
    const used = interval.end();
    const after = await settledPss(server);
    const answers = await generators.ask({ type: 'faults' });
    return {
      connections,
      kibPerConnection: (after - before) / connections,
      cpuMicrosPerHandshake: used.serverCpuMicros / connections,
      handshakesPerSecond: (connections / used.elapsedMs) * 1000,
      baseMib: before / 1024,
      ...used,
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
    await sleep(1);
    const now = pssKib(server.pids);
    if (Math.abs(now - last) < last * SETTLED_SHARE) return now;
    last = now;
  }
  return last;
}

/** In every round those that the goals compare; the others once, since each takes half a minute. */
const SYSTEMS = [bareWsJson, signalbox(1), signalbox(2)];
const OTHERS = [nats, peerServer, socketIo(1), socketIo(2)];

const goal = (what, label, key, most, unit, digits) =>
  atMost({ what, key, label, baseline: BASELINE, most, unit, digits });

const caseOf = (system, load) => ({ label: system.label, system, load });

export const idle = {
  name: 'idle',
  defaults: { connections: 15_000 },
  cases: (load) => [
    ...SYSTEMS.map((system) => caseOf(system, load)),
    ...OTHERS.map((system) => ({ ...caseOf(system, load), rounds: 1 })),
  ],
  casesOf: caseOf,
  run,
  describe: (r) =>
    `${r.connections} connections, ${r.kibPerConnection.toFixed(2)} KiB each, ` +
    `${r.cpuMicrosPerHandshake.toFixed(0)} µs per handshake`,
  columns: [
    { head: 'connections', text: fixed('connections', 0) },
    { head: 'KiB/connection', text: fixed('kibPerConnection', 2) },
    { head: BASELINE, text: times('kibPerConnection', BASELINE) },
    { head: 'CPU µs/handshake', text: fixed('cpuMicrosPerHandshake', 0) },
    { head: BASELINE, text: times('cpuMicrosPerHandshake', BASELINE) },
    { head: 'handshakes/s', text: fixed('handshakesPerSecond', 0) },
    { head: 'MiB before', text: fixed('baseMib', 1) },
    { head: 'generator idle', text: percent('generatorIdle') },
    { head: 'other cores', text: fixed('otherCores', 2) },
  ],
  goals: [1, 2].flatMap((workers) => [
    goal(
      `idle, ${workers} worker${workers > 1 ? 's' : ''}`,
      `signalbox/${workers}`,
      'kibPerConnection',
      1.6,
      'KiB',
      2,
    ),
    goal(
      `handshake, ${workers} worker${workers > 1 ? 's' : ''}`,
      `signalbox/${workers}`,
      'cpuMicrosPerHandshake',
      1.5,
      'µs',
      0,
    ),
  ]),
  plot: (rows) =>
    groupedBars({
      title: 'An idle connection: memory, and CPU time of its handshake',
      subtitle: `${rows[0]?.figures.connections} connections; signalbox verifies a token for each and keeps a session that can be resumed`,
      groups: [
        ['kibPerConnection', 'KiB per connection', 'KiB'],
        ['cpuMicrosPerHandshake', 'CPU µs per handshake', 'µs'],
      ].map(([key, name, unit]) => ({
        name,
        unit,
        rows: rows.map((row) => ({
          label: row.label,
          value: row.figures[key],
          ours: row.label.startsWith('signalbox'),
        })),
      })),
    }),
};
