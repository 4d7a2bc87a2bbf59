// Socket.IO, spoken by hand over ws (Engine.IO 4, Socket.IO 5), so that the generator stays as light as for the others.
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../servers/socket-io.mjs', import.meta.url));
const withRedis = fileURLToPath(new URL('../servers/with-redis.mjs', import.meta.url));
/** Engine.IO packet types, as the first character of a text frame. */
const ENGINE = { open: '0', ping: '2', pong: '3', message: '4' };
const CONNECT = `${ENGINE.message}0`;
const EVENT = `${ENGINE.message}2`;
const EVENT_BYTES = Buffer.from(EVENT);

export const socketIoDriver = {
  binary: false,
  tail: 2,
  open: (port) => ({ url: `ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket` }),
  /** The server opens, the client joins with its id, the server agrees. True when done. */
  greet({ id, room, socket }, bytes) {
    const text = bytes.toString();
    if (text.startsWith(ENGINE.open)) socket.send(CONNECT + JSON.stringify({ id, room }));
    else if (text.startsWith(CONNECT)) return true;
    else throw new Error(`Socket.IO said ${text.slice(0, 100)}`);
    return false;
  },
  write: (to, payload) => Buffer.from(EVENT + JSON.stringify(['relay', to, payload])),
  isMessage: (bytes) => bytes[0] === EVENT_BYTES[0] && bytes[1] === EVENT_BYTES[1],
  control(socket, bytes) {
    if (bytes.toString() !== ENGINE.ping) throw new Error(`Socket.IO said ${bytes.toString().slice(0, 100)}`);
    socket.send(ENGINE.pong);
  },
  verify(bytes, from, payload) {
    return bytes.toString() === EVENT + JSON.stringify(['relay', from, payload]);
  },
};

export const socketIoRoomDriver = {
  ...socketIoDriver,
  publishTail: 2,
  publish: (room, payload) => Buffer.from(EVENT + JSON.stringify(['publish', room, payload])),
};

export function socketIo(workers) {
  return {
    name: 'socket.io',
    label: `socket.io/${workers}`,
    workers,
    driver: 'socket.io',
    roomDriver: 'socket.io-room',
    server: ([port]) => ({ script, env: { PORT: String(port), WORKERS: String(workers) } }),
    isReady: async (_ports, output) => output.includes('ready'),
  };
}

/** With the adapter of Redis, which keeps nothing; Redis' CPU counts. */
export function socketIoRedis(workers) {
  const system = socketIo(workers);
  return {
    ...system,
    name: 'socket.io-redis',
    label: `socket.io-redis/${workers}`,
    server: (ports) => ({ ...system.server(ports), script: withRedis, args: [script] }),
  };
}
