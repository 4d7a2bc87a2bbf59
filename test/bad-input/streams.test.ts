// Streams of those who lie, flood or stop: bounded, told with a code, and felt by nobody else.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterEach, expect, test } from '@jest/globals';
import { Client, GatewayError, type Stream } from '../../src/client/index.js';
import { type GatewayProcess, startGateway, tokenOf, until } from '../gateway-process.js';
import { RawWebSocket } from './raw-websocket.js';

/** Type numbers of docs/protocol.md. */
const [ERROR, OPEN, OFFER, ATTACH, ATTACHED, CHUNK, PIECE, CREDIT, CREDITED, WAS_CUT] = [
  6, 64, 65, 66, 67, 68, 69, 70, 71, 73,
];
const ID = 'StReAmStReAmStReAmStRe';
const LARGEST = 32 * 1024;
const FAST = Object.fromEntries(
  ['', 'CLIENT_', 'ADDRESS_'].flatMap((scope) =>
    ['BYTES', 'MESSAGES'].map((of) => [`${scope}${of}_PER_SECOND_LIMIT`, '0']),
  ),
);

let gateway: GatewayProcess;
const clients: Client[] = [];

async function start(env: Record<string, string> = {}): Promise<void> {
  gateway = await startGateway({ WORKERS: '1', ...FAST, ...env });
}

async function connect(name: string): Promise<Client> {
  const client = new Client(gateway.url, { token: tokenOf(name) });
  clients.push(client);
  await client.connect();
  return client;
}

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await until(async () => (await gateway.metric('connections')) === 0);
  // Nothing is left of any of them.
  expect(await gateway.metric('streams')).toBe(0);
  expect(await gateway.stop()).toBe(0);
}, 60_000);

/** The next frame of this type; others are passed over. */
async function nextOf(socket: RawWebSocket, type: number | undefined): Promise<unknown[]> {
  for (;;) {
    const frame = await socket.next();
    if (frame[0] === type) return frame;
  }
}

async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof GatewayError ? error.code : error;
}

async function bytesOf({ readable }: Stream): Promise<number> {
  let bytes = 0;
  for await (const piece of readable as unknown as AsyncIterable<Uint8Array>) bytes += piece.length;
  return bytes;
}

/** Memory of all workers, bytes. */
async function memoryOf(of: GatewayProcess): Promise<number> {
  const pids = (await of.workers()).map(({ pid }) => pid);
  const kib = await Promise.all(
    pids.map(async (pid) => {
      const status = await readFile(`/proc/${String(pid)}/status`, 'utf8');
      return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]);
    }),
  );
  return kib.reduce((sum, each) => sum + each, 0) * 1024;
}

const open = (stream: string, to: string, name = 'file'): unknown[] => [
  OPEN,
  stream,
  to,
  null,
  name,
  false,
  'none',
  null,
];
const chunk = (offset: number, bytes: number, part = 0): unknown[] => [
  CHUNK,
  ID,
  offset,
  part,
  'bytes',
  Buffer.alloc(bytes).toString('base64'),
];

test('an opener that sends beyond its credit is cut with credit_exceeded, and so is the reader', async () => {
  await start();
  const alice = await RawWebSocket.enter(gateway.port, tokenOf('alice'));
  const bob = await RawWebSocket.enter(gateway.port, tokenOf('bob'));
  alice.say(open(ID, 'bob'));
  const offer = await nextOf(bob, OFFER);
  bob.say([ATTACH, ID, `alice#${String(offer[3])}`, null, false, 0, 100_000, false]);
  expect((await nextOf(alice, ATTACHED))[5]).toBe(100_000);
  alice.say(chunk(0, LARGEST));
  // All but its last byte would be in order, wherever it says that it begins.
  alice.say(chunk(100_000 - LARGEST - 63, LARGEST));
  expect((await nextOf(alice, WAS_CUT)).slice(1, 3)).toEqual([ID, 'credit_exceeded']);
  // The reader got what was allowed, and no more.
  expect((await nextOf(bob, PIECE)).slice(1, 3)).toEqual([ID, 0]);
  expect((await bob.next()).slice(0, 3)).toEqual([WAS_CUT, ID, 'credit_exceeded']);
  await Promise.all([alice.destroy(), bob.destroy()]);
}, 60_000);

