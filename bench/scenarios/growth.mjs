// Scenario growth: does a message cost more where there are more connections, larger rooms, more nodes?
import { growsAtMost } from '../goals.mjs';
import { sleep } from '../interval.mjs';
import { Load } from '../load.mjs';
import { connectPairs, warmUp } from '../pairing.mjs';
import { bareWsJson, bareWsShared } from '../peers/bare-ws.mjs';
import { signalbox, signalboxNodes } from '../peers/signalbox.mjs';
import { linePanels } from '../plot/lines.mjs';
import { commandsProcessed, redisPortOf } from '../redis-counters.mjs';
import { ServerProcess } from '../server-process.mjs';
import { fixed, percent, times } from '../table.mjs';
import { measureRooms } from './fan-out.mjs';
import { isOurs, measureRelay } from './relay.mjs';

const CONNECTIONS = [100, 1000, 10_000];
const ROOMS = [10, 1000];
const ROOM_CLIENTS = 1000;
const NODES = [1, 2, 4];
const RATES = [500, 5000, 20_000];
/**
 * In flight in all, whatever the number of connections: so few that even of the fewest hardly one has two messages to batch. With
 * 400, a hundred connections batch four each and a thousand none: that would measure the loss of batching, not connections.
 */
const IN_FLIGHT = 40;
const PAYLOAD = 64;
const COST = 'cpuMicros';

const connectionsLabel = (system, count) => `${system.label} at ${count} connections`;
const roomLabel = (system, members) => `${system.label} in rooms of ${members}`;
const rateLabel = (rate) => `nodes/2 at ${rate} messages/s`;

const relayed = (result) => ({ ...result, cpuMicros: result.cpuMicrosPerMessage });

function connectionCases(load) {
  return CONNECTIONS.flatMap((count) =>
    [bareWsJson, signalbox(1)].map((system) => ({
      label: connectionsLabel(system, count),
      system,
      measure: async () =>
        relayed(
          await measureRelay(system, {
            ...load,
            pairs: count / 2,
            inFlight: IN_FLIGHT,
            payload: PAYLOAD,
            atOnce: 16,
          }),
        ),
    })),
  );
}

function roomCases({ warmup, seconds, deliveries }) {
  return ROOMS.flatMap((members) =>
    [bareWsShared, signalbox(2)].map((system) => ({
      label: roomLabel(system, members),
      system,
      async measure() {
        const rooms = ROOM_CLIENTS / members;
        const load = { rooms, members, deliveries, payloads: [PAYLOAD], warmup, seconds };
        const [result] = await measureRooms(system, load);
        return { ...result, cpuMicros: result.cpuMicrosPerDelivery };
      },
    })),
  );
}

function nodeCases(load) {
  return NODES.map((count) => {
    const system = signalboxNodes(count);
    return {
      label: system.label,
      system,
      measure: async () =>
        relayed(await measureRelay(system, { ...load, pairs: 100, window: 8, payload: PAYLOAD })),
    };
  });
}

/** Messages at fixed rates from node to node: Redis' own count of what it did for each. */
async function measureRedis(system, { warmup, seconds }) {
  const server = await ServerProcess.start(system);
  const generators = new Load(1);
  try {
    const { pairs } = await connectPairs(system, server, generators, { pairs: 100 });
    await warmUp(generators, pairs, { payload: PAYLOAD });
    const port = redisPortOf(server.output);
    const results = [];
    for (const rate of RATES) {
      await generators.ask({ type: 'start', pairs: pairs[0], ratePerSecond: rate, payload: PAYLOAD });
      await sleep(warmup);
      await generators.ask({ type: 'mark' });
      const before = await commandsProcessed(port);
      await sleep(seconds);
      const commands = (await commandsProcessed(port)) - before;
      const [{ latenciesMs, sent, received, faults }] = await generators.ask({ type: 'stop' });
      results.push({
        commandsPerMessage: commands / latenciesMs.length,
        sent,
        received,
        faults: sent === received ? faults : [...faults, `sent ${sent} but received ${received}`],
      });
    }
    return results;
  } finally {
    await generators.stop();
    await server.stop();
  }
}

const [MANY, FEW] = [CONNECTIONS.at(-1), CONNECTIONS[0]];
const connectionsGoal = (many) =>
  growsAtMost({
    what: `CPU per message, ${FEW} → ${many} connections`,
    key: COST,
    from: connectionsLabel(signalbox(1), FEW),
    to: connectionsLabel(signalbox(1), many),
    baseline: { from: connectionsLabel(bareWsJson, FEW), to: connectionsLabel(bareWsJson, many) },
    most: 1.15,
  });

