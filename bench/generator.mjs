// A load generator: a process of its own that opens connections and moves messages over them, as the run tells it.
import { connectAll } from './connections.mjs';
import { DRIVERS } from './peers/drivers.mjs';
import { PingPong } from './traffic/ping-pong.mjs';
import { Exchanges } from './traffic/exchanges.mjs';
import { RecordedCalls } from './traffic/recorded-calls.mjs';
import { Flows } from './traffic/flows.mjs';
import { Members, Publishers } from './traffic/rooms.mjs';
import { Schedule } from './traffic/schedule.mjs';

/** Id of a client → its end of a connection. */
const ends = new Map();
const faults = [];
let driver = null;
let traffic = null;
let members = null;
let publishers = null;
const flows = new Flows();
const exchanges = new Exchanges();

function noteFault(text) {
  if (faults.length < 5) faults.push(text);
}

const endOf = (id) => ends.get(id);

const ANSWERS = {
  async connect({ driver: name, ports, ids, rooms, atOnce }) {
    driver = DRIVERS[name];
    const opened = await connectAll({ driver, ports, ids, rooms, atOnce, noteFault });
    for (const end of opened) ends.set(end.id, end);
    return { ports: opened.map((end) => [end.id, end.localPort]) };
  },
  /** So many messages, or for so long, so that the server's code is compiled before anything is measured. */
  async warmUp({ pairs, messages, limitMs, ...load }) {
    const loop = new PingPong({ driver, pairs: pairs.map((pair) => pair.map(endOf)), noteFault, ...load });
    const since = performance.now();
    loop.start();
    while (loop.received < messages && performance.now() - since < limitMs) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const { sent, received } = await loop.settle();
    if (sent !== received) noteFault(`sent ${sent} but received ${received} before the measured interval`);
    return {};
  },
  /** Pairs of clients that send to each other, in a closed loop or, with a rate, in an open one. */
  async start({ pairs, ...load }) {
    const connected = pairs.map((pair) => pair.map(endOf));
    const Loop = load.ratePerSecond === undefined ? PingPong : Schedule;
    traffic = new Loop({ driver, pairs: connected, noteFault, ...load });
    traffic.start();
    return {};
  },
  async startCalls({ recording, pairs }) {
    const connected = pairs.map((pair) => pair.map(endOf));
    traffic = new RecordedCalls({ driver, recording, pairs: connected, noteFault });
    traffic.start();
    return {};
  },
  async mark() {
    traffic.mark();
    return {};
  },
  async stop() {
    return { ...(await traffic.stop()), faults };
  },

  async flowConnect(ends) {
    await flows.connect(ends);
    return {};
  },
  async flowWrite(what) {
    await flows.write(what);
    return {};
  },
  async flowRead(what) {
    return { missing: await flows.read(what) };
  },

  async exchangeConnect(side) {
    await exchanges.connect(side);
    return {};
  },
  async exchange(what) {
    return { latencies: await exchanges.exchange(what) };
  },

  async listen({ members: list, payload }) {
    const connected = list.map(([id, publisher]) => ({ end: endOf(id), publisher }));
    members = new Members({ driver, members: connected, payload, noteFault });
    return {};
  },
  async publish({ rooms, ratePerSecond, payload }) {
    const connected = rooms.map(([name, id]) => ({ name, end: endOf(id) }));
    publishers = new Publishers({ driver, rooms: connected, ratePerSecond, payload });
    publishers.start();
    return {};
  },
  async markMembers() {
    members.mark();
    return {};
  },
  async unmarkMembers() {
    return members.unmark();
  },
  async stopPublishing() {
    return publishers.stop();
  },
  async settleMembers({ expected }) {
    return { ...(await members.settle(expected)), faults };
  },

  async faults() {
    return { faults };
  },
};

process.on('message', async (question) => {
  try {
    process.send(await ANSWERS[question.type](question));
  } catch (error) {
    process.send({ error: error.stack });
  }
});
process.on('disconnect', () => process.exit(0));