test('a chunk that is too large, half a frame of it, or of no known part is refused, and the stream goes on', async () => {
  await start();
  const bob = await connect('bob');
  const seen: unknown[] = [];
  bob.onStream('file', async (stream) => {
    seen.push(await bytesOf(stream));
  });
  const alice = await RawWebSocket.enter(gateway.port, tokenOf('alice'));
  alice.say(open(ID, 'bob'));
  await nextOf(alice, ATTACHED);
  for (const wrong of [
    chunk(0, LARGEST + 1),
    chunk(0, 10, 3),
    chunk(-1, 10),
    chunk(0.5, 10),
    chunk(2 ** 53, 10),
    [CHUNK, ID],
    [CHUNK, 'short', 0, 0, 'none', null],
    [CREDIT, ID, -1, 0, 0],
    [CREDIT, ID, 0, 0, 3],
    [ATTACH, ID, 'bob', null, true, 0, 0, false],
  ]) {
    alice.say(wrong);
    expect([wrong, (await nextOf(alice, ERROR)).slice(1, 3)]).toEqual([wrong, [0, 'bad_parameter']]);
  }
  // What is there already, or not yet its turn, is passed over, whatever it says of itself.
  alice.say(chunk(0, 1000));
  alice.say(chunk(0, 1000));
  alice.say(chunk(5000, 1000));
  alice.say(chunk(1064, 500));
  alice.say([CHUNK, ID, 1628, 1, 'none', null]);
  await until(() => seen.length > 0);
  expect(seen).toEqual([1500]);
  await alice.destroy();
}, 60_000);

test('10,000 streams opened at once are held up to the limit, told limit, and end with 4509; others feel nothing', async () => {
  await start({ STREAMS_PER_SESSION_LIMIT: '100' });
  const [bob, carol] = [await connect('bob'), await connect('carol')];
  bob.onStream('file', () => new Promise(() => undefined));
  bob.onStream('small', bytesOf);
  const mallory = await RawWebSocket.enter(gateway.port, tokenOf('mallory'));
  for (let i = 0; i < 10_000; i++) mallory.say(open(`${String(i).padStart(5, '0')}${ID.slice(5)}`, 'bob'));
  const cut = await nextOf(mallory, WAS_CUT);
  expect(cut[2]).toBe('limit');
  expect((await mallory.ended).code).toBe(4509);
  // Both ends of a hundred at most.
  expect(await gateway.metric('streams')).toBeLessThanOrEqual(200);
  // Bob is told that the opener is gone; he is where he was, and takes streams of others.
  await until(async () => (await gateway.metric('streams')) <= 100);
  expect(bob.state).toBe('connected');
  expect(await gateway.metric('stream_ends_total', { code: 'limit' })).toBeGreaterThan(10);
  expect(carol.state).toBe('connected');
  await mallory.destroy();
}, 90_000);

test('a listener who is offered more streams than it may hold keeps its session; the openers are told limit', async () => {
  await start({ STREAMS_PER_SESSION_LIMIT: '50' });
  const bob = await connect('bob');
  bob.onStream('file', bytesOf);
  const openers = await Promise.all(['a', 'b', 'c', 'd'].map(connect));
  const outcomes: unknown[] = [];
  const streams: Stream[] = [];
  await Promise.all(
    openers.flatMap((opener) =>
      Array.from({ length: 40 }, async () => {
        const opening = opener.openStream('bob', 'file');
        outcomes.push(await codeOf(opening));
        if (outcomes.at(-1) === null) streams.push(await opening);
      }),
    ),
  );
  expect(outcomes.filter((outcome) => outcome === null)).toHaveLength(50);
  expect(outcomes.filter((outcome) => outcome === 'limit')).toHaveLength(110);
  expect(bob.state).toBe('connected');
  // Each that ends makes room for another one.
  await Promise.all(streams.splice(0, 10).map((stream) => stream.writable.close()));
  await until(async () => (await codeOf((openers[0] ?? bob).openStream('bob', 'file'))) === null);
  expect(openers.map(({ state }) => state)).toEqual(openers.map(() => 'connected'));
}, 90_000);

