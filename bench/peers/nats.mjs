// NATS over WebSocket, its text protocol spoken by hand. It stamps no sender: the reply subject names who sent.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../servers/nats.mjs', import.meta.url));
const CONNECT = `CONNECT ${JSON.stringify({ verbose: false, pedantic: false, tls_required: false, lang: 'bench', version: '1', protocol: 1 })}\r\n`;
const PING = Buffer.from('PING\r\n');
const PONG = Buffer.from('PONG\r\n');
const [M, LF, SPACE] = [0x4d, 0x0a, 0x20];

const publish = (subject, from, payload) =>
  Buffer.from(`PUB ${subject} ${from} ${payload.length}\r\n${payload}\r\n`);

/** End of a MSG with its payload: the last number of its first line is the payload's length. */
function endOfMessage(bytes, line) {
  let at = line - 1;
  let size = 0;
  for (let unit = 1; bytes[at - 1] !== SPACE; at--, unit *= 10) size += (bytes[at - 1] - 0x30) * unit;
  return line + 1 + size + 2;
}

export const natsDriver = {
  binary: true,
  tail: 2,
  publishTail: 2,
  /** A client reads its own subject. */
  open: (port, id) => ({
    url: `ws://127.0.0.1:${port}/`,
    hello: Buffer.from(`${CONNECT}SUB ${id} 1\r\nPING\r\n`),
  }),
  greet(end, bytes) {
    if (bytes.equals(PONG)) return true;
    if (bytes.latin1Slice(0, 4) === '-ERR') throw new Error(`NATS said ${bytes.toString().slice(0, 100)}`);
    if (bytes.equals(PING)) end.socket.send(PONG);
    return false;
  },
  /** The server puts as many protocol messages into a WebSocket message as it has, and may cut one in two. */
  split(end, chunk, take) {
    const bytes = end.rest === null ? chunk : Buffer.concat([end.rest, chunk]);
    let start = 0;
    while (start < bytes.length) {
      const line = bytes.indexOf(LF, start);
      if (line < 0) break;
      const next = bytes[start] === M ? endOfMessage(bytes, line) : line + 1;
      if (next > bytes.length) break;
      take(bytes.subarray(start, next));
      start = next;
    }
    end.rest = start === bytes.length ? null : bytes.subarray(start);
  },
  write: (to, payload, from) => publish(to, from, payload),
  isMessage: (bytes) => bytes[0] === M,
  control(socket, bytes) {
    if (bytes.equals(PING)) socket.send(PONG);
    else if (bytes.latin1Slice(0, 4) !== 'INFO')
      throw new Error(`NATS said ${bytes.toString().slice(0, 100)}`);
  },
  verify(bytes, from, payload) {
    const [line, data] = bytes.toString('latin1').split('\r\n');
    return data === payload && line.split(' ')[3] === from;
  },
};

/** A room is a subject. */
export const natsRoomDriver = {
  ...natsDriver,
  open: (port, id, room) => natsDriver.open(port, room ?? id),
  publish: (room, payload, from) => publish(room, from, payload),
};

function isInstalled() {
  return spawnSync('nats-server', ['--version'], { stdio: 'ignore' }).status === 0;
}

export const nats = {
  name: 'nats',
  label: 'nats/1',
  workers: 1,
  driver: 'nats',
  roomDriver: 'nats-room',
  /** Why it cannot run here, or null. */
  missing: () =>
    isInstalled() ? null : 'nats-server is not installed (Debian: apt-get install nats-server)',
  server: ([port]) => ({ script, env: { PORT: String(port) } }),
  isReady: async (_ports, output) => output.includes('Server is ready'),
};
