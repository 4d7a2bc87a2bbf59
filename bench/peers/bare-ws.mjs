// Bare ws: what a relay costs when there is nothing but WebSocket. JSON as most people write it, and a stricter one.
import { fileURLToPath } from 'node:url';

const EVENT = 'bench';

function server(file) {
  const script = fileURLToPath(new URL(`../servers/${file}`, import.meta.url));
  return ([port]) => ({ script, env: { PORT: String(port) } });
}

const isReady = async (_ports, output) => output.includes('ready');

/** A client connects with its id in the URL; nothing else is said. */
const open = (port, id) => ({ url: `ws://127.0.0.1:${port}/?id=${id}` });

export const jsonDriver = {
  open,
  greet: null,
  binary: false,
  /** Bytes of a message behind its payload. */
  tail: 2,
  write: (to, payload) => Buffer.from(JSON.stringify({ to, event: EVENT, data: payload })),
  isMessage: () => true,
  verify(bytes, from, payload) {
    const { event, ...message } = JSON.parse(bytes.toString());
    return event === EVENT && message.from === from && message.data === payload;
  },
};

/** One byte of length, the name (target on the way in, origin on the way out), the payload. */
export const binaryDriver = {
  open,
  greet: null,
  binary: true,
  tail: 0,
  write: (to, payload) => Buffer.concat([Buffer.from([to.length]), Buffer.from(to), Buffer.from(payload)]),
  isMessage: () => true,
  verify: (bytes, from, payload) =>
    bytes.toString('latin1') === String.fromCharCode(from.length) + from + payload,
};

/** A room: who connects with its name is a member; whatever a publisher sends goes to all members as one text. */
export const sharedDriver = {
  ...jsonDriver,
  publishTail: 2,
  open: (port, id, room) => ({
    url: `ws://127.0.0.1:${port}/?id=${id}${room === undefined ? '' : `&room=${room}`}`,
  }),
  publish: (room, payload) => Buffer.from(JSON.stringify({ room, event: EVENT, data: payload })),
};

export const bareWsShared = {
  name: 'ws-shared',
  label: 'ws-shared/1',
  workers: 1,
  roomDriver: 'ws-shared',
  server: server('ws-shared.mjs'),
  isReady,
};

export const bareWsJson = {
  name: 'ws-json',
  label: 'ws-json/1',
  workers: 1,
  driver: 'ws-json',
  server: server('ws-json.mjs'),
  isReady,
};

export const bareWsBinary = {
  name: 'ws-binary',
  label: 'ws-binary/1',
  workers: 1,
  driver: 'ws-binary',
  server: server('ws-binary.mjs'),
  isReady,
};