test('what a sender writes to a reader that stops reading its socket is not kept by the gateway', async () => {
  // Each on a worker of its own.
  await start({ OUTBOX_LIMIT_BYTES: '262144', WORKERS: '2' });
  const alice = await RawWebSocket.enter(gateway.port, tokenOf('alice'));
  const bob = await RawWebSocket.enter(gateway.port, tokenOf('bob'));
  alice.say(open(ID, 'bob'));
  const offer = await nextOf(bob, OFFER);
  // It allows all that there can be, of which the gateway passes on what its outbox has room for.
  bob.say([ATTACH, ID, `alice#${String(offer[3])}`, null, false, 0, 2 ** 52, false]);
  expect((await nextOf(alice, ATTACHED)).slice(-2)).toEqual([0, 131_072]);
  // It says that it has what nobody has sent yet, and then reads no more.
  bob.say([CREDIT, ID, 2 ** 51, 2 ** 52, 0]);
  await nextOf(alice, CREDITED);
  bob.socket.pause();
  const before = await gateway.metric('volatile_dropped_total', { reason: 'away' });
  let sent = 0;
  const flood = async (chunks: number): Promise<void> => {
    for (const end = sent + chunks; sent < end; sent++) {
      alice.say(chunk(sent * (LARGEST + 64), LARGEST));
      if (sent % 20 === 0) await new Promise(setImmediate);
    }
    // All but the outbox, and what the sockets hold, is dropped, to be sent again by an honest sender.
    await until(
      async () => (await gateway.metric('volatile_dropped_total', { reason: 'away' })) - before > sent - 300,
    );
  };
  await flood(500);
  // Each time 22 MB come in, 30 MB as base64: kept they would be there each time, garbage that waits for its collector is not.
  const grown: number[] = [];
  for (let i = 0; i < 3; i++) {
    const memory = await memoryOf(gateway);
    await flood(700);
    grown.push((await memoryOf(gateway)) - memory);
  }
  expect(Math.min(...grown)).toBeLessThan(15 * 1024 * 1024);
  bob.socket.resume();
  const piece = await nextOf(bob, PIECE);
  expect(piece.slice(1, 4)).toEqual([ID, 0, 0]);
  await Promise.all([alice.destroy(), bob.destroy()]);
}, 90_000);

test('a reader of a stream to several is told at once that it may answer, and need not ask', async () => {
  await start();
  const alice = await RawWebSocket.enter(gateway.port, tokenOf('alice'));
  const bob = await RawWebSocket.enter(gateway.port, tokenOf('bob'));
  const [, , , ...rest] = open(ID, 'bob');
  alice.say([OPEN, ID, null, ...rest]);
  const offer = await nextOf(bob, OFFER);
  bob.say([ATTACH, ID, `alice#${String(offer[3])}`, null, false, 0, 100_000, false]);
  expect((await nextOf(bob, CREDITED)).slice(1)).toEqual([ID, 0, 0, 0]);
  await Promise.all([alice.destroy(), bob.destroy()]);
}, 60_000);

test('an SDK that is told to send without end holds what its buffer allows, and waits', async () => {
  await start();
  const bob = await RawWebSocket.enter(gateway.port, tokenOf('bob'));
  const alice = await connect('alice');
  const opening = alice.openStream('bob', 'file', { sendBufferBytes: 200_000 });
  const [, id, , session] = await nextOf(bob, OFFER);
  bob.say([ATTACH, id, `alice#${String(session)}`, null, false, 0, 2 ** 52, false]);
  const stream = await opening;
  const writer = stream.writable.getWriter();
  let written = 0;
  const sent = randomBytes(50_000);
  const writing = (async () => {
    for (let i = 0; i < 100; i++) {
      await writer.write(sent);
      written += sent.length;
    }
  })();
  writing.catch(() => undefined);
  // It is told that nothing has arrived, again and again, and keeps what it has.
  await until(() => written >= 200_000);
  for (let i = 0; i < 20; i++) bob.say([CREDIT, id, 0, 2 ** 52, 2]);
  await nextOf(bob, PIECE);
  expect(written).toBeLessThanOrEqual(200_000 + 2 * sent.length);
  stream.abort();
  expect(await codeOf(writing)).toBe('aborted');
  await bob.destroy();
}, 60_000);
