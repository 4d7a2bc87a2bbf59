// Streams between every pair of places: store × placement × codec, and over connections and workers that die in the middle.
import { createHash, randomBytes } from 'node:crypto';
import { Duplex } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client, GatewayError, type Stream } from '../../src/client/index.js';
import { type GatewayProcess, tokenOf, until } from '../gateway-process.js';
import { CuttableSockets } from '../faults/cuttable-sockets.js';
import {
  codeOf,
  connectPair,
  deploy,
  type Deployment,
  fresh,
  type Placed,
  PLACEMENTS,
  type Way,
} from './deployment.js';

const WAYS: [Way, Way][] = [
  ['websocket msgpack', 'websocket msgpack'],
  ['websocket msgpack', 'websocket json'],
  ['websocket json', 'sse msgpack'],
  ['tcp msgpack', 'poll json'],
];
/** Streams are as fast as they can be here. */
const FAST = Object.fromEntries(
  ['', 'CLIENT_', 'ADDRESS_'].flatMap((scope) =>
    ['BYTES', 'MESSAGES'].map((of) => [`${scope}${of}_PER_SECOND_LIMIT`, '0']),
  ),
);

const shaOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function readAll(stream: Pick<Stream, 'readable'>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream.readable as unknown as AsyncIterable<Uint8Array>) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function writeAll(stream: Pick<Stream, 'writable'>, chunks: Iterable<unknown>): Promise<void> {
  const writer = stream.writable.getWriter();
  for (const chunk of chunks) await writer.write(chunk);
  await writer.close();
}

