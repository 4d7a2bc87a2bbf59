// Scenario streams: how fast do bytes flow from client to client, and what does a reader in a room cost?
import { atMost } from '../goals.mjs';
import { Interval } from '../interval.mjs';
import { Load } from '../load.mjs';
import { bareWsBinary } from '../peers/bare-ws.mjs';
import { signalbox } from '../peers/signalbox.mjs';
import { groupedBars } from '../plot/bars.mjs';
import { ServerProcess } from '../server-process.mjs';
import { fixed, percent } from '../table.mjs';

/** Limits that such a flow meets, off: they would be measured instead. */
const UNLIMITED = Object.fromEntries(
  ['', 'CLIENT_', 'ADDRESS_', 'FAN_OUT_'].map((scope) => [`${scope}BYTES_PER_SECOND_LIMIT`, '0']),
);
const SIGNALBOX = signalbox(2, 'signalbox', { settings: UNLIMITED });
const PIPE = { ...bareWsBinary, name: 'pipe', label: 'pipe/1' };
const STREAM = { ...SIGNALBOX, name: 'stream', label: 'stream/2' };

/** As the goal says; the SDK cuts them into chunks of 32 KiB. */
const PIPE_CHUNK_BYTES = 64 * 1024;
const WARM_UP_BYTES = 16 * 1024 * 1024;
const READ_LIMIT_MS = 60_000;

const WRITER = 'bench-writer';
const READER = 'bench-reader';
const ROOM = 'bench-room';
/** What a chunk of a stream holds at most; a message of the same size beside it. */
const ROOM_CHUNK_BYTES = 32 * 1024;
const ROOM_CHUNKS = 32;
/** What opens a stream runs once for each reader of each: after a single one V8 is still compiling it. */
const ROOM_WARM_UPS = 3;
/** Below what both ways can do on a small machine: what is compared is the work of the same deliveries. */
const ROOM_CHUNK_EVERY_MS = 250;

/** Through one server, whatever it is: the reader is at the other worker where there are two. */
async function measureFlow({ system, load: { megabytes } }) {
  const kind = system === PIPE ? 'pipe' : 'sdk';
  const { build } = system;
  const server = await ServerProcess.start(system);
  const generators = new Load();
  try {
    const [port] = server.ports;
    await generators.askOne(0, { type: 'flowConnect', kind, build, port, ids: [WRITER] });
    await generators.askOne(1, { type: 'flowConnect', kind, build, port, ids: [READER] });
    const flow = async (bytes) => {
      const chunks = Math.ceil(bytes / PIPE_CHUNK_BYTES);
      const expected = chunks * PIPE_CHUNK_BYTES;
      const [, { missing }] = await Promise.all([
        generators.askOne(0, {
          type: 'flowWrite',
          from: WRITER,
          to: READER,
          chunks,
          bytes: PIPE_CHUNK_BYTES,
        }),
        generators.askOne(1, { type: 'flowRead', ids: [READER], bytes: expected, limitMs: READ_LIMIT_MS }),
      ]);
      return { expected, missing };
    };
    await flow(WARM_UP_BYTES);
    const interval = new Interval(server, generators);
    const { expected, missing } = await flow(megabytes * 1024 * 1024);
    const used = interval.end();
    const million = expected / 1e6;
    return {
      ...used,
      megabytesPerSecond: million / (used.elapsedMs / 1000),
      millisPerMegabyte: used.elapsedMs / million,
      cpuMicrosPerMegabyte: used.serverCpuMicros / million,
      faults: missing > 0 ? [`${missing} bytes did not arrive`] : [],
    };
  } finally {
    await generators.stop();
    await server.stop();
  }
}

