// Scenario fan-out: one publisher, thousands of members; what does one delivery cost?
import { atMost } from '../goals.mjs';
import { Interval, sleep } from '../interval.mjs';
import { Load } from '../load.mjs';
import { bareWsShared } from '../peers/bare-ws.mjs';
import { nats } from '../peers/nats.mjs';
import { signalbox } from '../peers/signalbox.mjs';
import { socketIo } from '../peers/socket-io.mjs';
import { groupedBars } from '../plot/bars.mjs';
import { ServerProcess } from '../server-process.mjs';
import { mergeSamples, percentile, shareOut } from '../statistics.mjs';
import { fixed, percent, times } from '../table.mjs';

const BASELINE = bareWsShared.label;
const SIZES = [64, 1024];
/** Under way at once, per generator. */
const HANDSHAKES_AT_ONCE = 32;

const roomName = (room) => `bench-room-${room}`;
const publisherOf = (room) => `bench-publisher-${room}`;

/** Rooms of that many members each; the members of each are spread over all generators, its publisher is no member. */
async function connectRooms(system, server, generators, { rooms, members }) {
  const connect = (ids, names) => ({
    type: 'connect',
    driver: system.roomDriver,
    ports: server.ports,
    ids,
    rooms: names,
    atOnce: HANDSHAKES_AT_ONCE,
  });
  const names = Array.from({ length: rooms }, (_, room) => room);
  const list = shareOut(members, generators.size).map((count, generator) =>
    names.flatMap((room) =>
      Array.from({ length: count }, (_, i) => [`bench-${room}-${generator}-${i}`, room]),
    ),
  );
  await generators.askEach((index) =>
    connect(
      list[index].map(([id]) => id),
      list[index].map(([, room]) => roomName(room)),
    ),
  );
  await generators.askOne(0, connect(names.map(publisherOf), []));
  return { names, list };
}

/** Also what growth measures, with other rooms. @param load `deliveries` a second, whatever the number of members */
export async function measureRooms(system, { rooms, members, deliveries, payloads, warmup, seconds }) {
  const server = await ServerProcess.start(system);
  const generators = new Load();
  try {
    const { names, list } = await connectRooms(system, server, generators, { rooms, members });
    const results = [];
    for (const payload of payloads) {
      await generators.askEach((index) => ({
        type: 'listen',
        members: list[index].map(([id, room]) => [id, publisherOf(room)]),
        payload,
      }));
      await generators.askOne(0, {
        type: 'publish',
        rooms: names.map((room) => [roomName(room), publisherOf(room)]),
        ratePerSecond: deliveries / members,
        payload,
      });
      await sleep(warmup);
      results.push(await measureInterval(server, generators, { members, seconds }));
    }
    return results;
  } finally {
    await generators.stop();
    await server.stop();
  }
}

async function measureInterval(server, generators, { members, seconds }) {
  await generators.ask({ type: 'markMembers' });
  const interval = new Interval(server, generators);
  await sleep(seconds);
  const used = interval.end();
  const marked = await generators.ask({ type: 'unmarkMembers' });
  const { published } = await generators.askOne(0, { type: 'stopPublishing' });
  const sent = published.reduce((sum, count) => sum + count, 0) * members;
  const shares = shareOut(members, generators.size);
  const settled = await generators.askEach((index) => ({
    type: 'settleMembers',
    expected: (sent / members) * shares[index],
  }));
  const received = settled.reduce((sum, answer) => sum + answer.received, 0);
  const latencies = mergeSamples(marked.map((answer) => answer.latenciesMs));
  return {
    ...used,
    deliveriesPerSecond: (latencies.length / used.elapsedMs) * 1000,
    cpuMicrosPerDelivery: used.serverCpuMicros / latencies.length,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    sent,
    received,
    faults: [
      ...settled.flatMap((answer) => answer.faults),
      ...(sent === received ? [] : [`published ${sent} deliveries but received ${received}`]),
    ],
  };
}

const caseLabel = (system, size) => `${system.label} ${size} B`;
const COST = 'cpuMicrosPerDelivery';
const SYSTEMS = [bareWsShared, signalbox(2)];
/** Beside them once: no goal names them. */
const OTHERS = [nats, socketIo(2), signalbox(1)];

/** Both sizes over the same connections. */
function caseOf(system, load) {
  return { label: system.label, system, load, parts: SIZES.map((size) => caseLabel(system, size)) };
}

export const fanOut = {
  name: 'fan-out',
  defaults: { seconds: 2, warmup: 1, members: 5000, deliveries: 50_000 },
  cases: (load) => [
    ...SYSTEMS.map((system) => caseOf(system, load)),
    ...OTHERS.map((system) => ({ ...caseOf(system, load), rounds: 1 })),
  ],
  casesOf: caseOf,
  run: ({ system, load }) => measureRooms(system, { ...load, rooms: 1, payloads: SIZES }),
  describe: (r) =>
    `${r.deliveriesPerSecond.toFixed(0)} deliveries/s, ${r[COST].toFixed(2)} µs each, p99 ${r.p99Ms.toFixed(1)} ms, ` +
    `due ${r.sent}, received ${r.received}`,
  columns: [
    { head: 'deliveries/s', text: fixed('deliveriesPerSecond', 0) },
    { head: 'CPU µs/delivery', text: fixed(COST, 2) },
    { head: BASELINE, text: times(COST, (label) => `${BASELINE} ${label.split(' ')[1]} B`) },
    { head: 'p50 ms', text: fixed('p50Ms', 1) },
    { head: 'p99 ms', text: fixed('p99Ms', 1) },
    { head: 'server cores', text: fixed('serverCores', 2) },
    { head: 'idle', text: percent('serverIdle') },
    { head: 'generator cores', text: fixed('generatorCores', 2) },
    { head: 'idle', text: percent('generatorIdle') },
    { head: 'other cores', text: fixed('otherCores', 2) },
  ],
  goals: SIZES.map((size) =>
    atMost({
      what: `fan-out, 1 → 5,000 members, 2 workers, ${size} B`,
      key: COST,
      label: caseLabel(signalbox(2), size),
      baseline: `${BASELINE} ${size} B`,
      most: 1,
      unit: 'µs/delivery',
      digits: 2,
    }),
  ),
  plot: (rows) =>
    groupedBars({
      title: 'CPU time of all server processes per delivery',
      subtitle: 'one publisher, 5,000 members',
      unit: 'µs',
      groups: SIZES.map((size) => ({
        name: `${size} bytes`,
        rows: rows
          .filter((row) => row.label.endsWith(` ${size} B`))
          .map((row) => ({
            label: row.label.split(' ')[0],
            value: row.figures[COST],
            ours: row.label.startsWith('signalbox'),
          })),
      })),
    }),
};
