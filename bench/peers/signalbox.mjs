// signalbox as it is shipped: a token of its own per session, permissions and limits on, expiry armed, volatile sends.
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import jwt from 'jsonwebtoken';
import {
  msgpackCodec,
  offerSubprotocols,
  PAYLOAD_CODECS,
  PROTOCOL_VERSION,
  TYPES,
} from '../../dist/protocol/index.js';

const here = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const EVENT = 'bench';
/** Clients may send to each other and to nobody else. */
const CLIENT_PREFIX = 'bench-';
const TOKEN_TTL_SECONDS = 3600;

/** One per run of the benchmark; the generators get it from the process that starts them. */
const SECRET_VARIABLE = 'SIGNALBOX_BENCH_SECRET';
process.env[SECRET_VARIABLE] ??= randomBytes(32).toString('base64url');
const secret = process.env[SECRET_VARIABLE];

/** Limits per connection or address that no honest client meets, but this load on one address does. Every one is printed. */
const RAISED = {
  CONNECTIONS_LIMIT: '20000',
  CONNECTIONS_PER_ADDRESS_LIMIT: '20000',
  HANDSHAKES_PER_SECOND_LIMIT: '100000',
  MESSAGES_PER_SECOND_LIMIT: '100000',
  CLIENT_MESSAGES_PER_SECOND_LIMIT: '100000',
  ADDRESS_MESSAGES_PER_SECOND_LIMIT: '1000000',
  ADDRESS_BYTES_PER_SECOND_LIMIT: '1000000000',
  FAN_OUT_BYTES_PER_SECOND_LIMIT: '1000000000',
};

function tokenFor(client, perm) {
  return jwt.sign({ perm }, secret, { subject: client, expiresIn: TOKEN_TTL_SECONDS });
}

// A codec's frames may share memory with each other; what is kept is copied.
const SENDS = { send: [`${CLIENT_PREFIX}*`] };
const ROOMS = { rooms: { join: [`${CLIENT_PREFIX}*`], publish: [`${CLIENT_PREFIX}*`] } };

/** What an application gives the SDK. */
export const sdkOptions = (client) => ({ token: tokenFor(client, SENDS) });
/** The same for streams, to each other and to rooms. */
export const streamOptions = (client) => ({
  token: tokenFor(client, { ...SENDS, ...ROOMS, streams: ['bench-*'] }),
});

/** The same for services, which each provides under its own name. */
export const exchangeOptions = (client) => ({
  token: tokenFor(client, { ...SENDS, services: { provide: ['bench-*'], call: ['bench-*'] } }),
  compressAboveBytes: Infinity,
});

const encode = (frame) => Buffer.from(msgpackCodec.encodeClient(frame));
const HELLO = encode({ type: 'hello', version: PROTOCOL_VERSION, token: null, resume: null, agent: 'bench' });
const PONG = encode({ type: 'pong' });

export const signalboxDriver = {
  binary: true,
  tail: 0,
  open: (port, id) => ({
    url: `ws://127.0.0.1:${port}/v1/connect`,
    // As the SDK does: hello goes with the handshake.
    protocols: offerSubprotocols('msgpack', tokenFor(id, SENDS), HELLO),
  }),
  greet({ id }, bytes) {
    const frame = msgpackCodec.decodeGateway(bytes);
    if (frame.type === 'ping') return false;
    if (frame.type !== 'welcome' || frame.info.client !== id)
      throw new Error(`no welcome but ${describe(frame)}`);
    return true;
  },
  write(to, payload) {
    const data = Buffer.from(payload);
    const payloadOfBytes = { encoding: PAYLOAD_CODECS.bytes, data };
    return encode({ type: 'send', ref: 0, seq: 0, options: {}, to, event: EVENT, payload: payloadOfBytes });
  },
  /** An array of up to 15 elements, and the type number: a message is known without decoding it. */
  isMessage: (bytes) => bytes[0] >> 4 === 0x9 && bytes[1] === TYPES.message,
  control(socket, bytes) {
    const frame = msgpackCodec.decodeGateway(bytes);
    if (frame.type === 'ping') socket.send(PONG);
    else throw new Error(describe(frame));
  },
  verify(bytes, from, payload) {
    const frame = msgpackCodec.decodeGateway(bytes);
    return (
      frame.type === 'message' &&
      frame.id === null &&
      frame.from === from &&
      frame.event === EVENT &&
      Buffer.from(frame.payload.data).toString('latin1') === payload
    );
  },
};

/** Length of a volatile message with such a payload, to the gateway and from it. */
export function frameBytes(payloadBytes) {
  const payload = { encoding: PAYLOAD_CODECS.bytes, data: Buffer.alloc(payloadBytes) };
  const [to, from, session] = ['bench-0-0', 'bench-0-1', 'A'.repeat(22)];
  const message = { type: 'message', id: null, options: {}, from, session, event: EVENT, payload };
  return {
    sendBytes: signalboxDriver.write(to, payload.data).length,
    messageBytes: msgpackCodec.encodeGateway(message).length,
  };
}

/** Flags go on to the workers; a profile is written when its process ends. */
function profiling() {
  const directory = fileURLToPath(new URL('../profiles', import.meta.url));
  return process.env.SIGNALBOX_BENCH_PROFILE === '1' ? ['--cpu-prof', `--cpu-prof-dir=${directory}`] : [];
}

/** A number that takes four bytes on the wire, as all of a run do: only they change from one message to the next. */
const FIRST_SEQ = 0x0100_0000;

