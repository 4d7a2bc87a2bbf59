// Streams of a gateway whose connections hold little: nobody stands still, to one reader, to a room, and both ways at once.
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from '../../src/client/index.js';
import { type GatewayProcess, startGateway, tokenOf } from '../gateway-process.js';

const FAST = Object.fromEntries(
  ['', 'CLIENT_', 'ADDRESS_'].flatMap((scope) =>
    ['BYTES', 'MESSAGES'].map((of) => [`${scope}${of}_PER_SECOND_LIMIT`, '0']),
  ),
);
const READERS = ['bob', 'carol', 'dave'];
// A stream that stands still asks after 3 s: a few times of that are far more than the time of a test.
const sent = randomBytes(3_000_000);
const shaOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function write(writable: WritableStream<unknown>): Promise<void> {
  const writer = writable.getWriter();
  for (let at = 0; at < sent.length; at += 50_000) await writer.write(sent.subarray(at, at + 50_000));
  await writer.close();
}

async function read(readable: ReadableStream<unknown>): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of readable as unknown as AsyncIterable<Uint8Array>) hash.update(piece);
  return hash.digest('hex');
}

describe.each([64, 256])('with an outbox of %i KiB', (kib) => {
  let gateway: GatewayProcess;
  const clients: Client[] = [];
  const connect = async (name: string): Promise<Client> => {
    const client = new Client(gateway.url, { token: tokenOf(name, '*') });
    clients.push(client);
    await client.connect();
    return client;
  };
  let alice: Client;

  beforeAll(async () => {
    gateway = await startGateway({ ...FAST, OUTBOX_LIMIT_BYTES: String(kib * 1024) });
    alice = await connect('alice');
    for (const name of READERS) {
      const client = await connect(name);
      await client.room('lobby').join();
      client.onStream('cast', ({ readable }) => read(readable));
      client.onStream('echo', async ({ readable, writable }) => {
        await readable.pipeTo(writable);
      });
    }
  }, 40_000);

  afterAll(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await gateway.stop();
  }, 30_000);

  test('a stream to one reader is as long under way as it takes', async () => {
    const stream = await alice.openStream('bob', 'cast');
    await write(stream.writable);
    expect(await stream.reply).toBe(shaOf(sent));
    expect(await gateway.metric('signalbox_volatile_dropped_total', { reason: 'away' })).toBe(0);
  }, 20_000);

  test('so is one to a room', async () => {
    const stream = await alice.room('lobby').openStream('cast', { timeoutMs: 2_000 });
    expect(stream.readers).toBe(READERS.length);
    await write(stream.writable);
    const results = await stream.reply;
    expect(results.map(({ data }) => data)).toEqual(READERS.map(() => shaOf(sent)));
  }, 24_000);

  test('and one that is written both ways at once', async () => {
    const stream = await alice.openStream('carol', 'echo');
    const echoed = read(stream.readable);
    await write(stream.writable);
    expect(await echoed).toBe(shaOf(sent));
  }, 20_000);
});
