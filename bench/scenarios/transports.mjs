// Scenario transports: the same request and the same message over each transport, beside a WebSocket.
import { exchangeInTurn } from '../exchange.mjs';
import { atMost } from '../goals.mjs';
import { Load } from '../load.mjs';
import { signalbox } from '../peers/signalbox.mjs';
import { groupedBars } from '../plot/bars.mjs';
import { ServerProcess } from '../server-process.mjs';
import { fixed, times } from '../table.mjs';

/** A second port, for TCP. */
const withTcp = (system) => ({
  ...system,
  ports: 2,
  server([port, tcpPort]) {
    const server = system.server([port]);
    return { ...server, env: { ...server.env, TCP_PORT: String(tcpPort) } };
  },
  isReady: ([port]) => system.isReady([port]),
});
const SYSTEM = signalbox(1);

const WAYS = [
  ['WebSocket', ['websocket']],
  ['event stream + POST', ['sse']],
  ['long poll + POST', ['poll']],
  ['TCP', undefined],
];
const WEBSOCKET = 'WebSocket';
const sent = (name) => `${name}, relay`;
const asked = (name) => `${name}, request`;
/** A relayed message over HTTP is what its requests cost: the two that hold a connection are compared. */
const RELAYS = [WEBSOCKET, 'TCP'];

const PARTS = [...WAYS.map(([name]) => asked(name)), ...RELAYS.map(sent)];

async function run({ system, load }) {
  const { build } = system;
  const server = await ServerProcess.start(withTcp(system));
  const generators = new Load(1);
  try {
    const [port, tcpPort] = server.ports;
    const [webSocket, ...others] = WAYS.map(([, transports]) =>
      transports === undefined
        ? { url: `tcp://127.0.0.1:${tcpPort}` }
        : { url: `ws://127.0.0.1:${port}`, transports },
    );
    const ends = [webSocket, ...others];
    const requests = WAYS.map(([name], at) => ({ server, side: `ask${at}`, verb: 'request', name }));
    const relays = RELAYS.map((name) => ({
      server,
      side: `send${WAYS.findIndex(([way]) => way === name)}`,
      verb: 'send',
      name,
      pairs: load.pairs,
    }));
    const endOf = ({ name }) => ends[WAYS.findIndex(([way]) => way === name)];
    // Who answers has a WebSocket, so that one way is measured and not two.
    for (const each of requests)
      await generators.askOne(0, {
        type: 'exchangeConnect',
        side: each.side,
        build,
        pairs: 1,
        asker: endOf(each),
        answerer: webSocket,
      });
    for (const each of relays)
      await generators.askOne(0, {
        type: 'exchangeConnect',
        side: each.side,
        build,
        pairs: load.pairs,
        asker: endOf(each),
        answerer: endOf(each),
      });
    const { payload, slices } = load;
    const round = { slices, count: load.requests, alone: load.requests, window: 8, payload };
    const first = await exchangeInTurn(generators, requests, round);
    const second = await exchangeInTurn(generators, relays, { ...round, count: load.messages, window: 16 });
    return [...first, ...second];
  } finally {
    await generators.stop();
    await server.stop();
  }
}

export const transports = {
  name: 'transports',
  defaults: { slices: 4, requests: 400, messages: 2000, pairs: 10, payload: 64 },
  cases: (load) => [{ label: 'transports', system: SYSTEM, load, parts: PARTS }],
  casesOf: (system, load) =>
    system.workers === SYSTEM.workers
      ? [
          {
            label: `transports, ${system.name}`,
            system,
            load,
            parts: PARTS.map((part) => `${part}, ${system.name}`),
          },
        ]
      : [],
  run,
  describe: (r) =>
    `p50 ${r.p50Ms.toFixed(3)} ms, ${r.cpuMicrosPerMessage.toFixed(1)} µs of the server's CPU each`,
  columns: [
    { head: 'p50 ms', text: fixed('p50Ms', 3) },
    { head: asked(WEBSOCKET), text: times('p50Ms', asked(WEBSOCKET)) },
    { head: 'p99 ms', text: fixed('p99Ms', 3) },
    { head: 'CPU µs each', text: fixed('cpuMicrosPerMessage', 1) },
    { head: 'each/s', text: fixed('messagesPerSecond', 0) },
    { head: 'other cores', text: fixed('otherCores', 2) },
  ],
  goals: [
    atMost({
      what: 'round trip over event stream and POST',
      key: 'p50Ms',
      label: asked('event stream + POST'),
      baseline: asked(WEBSOCKET),
      most: 2,
      unit: 'ms p50',
      digits: 3,
    }),
    atMost({
      what: 'relay over TCP, 1 worker',
      key: 'cpuMicrosPerMessage',
      label: sent('TCP'),
      baseline: sent(WEBSOCKET),
      most: 0.8,
      unit: 'µs/message',
      digits: 2,
    }),
  ],
  plot: (rows) =>
    groupedBars({
      title: 'Transports beside a WebSocket',
      subtitle: 'a request and its answer, one at a time; a relayed message',
      unit: 'ms',
      groups: [
        { name: 'round trip, p50', key: 'p50Ms', labels: WAYS.map(([name]) => asked(name)) },
        { name: 'CPU per relayed message', unit: 'µs', key: 'cpuMicrosPerMessage', labels: RELAYS.map(sent) },
      ].map(({ labels, key, ...group }) => ({
        ...group,
        rows: rows
          .filter(({ label }) => labels.includes(label))
          .map(({ label, figures }) => ({ label, value: figures[key], ours: !label.startsWith(WEBSOCKET) })),
      })),
    }),
};