/** Kept messages, each with its number and an answer, as the SDK writes them. */
export const keptDriver = {
  ...signalboxDriver,
  write(to, payload) {
    const data = Buffer.from(payload);
    const payloadOfBytes = { encoding: PAYLOAD_CODECS.bytes, data };
    return encode({
      type: 'send',
      ref: 1,
      seq: FIRST_SEQ,
      // A run's numbers begin here: those below will not come.
      options: { first: FIRST_SEQ },
      to,
      event: EVENT,
      payload: payloadOfBytes,
    });
  },
  /** Gives the bytes of a message their next number. */
  number(bytes, count) {
    const at = bytes.indexOf(SEQ_MARK) + 1;
    bytes.writeUInt32BE(FIRST_SEQ + count, at);
  },
  control(socket, bytes) {
    const frame = msgpackCodec.decodeGateway(bytes);
    if (frame.type === 'ping') socket.send(PONG);
    else if (frame.type !== 'ok') throw new Error(describe(frame));
  },
  verify: (bytes, from, payload) => {
    const frame = msgpackCodec.decodeGateway(bytes);
    return (
      frame.type === 'message' &&
      frame.id !== null &&
      frame.from === from &&
      frame.event === EVENT &&
      Buffer.from(frame.payload.data).toString('latin1') === payload
    );
  },
};
/** MessagePack's uint 32. */
const SEQ_MARK = 0xce;

/** Volatile messages to a room; members join it before they count as connected. */
export const roomDriver = {
  ...signalboxDriver,
  publishTail: 0,
  open: (port, id) => ({
    ...signalboxDriver.open(port, id),
    protocols: offerSubprotocols('msgpack', tokenFor(id, ROOMS), HELLO),
  }),
  greet(end, bytes) {
    const frame = msgpackCodec.decodeGateway(bytes);
    if (frame.type === 'ok') return true;
    const welcomed = signalboxDriver.greet(end, bytes);
    if (!welcomed || end.room === undefined) return welcomed;
    end.socket.send(encode({ type: 'join', ref: 1, room: end.room, since: null }));
    return false;
  },
  publish(room, payload) {
    const data = Buffer.from(payload);
    const payloadOfBytes = { encoding: PAYLOAD_CODECS.bytes, data };
    return encode({
      type: 'publish',
      ref: 0,
      seq: 0,
      options: {},
      room,
      event: EVENT,
      payload: payloadOfBytes,
    });
  },
  /** An array of 16 elements or fewer, and the type number. */
  isMessage: (bytes) => bytes[0] >> 4 === 0x9 && bytes[1] === TYPES.roomMessage,
  verify(bytes, from, payload) {
    const frame = msgpackCodec.decodeGateway(bytes);
    return (
      frame.type === 'roomMessage' &&
      frame.id === null &&
      frame.from === from &&
      frame.event === EVENT &&
      Buffer.from(frame.payload.data).toString('latin1') === payload
    );
  },
};

function describe(frame) {
  return frame.type === 'error' ? `error ${frame.code} (${frame.text})` : frame.type;
}

/**
 * @param build the folder of the build, from the project's root; clients that use the SDK take it from there
 * @param settings environment variables beside those that every run has
 */
export function signalbox(workers, name = 'signalbox', { build = 'dist', settings = {} } = {}) {
  const raised = Object.entries(RAISED).map(([name, value]) => `${name}=${value}`);
  return {
    name,
    label: `${name}/${workers}`,
    workers,
    build,
    driver: 'signalbox',
    roomDriver: 'signalbox-room',
    notes: [`signalbox with raised limits: ${raised.join(' ')}`],
    server: ([port]) => ({
      script: here(`${build}/cli.js`),
      // As `npm start` and the shebang of dist/cli.js run it.
      nodeArgs: ['--max-semi-space-size=2', ...profiling()],
      args: ['start'],
      env: {
        ...RAISED,
        HOST: '127.0.0.1',
        PORT: String(port),
        ADMIN_PORT: '0',
        WORKERS: String(workers),
        JWT_SECRET: secret,
        ...settings,
      },
    }),
    async isReady(ports) {
      try {
        const answers = await Promise.all(ports.map((port) => fetch(`http://127.0.0.1:${port}/readyz`)));
        return answers.every((answer) => answer.ok);
      } catch {
        return false;
      }
    },
  };
}

/** Kept messages in the embedded store. */
export function signalboxKept(workers, name = 'kept', changes = {}) {
  return { ...signalbox(workers, name, changes), driver: 'signalbox-kept' };
}

/** The same servers beside a Redis of their own, whose CPU counts; one for each port. */
function besideRedis(system) {
  return {
    ...system,
    server: (ports) => {
      const { script, nodeArgs, args, env } = system.server(ports);
      const all = { ...env, PORT: ports.join(',') };
      return { script: here('bench/servers/with-redis.mjs'), args: [...nodeArgs, script, ...args], env: all };
    },
  };
}

/** Kept messages in Redis. */
export function signalboxKeptInRedis(workers) {
  const system = besideRedis(signalbox(workers));
  return { ...system, name: 'kept-redis', label: `kept-redis/${workers}`, driver: 'signalbox-kept' };
}

/** Several nodes of one worker each, as machines would be: they know of each other by Redis alone. */
export function signalboxNodes(nodes) {
  const system = besideRedis(signalbox(1));
  return { ...system, name: 'nodes', label: `nodes/${nodes}`, workers: nodes, ports: nodes };
}
