// Pairs between every pair of places; crossing offers, partners that die, and what a third one can do about it: nothing.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Client, type ClientOptions, GatewayError, type Pair } from '../../src/client/index.js';
import { type GatewayProcess, tokenOf, until } from '../gateway-process.js';
import { CuttableSockets } from '../faults/cuttable-sockets.js';
import {
  codeOf,
  connectPair,
  connectWhere,
  deploy,
  type Deployment,
  fresh,
  lostBy,
  type Placed,
  PLACEMENTS,
  type Way,
} from './deployment.js';

const WAYS: [Way, Way][] = [
  ['websocket msgpack', 'websocket msgpack'],
  ['websocket json', 'sse msgpack'],
  ['poll msgpack', 'websocket json'],
  ['tcp msgpack', 'poll json'],
];
const LEASE_MS = 1_500;

/** Takes every pair; resolves with the first. */
function taken(client: Client): Promise<Pair> {
  return new Promise((resolve, reject) => {
    client.onPair(() => resolve).catch(reject);
  });
}

describe.each(['embedded', 'redis'] as const)('%s store', (store) => {
  let deployment: Deployment;
  const open: Client[] = [];
  beforeAll(async () => {
    deployment = await deploy(store, { PAIR_LEASE_MS: String(LEASE_MS), WORKER_LEASE_MS: '2000' });
  }, 60_000);
  afterEach(async () => {
    await Promise.all(open.splice(0).map((client) => client.close()));
  });
  afterAll(async () => {
    await deployment.stop();
  });
  const home = (): GatewayProcess => {
    const [gateway] = deployment.gateways;
    if (gateway === undefined) throw new Error('no gateway');
    return gateway;
  };
  const connect = async (
    name: string,
    perm: unknown = '*',
    options: Partial<ClientOptions> = {},
  ): Promise<Client> => {
    const backoff = { minMs: 20, maxMs: 100 };
    const client = new Client(home().url, { token: tokenOf(name, perm), backoff, ...options });
    open.push(client);
    await client.connect();
    return client;
  };

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

      test('pair() is refused without a handler and by one, and carries messages, answers and streams both ways', async () => {
        const to = bob.place.client;
        await expect(alice.client.pair(to)).rejects.toMatchObject({ code: 'no_handler' });
        const asked: unknown[] = [];
        let theirs: Pair | null = null;
        const heard: unknown[] = [];
        const stop = await bob.client.onPair((from, meta) => {
          asked.push([from.client, meta]);
          if (meta === 'no') return false;
          return (pair) => {
            theirs = pair;
            pair.onMessage('note', (data, from, info) => heard.push([data, from.client, info.event]));
            pair.onRequest('add', (data) => (data as number[]).reduce((a, b) => a + b, 0));
            pair.onStream('count', async ({ readable }) => {
              let count = 0;
              for await (const chunk of readable as unknown as AsyncIterable<unknown>) count += Number(chunk);
              return count;
            });
          };
        });
        await expect(alice.client.pair(to, { meta: 'no' })).rejects.toMatchObject({ code: 'rejected' });
        const pair = await alice.client.pair(to, { meta: { game: 'chess' } });
        expect(asked).toEqual([
          [alice.place.client, 'no'],
          [alice.place.client, { game: 'chess' }],
        ]);
        expect(pair.partner).toEqual({ client: to, session: bob.place.session });
        const other = await until(() => theirs);
        expect(other.id).toBe(pair.id);
        pair.onRequest('double', (data) => Number(data) * 2);
        await pair.send('note', 'hi', { delivered: true });
        expect(heard).toEqual([['hi', alice.place.client, 'note']]);
        await expect(pair.request('add', [1, 2, 3])).resolves.toBe(6);
        await expect(other.request('double', 21)).resolves.toBe(42);
        const stream = await pair.openStream('count');
        const writer = stream.writable.getWriter();
        for (const number of [1, 2, 3]) await writer.write(number);
        await writer.close();
        await expect(stream.reply).resolves.toBe(6);

        // Who is in a pair is for nobody else, and is no more among those who are free.
        await expect(bob.client.pair(alice.place.client)).rejects.toMatchObject({ code: 'busy' });
        const free = await alice.client.available({ prefix: to });
        expect(free.clients).toEqual([]);
        await other.close();
        await expect(pair.closed).resolves.toEqual({ code: 'normal' });
        await expect(other.closed).resolves.toEqual({ code: 'normal' });
        await expect(pair.send('note', 1)).rejects.toMatchObject({ code: 'partner_gone' });
        expect((await alice.client.available({ prefix: to })).clients).toEqual([to]);
        expect((await bob.client.available({ prefix: to })).clients).toEqual([]);
        stop();
      });
    });
  });

  test('what the one who took the pair says at once reaches the one who asked', async () => {
    const [a, b] = [fresh('a'), fresh('b')];
    const [alice, bob] = [await connect(a), await connect(b)];
    await bob.onPair(() => async (pair) => {
      await pair.send('first', 1);
      await pair.send('second', 2);
    });
    const pair = await alice.pair(b);
    const heard: unknown[] = [];
    pair.onMessage('first', (data) => heard.push(data));
    pair.onMessage('second', (data) => heard.push(data));
    await until(() => heard.length === 2);
    expect(heard).toEqual([1, 2]);
  });

  test('crossing offers end with one pair or with none, and never hang', async () => {
    for (let round = 0; round < 10; round++) {
      const [a, b] = [fresh('a'), fresh('b')];
      const [alice, bob] = [await connect(a), await connect(b)];
      const begun: string[] = [];
      await alice.onPair(
        () =>
          ({ id }) =>
            begun.push(id),
      );
      await bob.onPair(
        () =>
          ({ id }) =>
            begun.push(id),
      );
      const results = await Promise.all([
        alice.pair(b).catch((error: unknown) => error),
        bob.pair(a).catch((error: unknown) => error),
      ]);
      const codes = results.map((result) => (result instanceof GatewayError ? result.code : 'pair'));
      expect([...codes].sort()).toEqual(['busy', 'pair']);
      expect(begun).toHaveLength(1);
      await Promise.all(open.splice(0).map((client) => client.close()));
    }
  }, 60_000);

  test('ten that want everybody: whoever is in a pair is in one', async () => {
    const everybody = Array.from({ length: 10 }, () => fresh('p'));
    const clients = await Promise.all(everybody.map((name) => connect(name)));
    const inPair = new Map<string, string[]>();
    const note = (name: string, id: string) => inPair.set(name, [...(inPair.get(name) ?? []), id]);
    for (const client of clients)
      await client.onPair(
        () =>
          ({ id }) =>
            note(client.id ?? '', id),
      );
    await Promise.all(
      clients.map(async (client, i) => {
        for (let step = 1; step < 10; step++) {
          const to = everybody[(i + step * 3) % 10] ?? '';
          const pair = await client.pair(to, { timeoutMs: 5_000 }).catch((error: unknown) => error);
          if (pair instanceof GatewayError || pair instanceof Error) {
            expect(['busy', 'bad_parameter']).toContain((pair as GatewayError).code);
          } else note(client.id ?? '', (pair as Pair).id);
        }
      }),
    );
    for (const ids of inPair.values()) expect(ids).toHaveLength(1);
    const ends = new Map<string, number>();
    for (const [id] of inPair.values()) ends.set(id ?? '', (ends.get(id ?? '') ?? 0) + 1);
    expect([...ends.values()].every((count) => count === 2)).toBe(true);
    expect(ends.size).toBeGreaterThan(0);
  }, 60_000);

  test('a partner that is lost is told of within the lease, and both are free', async () => {
    const [a, b] = [fresh('a'), fresh('b')];
    const sockets = new CuttableSockets(null);
    const alice = await connect(a);
    const bob = await connect(b, '*', { WebSocket: sockets.WebSocket });
    const theirs = taken(bob);
    const pair = await alice.pair(b);
    await theirs;
    sockets.cut(60_000);
    await expect(pair.closed).resolves.toEqual({ code: 'partner_gone' });
    const carol = await connect(fresh('c'));
    await carol.onPair(() => () => undefined);
    await alice.pair(carol.id ?? '');
  }, 60_000);

  test('a partner that closes its client is gone at once', async () => {
    const [a, b] = [fresh('a'), fresh('b')];
    const [alice, bob] = [await connect(a), await connect(b)];
    const theirs = taken(bob);
    const pair = await alice.pair(b);
    const other = await theirs;
    await bob.close();
    await expect(other.closed).resolves.toEqual({ code: 'closed' });
    await expect(pair.closed).resolves.toEqual({ code: 'partner_gone' });
  });

  test('a worker killed with -9 and a cut connection do not end the pair', async () => {
    const backoff = { minMs: 20, maxMs: 100 };
    const alice = await connectWhere(home(), fresh('alice'), { backoff }, () => true);
    const other = ({ worker }: { worker: string }) => worker !== alice.place.worker;
    const bob = await connectWhere(home(), fresh('bob'), { backoff }, other);
    open.push(alice.client, bob.client);
    const theirs = taken(bob.client);
    const pair = await alice.client.pair(bob.place.client);
    const far = await theirs;
    far.onRequest('echo', (data) => data);
    pair.onRequest('echo', (data) => data);
    const pid = (await home().workers()).find(({ id }) => id === bob.place.worker)?.pid ?? 0;
    const lost = lostBy(bob.client);
    process.kill(pid, 'SIGKILL');
    await lost;
    await until(() => bob.client.state === 'connected');
    await until(async () => (await codeOf(pair.request('echo', 1, { timeoutMs: 2_000 }))) === null);
    await new Promise((resolve) => setTimeout(resolve, LEASE_MS * 1.5));
    await expect(far.request('echo', 2)).resolves.toBe(2);
    await expect(pair.request('echo', 3)).resolves.toBe(3);
    await expect(alice.client.pair(bob.place.client)).rejects.toMatchObject({ code: 'busy' });
  }, 60_000);

  test('an offer that nobody answers times out, and leaves both free', async () => {
    const [a, b] = [fresh('a'), fresh('b')];
    const [alice, bob] = [await connect(a), await connect(b)];
    const stop = await bob.onPair(() => new Promise(() => undefined));
    await expect(alice.pair(b, { timeoutMs: 300 })).rejects.toMatchObject({ code: 'timeout' });
    stop();
    await bob.onPair(() => () => undefined);
    await until(async () => (await codeOf(alice.pair(b))) === null);
  });

  test('permissions and bad input: none without send, none with oneself, nothing for a third one', async () => {
    const [a, b, c] = [fresh('a'), fresh('b'), fresh('c')];
    const alice = await connect(a);
    const bob = await connect(b, { list: ['*'] });
    const carol = await connect(c, { send: ['x'] });
    const theirs = taken(bob);
    await expect(carol.pair(b)).rejects.toMatchObject({ code: 'not_found' });
    await expect(carol.available()).rejects.toMatchObject({ code: 'forbidden' });
    await expect(alice.pair('nobody-at-all')).rejects.toMatchObject({ code: 'not_found' });
    await expect(alice.pair(a)).rejects.toMatchObject({ code: 'bad_parameter' });
    await expect(alice.pair('no name')).rejects.toMatchObject({ code: 'bad_parameter' });
    // Who may not talk back can be no partner.
    await expect(alice.pair(b)).rejects.toMatchObject({ code: 'not_found' });
    await expect(bob.onPair(() => false)).rejects.toBeInstanceOf(TypeError);
    await Promise.race([theirs, Promise.resolve()]);
    // A third one that guesses a pair's events is heard by nobody.
    const dave = await connect(fresh('d'));
    const davesPair = taken(dave);
    const pair = await alice.pair(dave.id ?? '');
    const far = await davesPair;
    const heard: unknown[] = [];
    pair.onMessage('note', (data) => heard.push(data));
    pair.onRequest('ask', () => 'secret');
    const eve = await connect(fresh('e'));
    await eve.send(a, '~pair/note', 'forged');
    await expect(eve.request(a, '~pair/ask', 1)).rejects.toMatchObject({ code: 'no_handler' });
    await far.send('note', 'real', { delivered: true });
    expect(heard).toEqual(['real']);
  });
});

