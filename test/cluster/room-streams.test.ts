// Streams to a room and to everybody: one writer, many readers on two workers, and what a slow one does to the others.
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client, GatewayError } from '../../src/client/index.js';
import { type GatewayProcess, startGateway, tokenOf, until } from '../gateway-process.js';
import { CuttableSockets } from '../faults/cuttable-sockets.js';

const FAST = Object.fromEntries(
  ['', 'CLIENT_', 'ADDRESS_'].flatMap((scope) =>
    ['BYTES', 'MESSAGES'].map((of) => [`${scope}${of}_PER_SECOND_LIMIT`, '0']),
  ),
);
const READERS = ['bob', 'carol', 'dave', 'eve'];

let gateway: GatewayProcess;
const clients = new Map<string, { client: Client; sockets: CuttableSockets }>();
/** Who does not read on until it may. */
const stopped = new Map<string, Promise<void>>();

async function connect(name: string, perm: unknown = '*'): Promise<Client> {
  const sockets = new CuttableSockets(null);
  const options = { WebSocket: sockets.WebSocket, backoff: { minMs: 20, maxMs: 100 } };
  const client = new Client(gateway.url, { token: tokenOf(name, perm), ...options });
  await client.connect();
  clients.set(name, { client, sockets });
  return client;
}

function clientOf(name: string): { client: Client; sockets: CuttableSockets } {
  const found = clients.get(name);
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
}

beforeAll(async () => {
  gateway = await startGateway(FAST);
  await connect('alice');
  for (const name of READERS) {
    const client = await connect(name);
    await client.room('lobby').join();
    client.onStream('cast', async ({ readable }) => {
      const hash = createHash('sha256');
      for await (const piece of readable as unknown as AsyncIterable<Uint8Array>) {
        hash.update(piece);
        await stopped.get(name);
      }
      return hash.digest('hex');
    });
  }
}, 60_000);

afterAll(async () => {
  await Promise.all([...clients.values()].map(({ client }) => client.close()));
  await gateway.stop();
}, 60_000);

const sent = randomBytes(2_000_000);
const sha = createHash('sha256').update(sent).digest('hex');

async function write(
  writable: WritableStream<unknown>,
  each: (at: number) => void = () => undefined,
): Promise<void> {
  const writer = writable.getWriter();
  for (let at = 0; at < sent.length; at += 50_000) {
    await writer.write(sent.subarray(at, at + 50_000));
    each(at);
  }
  await writer.close();
}

/** All readers of the room come in; the default time for that is for faster machines than a loaded one. */
const PATIENT = { timeoutMs: 4_000 };

test('every session in the room reads the whole stream once, and answers', async () => {
  const stream = await clientOf('alice').client.room('lobby').openStream('cast', PATIENT);
  expect(stream.readers).toBe(READERS.length);
  await write(stream.writable);
  const results = await stream.reply;
  expect(results.map(({ client }) => client).sort()).toEqual(READERS);
  expect(results.every(({ code, data }) => code === 'normal' && data === sha)).toBe(true);
}, 60_000);

test('the stream goes on when the opener and a reader come back on new connections', async () => {
  const stream = await clientOf('alice').client.room('lobby').openStream('cast', PATIENT);
  await write(stream.writable, (at) => {
    if (at === 500_000) clientOf('bob').sockets.cut(0);
    if (at === 1_000_000) clientOf('alice').sockets.cut(0);
  });
  const results = await stream.reply;
  expect(results.map(({ code, data }) => [code, data === sha])).toEqual(READERS.map(() => ['normal', true]));
}, 60_000);

test('the stream goes on when opener and reader lose their connections while readers still come in', async () => {
  const [alice, bob] = [clientOf('alice'), clientOf('bob')];
  let comesIn = (): void => undefined;
  const came = new Promise<void>((resolve) => (comesIn = resolve));
  await bob.client.room('den').join();
  bob.client.onStream('early', async ({ readable }) => {
    comesIn();
    const hash = createHash('sha256');
    for await (const piece of readable as unknown as AsyncIterable<Uint8Array>) hash.update(piece);
    return hash.digest('hex');
  });
  bob.client.onRequest('said', () => true);
  // Ends well before the gateway that she comes back to gives up those who have not come back too (GATHER_MS).
  const opening = alice.client.room('den').openStream('early', { timeoutMs: 2_000 });
  await came;
  // What he allows has come to her, mostly: then the gateway that she comes back to does not know it.
  for (let i = 0; i < 3; i++) await alice.client.request('bob', 'said', null);
  bob.sockets.cut(60_000);
  alice.sockets.cut(0);
  const stream = await opening;
  const writing = write(stream.writable);
  bob.sockets.mend();
  await writing;
  expect((await stream.reply).map(({ code, data }) => [code, data === sha])).toEqual([['normal', true]]);
}, 60_000);

test('with slow: drop a reader that holds up others gets slow_reader, and they get everything', async () => {
  let go = (): void => undefined;
  stopped.set('dave', new Promise((resolve) => (go = resolve)));
  const stream = await clientOf('alice')
    .client.room('lobby')
    .openStream('cast', { ...PATIENT, slow: 'drop' });
  await write(stream.writable);
  const results = await stream.reply;
  expect(Object.fromEntries(results.map(({ client, code }) => [client, code]))).toEqual({
    bob: 'normal',
    carol: 'normal',
    dave: 'slow_reader',
    eve: 'normal',
  });
  go();
  stopped.clear();
}, 60_000);

test('with slow: wait all wait for the slowest reader, and go on with it', async () => {
  let go = (): void => undefined;
  stopped.set('dave', new Promise((resolve) => (go = resolve)));
  const stream = await clientOf('alice').client.openBroadcast('cast', {
    ...PATIENT,
    slow: 'wait',
    sendBufferBytes: 100_000,
  });
  let written = 0;
  const writing = write(stream.writable, (at) => (written = at));
  await until(() => written > 100_000);
  // Longer than a slow reader would be waited for.
  await new Promise((resolve) => setTimeout(resolve, 3_500));
  // The window of the slowest (1 MiB), the sender's buffer, and a piece or two on their way.
  expect(written).toBeLessThan(1_350_000);
  go();
  stopped.clear();
  await writing;
  const results = await stream.reply;
  expect(results.every(({ code, data }) => code === 'normal' && data === sha)).toBe(true);
}, 60_000);

test('a stream to a room needs rooms.publish, and reaches those whom streams covers', async () => {
  const frank = await connect('frank', { rooms: { publish: ['lobby'] }, streams: ['bob', 'eve'] });
  const stream = await frank.room('lobby').openStream('cast', PATIENT);
  expect(stream.readers).toBe(2);
  await write(stream.writable);
  expect((await stream.reply).map(({ client }) => client).sort()).toEqual(['bob', 'eve']);
  const grace = await connect('grace', { send: ['*'], streams: ['*'] });
  const refused: unknown = await grace
    .room('lobby')
    .openStream('cast')
    .catch((error: unknown) => error);
  expect(refused instanceof GatewayError && refused.code).toBe('forbidden');
}, 60_000);
