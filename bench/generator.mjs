// A load generator: a process of its own that opens connections and keeps messages in flight, as the run tells it.
import { connectAll } from './connections.mjs';
import { DRIVERS } from './peers/drivers.mjs';
import { PingPong } from './ping-pong.mjs';

/** Index of a client → its end of a connection. */
const ends = new Map();
const faults = [];
let driver = null;
let pingPong = null;

function noteFault(text) {
  if (faults.length < 5) faults.push(text);
}

async function connect({ driver: name, port, ids, atOnce }) {
  driver = DRIVERS[name];
  const opened = await connectAll({ driver, port, ids, atOnce, noteFault });
  for (const end of opened) ends.set(end.id, end);
  return { ports: opened.map((end) => [end.id, end.localPort]) };
}

const ANSWERS = {
  connect,
  async start({ pairs, window, payload }) {
    const connected = pairs.map((pair) => pair.map((id) => ends.get(id)));
    pingPong = new PingPong({ driver, pairs: connected, window, payload, noteFault });
    pingPong.start();
    return {};
  },
  async mark() {
    pingPong.mark();
    return {};
  },
  async stop() {
    return { ...(await pingPong.stop()), faults };
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