test('a node killed with -9 under a pair: the partner is told within the lease, and both are free again', async () => {
  // Its sessions and members are in the directory for half a minute yet: only the pair's own lease tells.
  const deployment = await deploy('redis', { PAIR_LEASE_MS: String(LEASE_MS), WORKER_LEASE_MS: '30000' });
  const [here, there] = deployment.gateways;
  if (here === undefined || there === undefined) throw new Error('no deployment');
  const clients: Client[] = [];
  const connect = async (gateway: GatewayProcess, name: string): Promise<Client> => {
    const client = new Client(gateway.url, { token: tokenOf(name), backoff: { minMs: 20, maxMs: 100 } });
    clients.push(client);
    await client.connect();
    return client;
  };
  try {
    const alice = await connect(here, 'alice');
    // It knows only the node that dies.
    const bob = await connect(there, 'bob');
    const theirs = taken(bob);
    const pair = await alice.pair('bob');
    await theirs;
    await expect((await connect(here, 'eve')).pair('bob')).rejects.toMatchObject({ code: 'busy' });
    for (const { pid } of await there.workers()) process.kill(pid, 'SIGKILL');
    there.process.kill('SIGKILL');
    await expect(pair.closed).resolves.toEqual({ code: 'partner_gone' });
    // Both at once: each of them is in a pair with somebody else.
    const carol = await connect(here, 'carol');
    await carol.onPair(() => () => undefined);
    const bobAgain = await connect(here, 'bob');
    const dora = await connect(here, 'dora');
    await dora.onPair(() => () => undefined);
    const [first, second] = await Promise.all([alice.pair('carol'), bobAgain.pair('dora')]);
    expect([first.partner.client, second.partner.client]).toEqual(['carol', 'dora']);
  } finally {
    await Promise.all(clients.map((client) => client.close()));
    await deployment.stop();
  }
}, 60_000);