/** The same bytes, first published and then as a stream, to the same readers. */
async function measureRoom({ system, load: { readers } }) {
  const sdk = { type: 'flowConnect', kind: 'sdk', build: system.build };
  const server = await ServerProcess.start(system);
  const generators = new Load();
  try {
    const [port] = server.ports;
    const ids = Array.from({ length: readers }, (_, i) => `${READER}-${i}`);
    await generators.askOne(0, { ...sdk, port, ids: [WRITER] });
    await generators.askOne(1, { ...sdk, port, ids, room: ROOM });
    const results = [];
    for (const published of [true, false]) {
      const write = {
        type: 'flowWrite',
        from: WRITER,
        room: ROOM,
        published,
        readers,
        bytes: ROOM_CHUNK_BYTES,
      };
      const flow = (chunks) =>
        Promise.all([
          generators.askOne(0, { ...write, chunks, everyMs: ROOM_CHUNK_EVERY_MS }),
          generators.askOne(1, {
            type: 'flowRead',
            ids,
            bytes: chunks * ROOM_CHUNK_BYTES,
            limitMs: READ_LIMIT_MS,
          }),
        ]);
      for (let i = 0; i < ROOM_WARM_UPS; i++) await flow(2);
      const interval = new Interval(server, generators);
      const [, { missing }] = await flow(ROOM_CHUNKS);
      const used = interval.end();
      const million = (readers * ROOM_CHUNKS * ROOM_CHUNK_BYTES) / 1e6;
      results.push({
        ...used,
        megabytesPerSecond: million / (used.elapsedMs / 1000),
        cpuMicrosPerMegabyte: used.serverCpuMicros / million,
        faults: missing > 0 ? [`${missing} bytes did not arrive`] : [],
      });
    }
    return results;
  } finally {
    await generators.stop();
    await server.stop();
  }
}

const PUBLISHED = 'room, published';
const STREAMED = 'room, as a stream';

const caseOf = (system, load) => ({ label: system.label, system, load });
/** `--only before/2` is the flow alone, `before` both. */
const roomOf = (system, load, parts) => {
  const label = system === SIGNALBOX ? 'room' : `room, ${system.name}`;
  return { label, system: { ...system, label }, load, parts };
};

export const streams = {
  name: 'streams',
  defaults: { megabytes: 128, readers: 1000 },
  settings: UNLIMITED,
  cases: (load) => [caseOf(PIPE, load), caseOf(STREAM, load), roomOf(SIGNALBOX, load, [PUBLISHED, STREAMED])],
  /** Another build with its own SDK in the clients; across workers, as the scenario's own rows are. */
  casesOf: (system, load) =>
    system.workers === 2
      ? [
          caseOf(system, load),
          roomOf(
            system,
            load,
            [PUBLISHED, STREAMED].map((part) => `${part}, ${system.name}`),
          ),
        ]
      : [],
  run: (each) => (each.parts === undefined ? measureFlow(each) : measureRoom(each)),
  describe: (r) =>
    `${r.megabytesPerSecond.toFixed(0)} MB/s, ${r.cpuMicrosPerMegabyte.toFixed(0)} µs of the servers' CPU each`,
  columns: [
    { head: 'MB/s', text: fixed('megabytesPerSecond', 0) },
    { head: 'CPU µs/MB', text: fixed('cpuMicrosPerMegabyte', 0) },
    { head: 'server cores', text: fixed('serverCores', 2) },
    { head: 'idle', text: percent('serverIdle') },
    { head: 'generator cores', text: fixed('generatorCores', 2) },
    { head: 'other cores', text: fixed('otherCores', 2) },
  ],
  goals: [
    atMost({
      what: 'stream across 2 workers, client to client (0.6 × the speed)',
      key: 'millisPerMegabyte',
      label: STREAM.label,
      baseline: PIPE.label,
      most: 1.67,
      unit: 'ms/MB',
      digits: 2,
    }),
    atMost({
      what: 'stream to a room of 1,000, per reader',
      key: 'cpuMicrosPerMegabyte',
      label: STREAMED,
      baseline: PUBLISHED,
      most: 1,
      unit: 'µs/MB',
      digits: 0,
    }),
  ],
  plot: (rows) =>
    groupedBars({
      title: 'CPU time of all server processes per megabyte delivered',
      subtitle: 'client to client, and one to the readers of a room',
      unit: 'µs',
      groups: [
        { name: 'client to client', labels: [PIPE.label, STREAM.label] },
        { name: 'to a room', labels: [PUBLISHED, STREAMED] },
      ].map(({ name, labels }) => ({
        name,
        rows: rows
          .filter(({ label }) => labels.includes(label))
          .map(({ label, figures }) => ({
            label,
            value: figures.cpuMicrosPerMegabyte,
            ours: label !== PIPE.label,
          })),
      })),
    }),
};