function* slices(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe.each(['embedded', 'redis'] as const)('%s store', (store) => {
  let deployment: Deployment;
  beforeAll(async () => {
    deployment = await deploy(store, FAST);
  }, 60_000);
  afterAll(async () => {
    await deployment.stop();
  });

  describe.each(PLACEMENTS[store])('%s', (placement) => {
    describe.each(WAYS)('%s to %s', (...ways) => {
      let alice: Placed;
      let bob: Placed;
      beforeAll(async () => {
        [alice, bob] = await connectPair(deployment, placement, [fresh('alice'), fresh('bob')], ways);
      }, 60_000);
      afterAll(async () => {
        await alice.client.close();
        await bob.client.close();
      });

      test('openStream() carries bytes both ways, metadata, and an answer at the end', async () => {
        const sent = randomBytes(700_000);
        const remove = bob.client.onStream('echo', async (stream, from, meta) => {
          const received = await readAll(stream);
          await writeAll(stream, [received.subarray(0, 1000)]);
          return { from: from.client, meta, sha: shaOf(received) };
        });
        const stream = await alice.client.openStream(bob.place.client, 'echo', {
          meta: { size: sent.length },
        });
        expect(stream.peer).toEqual({ client: bob.place.client, session: bob.place.session });
        const back = readAll(stream);
        await writeAll(stream, slices(sent, 100_000));
        expect(stream.ackedBytes).toBe(sent.length);
        expect((await back).equals(sent.subarray(0, 1000))).toBe(true);
        expect(await stream.reply).toEqual({
          from: alice.place.client,
          meta: { size: sent.length },
          sha: shaOf(sent),
        });
        await stream.closed;
        remove();
      });

      test('a stream carries data as it is, a chunk for each write', async () => {
        const values = [1, 'two', { three: [3] }, null, new Date(5), new Map([[1, 2]]), new Uint8Array([9])];
        const remove = bob.client.onStream('values', async (stream) => {
          const seen: unknown[] = [];
          for await (const value of stream.readable as unknown as AsyncIterable<unknown>) seen.push(value);
          return seen;
        });
        const stream = await alice.client.openStream(`${bob.place.client}#${bob.place.session}`, 'values');
        await writeAll(stream, values);
        expect(await stream.reply).toEqual(values);
        remove();
      });

      test('openStream() rejects with no_handler, limit, not_found, or what the handler throws', async () => {
        expect(await codeOf(alice.client.openStream(bob.place.client, 'nobody-listens'))).toBe('no_handler');
        expect(await codeOf(alice.client.openStream('nobody-at-all', 'x'))).toBe('not_found');
        const remove = bob.client.onStream('one', readAll, { limit: 1 });
        const first = await alice.client.openStream(bob.place.client, 'one');
        expect(await codeOf(alice.client.openStream(bob.place.client, 'one'))).toBe('limit');
        await first.writable.close();
        await first.closed;
        await until(
          async () => (await codeOf(alice.client.openStream(bob.place.client, 'one').then(closing))) === null,
        );
        remove();
        expect(await codeOf(alice.client.openStream(bob.place.client, 'one'))).toBe('no_handler');
        const removeFailing = bob.client.onStream('fails', () => {
          throw new GatewayError('expired', 'too late');
        });
        const failing = await alice.client.openStream(bob.place.client, 'fails');
        expect(await codeOf(failing.reply)).toBe('expired');
        removeFailing();
      });

      test.each(['opener', 'acceptor'] as const)(
        'abort() by the %s ends both sides with its code',
        async (side) => {
          let accepted: Stream | null = null;
          const ended: unknown[] = [];
          const remove = bob.client.onStream('abort', async (stream) => {
            accepted = stream;
            ended.push(await codeOf(readAll(stream)), await codeOf(stream.closed));
          });
          const stream = await alice.client.openStream(bob.place.client, 'abort');
          const reading = codeOf(readAll(stream));
          const writing = codeOf(
            writeAll(
              stream,
              Array.from({ length: 100 }, () => new Uint8Array(100_000)),
            ),
          );
          const other = await until(() => accepted);
          (side === 'opener' ? stream : other).abort('expired', 'enough');
          expect([await reading, await writing, await codeOf(stream.reply)]).toEqual([
            'expired',
            'expired',
            'expired',
          ]);
          await until(() => ended.length === 2);
          expect(ended).toEqual(['expired', 'expired']);
          remove();
        },
      );

      test('a reader that stops holds up its sender, and both go on when it reads again', async () => {
        const sent = randomBytes(3_000_000);
        let go = (): void => undefined;
        const gate = new Promise<void>((resolve) => (go = resolve));
        const remove = bob.client.onStream(
          'slow',
          async (stream) => {
            await gate;
            return shaOf(await readAll(stream));
          },
          { windowBytes: 256 * 1024 },
        );
        const stream = await alice.client.openStream(bob.place.client, 'slow', { sendBufferBytes: 200_000 });
        let written = 0;
        const writer = stream.writable.getWriter();
        const writing = (async () => {
          for (const slice of slices(sent, 50_000)) {
            await writer.write(slice);
            written += slice.length;
          }
          await writer.close();
        })();
        // The reader's window and the sender's buffer, and no more.
        await until(() => stream.ackedBytes > 150_000);
        for (let before = 0; before < stream.ackedBytes;) {
          before = stream.ackedBytes;
          await new Promise((resolve) => setTimeout(resolve, 300));
        }
        expect(stream.ackedBytes).toBeLessThanOrEqual(256 * 1024);
        expect(written).toBeLessThan(256 * 1024 + 200_000 + 2 * 50_000);
        go();
        await writing;
        expect(await stream.reply).toBe(shaOf(sent));
        remove();
      });
    });
  });

  test('a Node Duplex over a stream pipes both ways', async () => {
    const [alice, bob] = await connectPair(
      deployment,
      'other worker',
      [fresh('alice'), fresh('bob')],
      ['websocket msgpack', 'websocket msgpack'],
    );
    const sent = randomBytes(500_000);
    bob.client.onStream('duplex', async (stream) => {
      const duplex = Duplex.fromWeb(stream as never);
      await pipeline(duplex, duplex);
    });
    const stream = await alice.client.openStream(bob.place.client, 'duplex');
    const duplex = Duplex.fromWeb(stream as never);
    const back: Buffer[] = [];
    duplex.on('data', (chunk: Buffer) => back.push(chunk));
    duplex.end(sent);
    await until(() => Buffer.concat(back).length === sent.length);
    expect(shaOf(Buffer.concat(back))).toBe(shaOf(sent));
    // The other side's end comes after its last byte: a client that is closed before it cuts the stream.
    await finished(duplex);
    await alice.client.close();
    await bob.client.close();
  });

  test('the token decides whom a stream reaches; a frame of a stream that nobody holds reaches nobody', async () => {
    const [home] = deployment.gateways;
    if (home === undefined) throw new Error('no gateway');
    const [bob, carol] = [fresh('bob'), fresh('carol')];
    const listener = new Client(home.url, { token: tokenOf(bob) });
    const other = new Client(home.url, { token: tokenOf(carol) });
    await Promise.all([listener.connect(), other.connect()]);
    for (const client of [listener, other]) client.onStream('x', () => 'yes');
    const permitted: [perm: unknown, code: unknown][] = [
      [{ send: [bob], streams: [bob] }, null],
      [{ send: ['*'] }, 'not_found'],
      [{ streams: ['*'] }, 'not_found'],
      [{ send: [carol], streams: ['*'] }, 'not_found'],
    ];
    for (const [perm, code] of permitted) {
      const alice = new Client(home.url, { token: tokenOf(fresh('alice'), perm) });
      await alice.connect();
      expect(await codeOf(alice.openStream(bob, 'x'))).toBe(code);
      await alice.close();
    }
    await Promise.all([listener.close(), other.close()]);
  });
});

async function closing(stream: Stream): Promise<void> {
  await stream.writable.close();
  await stream.closed;
}

describe.each(['embedded', 'redis'] as const)('%s store, connections that die', (store) => {
  let deployment: Deployment;
  beforeAll(async () => {
    deployment = await deploy(store, FAST);
  }, 60_000);
  afterAll(async () => {
    await deployment.stop();
  }, 60_000);

  /** A client whose connection can be cut, at the gateway of the deployment that is asked for. */
  async function cuttable(at: number): Promise<{ client: Client; id: string; sockets: CuttableSockets }> {
    const sockets = new CuttableSockets(null);
    const id = fresh('moving');
    const gateway = deployment.gateways[at % deployment.gateways.length];
    if (gateway === undefined) throw new Error('no gateway');
    const options = { token: tokenOf(id), WebSocket: sockets.WebSocket, backoff: { minMs: 20, maxMs: 100 } };
    const client = new Client(gateway.url, options);
    await client.connect();
    return { client, id, sockets };
  }

  test('no byte is lost or doubled while both connections are cut again and again', async () => {
    const [alice, bob] = [await cuttable(0), await cuttable(1)];
    const sent = randomBytes(3_000_000);
    bob.client.onStream('file', async (stream) => {
      const up = readAll(stream);
      const down = writeAll(stream, slices(sent, 64_000));
      const received = await up;
      await down;
      return shaOf(received);
    });
    const stream = await alice.client.openStream(bob.id, 'file');
    let done = false;
    const cutting = (async () => {
      // Each time somewhere in the middle, however fast this machine is.
      for (let round = 0; !done; round++) {
        const before = stream.ackedBytes;
        await until(() => done || stream.ackedBytes > before + 200_000);
        const side = round % 3 === 0 ? bob : alice;
        if (side.client.state === 'connected') side.sockets.cut(0);
      }
    })();
    const down = readAll(stream);
    await writeAll(stream, slices(sent, 50_000));
    expect(await stream.reply).toBe(shaOf(sent));
    expect(shaOf(await down)).toBe(shaOf(sent));
    done = true;
    await cutting;
    await Promise.all([alice.client.close(), bob.client.close()]);
  }, 60_000);

  test('a stream outlives kill -9 of every worker that carries it', async () => {
    const [alice, bob] = [await cuttable(0), await cuttable(1)];
    const sent = randomBytes(4_000_000);
    bob.client.onStream('file', async (stream) => shaOf(await readAll(stream)));
    const stream = await alice.client.openStream(bob.id, 'file');
    const writer = stream.writable.getWriter();
    // Those of now: nobody is asked for them in the middle.
    const carriers = await Promise.all([
      workerOf(deployment.gateways, alice),
      workerOf(deployment.gateways, bob),
    ]);
    const workers = [...new Set(carriers)];
    let killed = 0;
    let at = 0;
    for (const slice of slices(sent, 40_000)) {
      await writer.write(slice);
      at += slice.length;
      const worker = workers[killed];
      if (worker === undefined || at < (killed + 1) * 1_000_000) continue;
      // A node without any worker would come back on another port, where the system chose it; and one that was killed a moment ago
      // still counts as ready.
      await until(() => allReady(deployment.gateways, workers.slice(0, killed)));
      killed++;
      process.kill(worker, 'SIGKILL');
    }
    await writer.close();
    expect(await stream.reply).toBe(shaOf(sent));
    expect(killed).toBe(workers.length);
    await Promise.all([alice.client.close(), bob.client.close()]);
  }, 90_000);

  test('a stream ends with a code for who is left when the session at the other end is over', async () => {
    const [alice, bob] = [await cuttable(0), await cuttable(1)];
    const seen: unknown[] = [];
    bob.client.onStream('file', async (stream) => {
      seen.push(await codeOf(readAll(stream)));
    });
    const stream = await alice.client.openStream(bob.id, 'file');
    await alice.client.close();
    expect(await codeOf(stream.closed)).toBe('closed');
    await until(() => seen.length > 0);
    expect(seen).toEqual(['unknown_outcome']);
    await bob.client.close();
  }, 60_000);
});

/** Whether every worker is there, and none of them is one of those that were killed. */
async function allReady(gateways: readonly GatewayProcess[], killed: readonly number[]): Promise<boolean> {
  const workers = await Promise.all(gateways.map((gateway) => gateway.workers()));
  return workers.every(
    (of) => of.filter(({ state, pid }) => state === 'ready' && !killed.includes(pid)).length === 2,
  );
}

/** The process that holds a client's connection. */
async function workerOf(
  gateways: readonly GatewayProcess[],
  { client, id }: { client: Client; id: string },
): Promise<number> {
  for (const gateway of gateways) {
    const place = (await gateway.locate(id)).find(({ session }) => session === client.sessionId);
    const worker = (await gateway.workers()).find((each) => each.id === place?.worker);
    if (worker !== undefined) return worker.pid;
  }
  throw new Error('nobody holds the session');
}