export const growth = {
  name: 'growth',
  defaults: { seconds: 1.5, warmup: 0.5, deliveries: 20_000 },
  cases(load) {
    const redis = signalboxNodes(2);
    return [
      ...connectionCases(load),
      ...roomCases(load),
      ...nodeCases(load),
      {
        label: 'redis',
        system: redis,
        parts: RATES.map(rateLabel),
        measure: () => measureRedis(redis, load),
      },
    ];
  },
  run: ({ measure }) => measure(),
  describe: (r) =>
    r.commandsPerMessage === undefined
      ? `${r.cpuMicros.toFixed(2)} µs per message or delivery, sent ${r.sent}, received ${r.received}`
      : `${r.commandsPerMessage.toFixed(3)} commands of Redis per message, sent ${r.sent}, received ${r.received}`,
  columns: [
    { head: 'CPU µs', text: fixed(COST, 2) },
    { head: 'the fewest', text: times(COST, fewest) },
    { head: 'Redis commands', text: fixed('commandsPerMessage', 3) },
    { head: 'server cores', text: fixed('serverCores', 2) },
    { head: 'generator idle', text: percent('generatorIdle') },
    { head: 'other cores', text: fixed('otherCores', 2) },
  ],
  goals: [
    connectionsGoal(1000),
    connectionsGoal(MANY),
    growsAtMost({
      what: 'CPU per delivery, rooms of 10 → 1000',
      key: COST,
      from: roomLabel(signalbox(2), ROOMS[0]),
      to: roomLabel(signalbox(2), ROOMS[1]),
      baseline: { from: roomLabel(bareWsShared, ROOMS[0]), to: roomLabel(bareWsShared, ROOMS[1]) },
      most: 1.15,
    }),
    growsAtMost({
      what: 'CPU per message, nodes 2 → 4',
      key: COST,
      from: 'nodes/2',
      to: 'nodes/4',
      most: 1.15,
    }),
    growsAtMost({
      what: `Redis commands per message, ${RATES[0]} → ${RATES.at(-1)} messages/s`,
      key: 'commandsPerMessage',
      from: rateLabel(RATES[0]),
      to: rateLabel(RATES.at(-1)),
      most: 0.9,
    }),
  ],
  plot: plotGrowth,
};

/** The row of the same system with the fewest connections, the smallest rooms, one node. */
function fewest(label) {
  if (label.startsWith('nodes/')) return 'nodes/1';
  return label
    .replace(/ at \d+ connections$/, ` at ${FEW} connections`)
    .replace(/rooms of \d+$/, `rooms of ${ROOMS[0]}`);
}

function plotGrowth(rows) {
  const value = (label, key = COST) => rows.find((row) => row.label === label)?.figures[key] ?? Number.NaN;
  const series = (systems, steps, labelOf) =>
    systems.map((system) => ({
      label: system.label,
      values: steps.map((step) => value(labelOf(system, step))),
      ours: isOurs(system.label),
    }));
  const names = (steps) => steps.map((step) => step.toLocaleString('en').replaceAll(',', ' '));
  return linePanels({
    title: 'What more of everything costs',
    subtitle: 'CPU time of all server processes, Redis included where there is one',
    panels: [
      {
        name: 'Connections',
        unit: 'µs per message',
        ticks: names(CONNECTIONS),
        series: series([bareWsJson, signalbox(1)], CONNECTIONS, connectionsLabel),
      },
      {
        name: 'Members of a room',
        unit: 'µs per delivery',
        ticks: names(ROOMS),
        series: series([bareWsShared, signalbox(2)], ROOMS, roomLabel),
      },
      {
        name: 'Nodes',
        unit: 'µs per message',
        ticks: names(NODES),
        series: [{ label: 'signalbox', values: NODES.map((count) => value(`nodes/${count}`)), ours: true }],
      },
      {
        name: 'Load between two nodes',
        unit: 'Redis commands per message',
        ticks: names(RATES).map((rate) => `${rate}/s`),
        series: [
          {
            label: 'signalbox',
            values: RATES.map((rate) => value(rateLabel(rate), 'commandsPerMessage')),
            ours: true,
          },
        ],
      },
    ],
  });
}
