// Scenario wire: a real offer and its ten candidates go from one client to another; how many bytes travel?
import WebSocket from 'ws';
import { Client } from '../../dist/client/index.js';
import { connectAll } from '../connections.mjs';
import { atMost } from '../goals.mjs';
import { bareWsJson } from '../peers/bare-ws.mjs';
import { DRIVERS } from '../peers/drivers.mjs';
import { peerServer } from '../peers/peer-server.mjs';
import { sdkOptions, signalbox } from '../peers/signalbox.mjs';
import { socketIo } from '../peers/socket-io.mjs';
import { barChart } from '../plot/bars.mjs';
import { callSetup } from '../samples.mjs';
import { ServerProcess } from '../server-process.mjs';
import { fixed, times } from '../table.mjs';

const BASELINE = 'JSON text (bare ws)';
const ARRIVAL_LIMIT_MS = 5_000;
/** For answers that need not be waited for: receipts and acknowledgements. */
const QUIET_MS = 300;

const bytesOf = (socket) => ({ written: socket.bytesWritten, read: socket.bytesRead });

/** Both ends as TCP sockets, and how one sends to the other. */
async function openPlain(system, server) {
  const noteFault = (text) => {
    throw new Error(text);
  };
  const driver = DRIVERS[system.driver];
  const ids = ['bench-a', 'bench-b'];
  const [a, b] = await connectAll({ driver, ports: server.ports, ids, atOnce: 1, noteFault });
  return {
    sockets: [a.socket._socket, b.socket._socket],
    send: (data) => a.socket.send(driver.write(b.id, data), { binary: driver.binary }),
    onMessage: (count) => (b.onMessage = count),
    close() {
      for (const end of [a, b]) {
        end.socket.removeAllListeners('close');
        end.socket.terminate();
      }
    },
  };
}

/** The SDK as an application uses it; only its WebSocket is looked into. */
async function openSdk(server, { codec, volatile }) {
  const sockets = [];
  class Counted extends WebSocket {
    constructor(...args) {
      super(...args);
      this.once('upgrade', (response) => sockets.push(response.socket));
    }
  }
  const make = (id) =>
    new Client(`ws://127.0.0.1:${server.ports[0]}`, { ...sdkOptions(id), codec, WebSocket: Counted });
  const [a, b] = [make('bench-a'), make('bench-b')];
  await a.connect();
  await b.connect();
  return {
    sockets,
    send: (data) => a.send('bench-b', 'signal', data, { volatile }),
    onMessage: (count) => b.onMessage('signal', count),
    close: () => Promise.all([a.close(), b.close()]),
  };
}

async function run({ system, sdk }) {
  const server = await ServerProcess.start(system);
  let ends;
  try {
    ends = sdk === undefined ? await openPlain(system, server) : await openSdk(server, sdk);
    const messages = callSetup();
    const [from, to] = ends.sockets;
    const before = [bytesOf(from), bytesOf(to)];
    let arrived = 0;
    const all = new Promise((resolve, reject) => {
      setTimeout(
        () => reject(new Error(`${arrived} of ${messages.length} messages arrived`)),
        ARRIVAL_LIMIT_MS,
      );
      ends.onMessage(() => ++arrived === messages.length && resolve());
    });
    all.catch(() => {});
    for (const message of messages) await ends.send(message);
    await all;
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    const [up, down] = [from.bytesWritten - before[0].written, to.bytesRead - before[1].read];
    const answers = from.bytesRead - before[0].read + to.bytesWritten - before[1].written;
    return { messages: arrived, up, down, both: up + down, answers, total: up + down + answers, faults: [] };
  } finally {
    await ends?.close();
    await server.stop();
  }
}

const OURS = 'signalbox, msgpack (the default)';

export const wire = {
  name: 'wire',
  defaults: {},
  /** The same bytes each time, but for a few: one round is enough. */
  exact: true,
  cases: () => [
    { label: BASELINE, system: bareWsJson },
    { label: 'Socket.IO', system: socketIo(1) },
    { label: 'PeerServer', system: peerServer },
    { label: OURS, system: signalbox(1), sdk: { codec: 'msgpack', volatile: false } },
    {
      label: 'signalbox, msgpack, volatile',
      system: signalbox(1),
      sdk: { codec: 'msgpack', volatile: true },
    },
    { label: 'signalbox, JSON', system: signalbox(1), sdk: { codec: 'json', volatile: false } },
  ],
  run,
  describe: (r) => `${r.messages} messages: ${r.up} bytes up, ${r.down} down, ${r.answers} of answers`,
  columns: [
    { head: 'bytes up', text: fixed('up', 0) },
    { head: 'bytes down', text: fixed('down', 0) },
    { head: 'both', text: fixed('both', 0) },
    { head: 'JSON text', text: times('both', BASELINE) },
    { head: 'answers', text: fixed('answers', 0) },
    { head: 'all', text: fixed('total', 0) },
    { head: 'JSON text', text: times('total', BASELINE) },
  ],
  goals: [
    atMost({
      what: 'wire, offer + 10 candidates, both ways',
      key: 'both',
      label: OURS,
      baseline: BASELINE,
      most: 0.35,
      unit: 'bytes',
      digits: 0,
    }),
    atMost({
      what: 'the same with receipts and acknowledgements',
      key: 'total',
      label: OURS,
      baseline: BASELINE,
      most: 0.35,
      unit: 'bytes',
      digits: 0,
    }),
  ],
  plot: (rows) =>
    barChart({
      title: 'Bytes on the wire of a Chromium offer and ten candidates',
      subtitle:
        'sender → server → receiver, receipts and acknowledgements included, WebSocket headers included',
      unit: 'bytes',
      rows: rows.map((row) => ({
        label: row.label,
        value: row.figures.total,
        ours: row.label.startsWith('signalbox'),
      })),
    }),
};
