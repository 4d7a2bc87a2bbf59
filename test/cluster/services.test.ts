// Services: who provides, who calls, and topics, between every pair of places; and providers that die in the middle of a call.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Client, type ClientOptions } from '../../src/client/index.js';
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
  ['websocket json', 'websocket msgpack'],
  ['sse msgpack', 'poll json'],
  ['poll msgpack', 'sse json'],
  ['tcp msgpack', 'websocket json'],
];

const RESUME_WINDOW_MS = 2_000;

/** Until a call finds a provider with room: then nobody answers it. */
async function callPatiently(call: () => Promise<unknown>): Promise<void> {
  await until(async () => (await codeOf(call())) === 'timeout');
}

describe.each(['embedded', 'redis'] as const)('%s store', (store) => {
  let deployment: Deployment;
  const open: Client[] = [];
  beforeAll(async () => {
    deployment = await deploy(store, {
      PRESENCE_GRACE_MS: '500',
      WORKER_LEASE_MS: '2000',
      REQUESTS_PENDING_LIMIT: '20',
      CALLS_SERVED_LIMIT: '30',
      RESUME_WINDOW_MS: String(RESUME_WINDOW_MS),
    });
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
    const client = new Client(home().url, {
      token: tokenOf(fresh(name), perm),
      backoff: { minMs: 20, maxMs: 100 },
      ...options,
    });
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

      test('call() is answered, rejected by a failing handler, timed out, and refused where nobody provides', async () => {
        const name = fresh('resize');
        const asked: unknown[] = [];
        await expect(alice.client.call(name, 1)).rejects.toMatchObject({ code: 'not_found' });
        const remove = bob.client.on('error', () => undefined);
        const withdraw = await bob.client.provide(name, (data, from, info) => {
          asked.push([data, from, info.event]);
          if (data === 'fail') throw new Error('no');
          return data === 'wait' ? new Promise(() => undefined) : { got: data };
        });
        await expect(alice.client.call(name, [1, 'ü', new Uint8Array(3)])).resolves.toEqual({
          got: [1, 'ü', new Uint8Array(3)],
        });
        const { client, session } = alice.place;
        expect(asked).toEqual([[[1, 'ü', new Uint8Array(3)], { client, session }, name]]);
        await expect(alice.client.call(name, 'fail')).rejects.toMatchObject({ code: 'rejected' });
        await expect(alice.client.call(name, 'wait', { timeoutMs: 300 })).rejects.toMatchObject({
          code: 'timeout',
        });
        remove();
        void withdraw();
      });

      test('what withdraws answers the calls that run, and takes no more', async () => {
        const name = fresh('slow');
        let finish: ((result: string) => void) | null = null;
        const withdraw = await bob.client.provide(name, () => new Promise((resolve) => (finish = resolve)));
        const running = alice.client.call(name, 1);
        const end = await until(() => finish);
        const withdrawn = withdraw();
        await expect(alice.client.call(name, 2)).rejects.toMatchObject({ code: 'busy' });
        end('done');
        await expect(running).resolves.toBe('done');
        await withdrawn;
        await expect(alice.client.call(name, 3)).rejects.toMatchObject({ code: 'not_found' });
      });

      test('a topic is written by the provider alone, and who is in it hears when the provider goes and comes', async () => {
        const name = fresh('prices');
        const heard: unknown[] = [];
        const owners: boolean[] = [];
        const topic = alice.client.topic(name, 'eur');
        const stop = await alice.client.onOwner(name, (present) => owners.push(present));
        topic.onMessage('rate', (data) => heard.push(data));
        await topic.join();
        await until(() => owners.length === 1);
        await expect(topic.publish('rate', 0)).rejects.toMatchObject({ code: 'forbidden' });
        await expect(bob.client.topic(name, 'eur').publish('rate', 0)).rejects.toMatchObject({
          code: 'forbidden',
        });
        const streaming = () => bob.client.topic(name, 'eur').openStream('rates');
        expect(await codeOf(streaming())).toBe('forbidden');
        const withdraw = await bob.client.provide(name, () => null);
        expect(await codeOf(streaming())).toBe('no_handler');
        await until(() => owners.length === 2);
        await bob.client.topic(name, 'eur').publish('rate', 1.1);
        await until(() => heard.length === 1);
        await withdraw();
        await until(() => owners.length === 3);
        expect([heard, owners]).toEqual([[1.1], [false, true, false]]);
        stop();
        await topic.leave();
      });
    });
  });

  test('several providers share the calls: one after the other in turn, and none goes to a busy one while another is idle', async () => {
    const name = fresh('shared');
    const taken = new Map<string, number>();
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    for (const who of ['one', 'two', 'three']) {
      const provider = await connect(who);
      await provider.provide(name, async (data) => {
        taken.set(who, (taken.get(who) ?? 0) + 1);
        if (data === 'hold') await held;
        return who;
      });
    }
    const alice = await connect('alice');
    for (let i = 0; i < 9; i++) await alice.call(name, i);
    expect([...taken.values()]).toEqual([3, 3, 3]);
    const holds = [alice.call(name, 'hold'), alice.call(name, 'hold')];
    await until(() => [...taken.values()].reduce((sum, calls) => sum + calls) === 11);
    const busy = [...taken].filter(([, calls]) => calls === 4).map(([who]) => who);
    expect(busy).toHaveLength(2);
    for (let i = 0; i < 10; i++) expect(busy).not.toContain(await alice.call(name, i));
    release();
    await Promise.all(holds);
  });

  test('a provider takes as many calls as it said, whoever calls; the others go elsewhere, or reject with busy', async () => {
    const name = fresh('narrow');
    const finish: (() => void)[] = [];
    for (const who of ['one', 'two']) {
      const provider = await connect(who);
      await provider.provide(name, () => new Promise<void>((resolve) => finish.push(resolve)), {
        concurrency: 2,
      });
    }
    const [alice, bob] = [await connect('alice'), await connect('bob')];
    const calls = Array.from({ length: 4 }, (_, i) => (i % 2 === 0 ? alice : bob).call(name, i));
    await until(() => finish.length === 4);
    await expect(alice.call(name, 5)).rejects.toMatchObject({ code: 'busy' });
    for (const end of finish) end();
    await Promise.all(calls);
  });

  test('the provider’s worker killed with -9: the call goes on where the provider comes back, executed once', async () => {
    const name = fresh('survivor');
    const options = { backoff: { minMs: 20, maxMs: 100 } };
    const alice = await connectWhere(home(), fresh('alice'), options, () => true);
    const bob = await connectWhere(
      home(),
      fresh('bob'),
      options,
      ({ worker }) => worker !== alice.place.worker,
    );
    open.push(alice.client, bob.client);
    let executed = 0;
    let finish = (_: string): void => undefined;
    await bob.client.provide(name, () => {
      executed++;
      return new Promise((resolve) => (finish = resolve));
    });
    const call = alice.client.call(name, 1, { timeoutMs: 20_000 });
    await until(() => executed === 1);
    const pid = (await home().workers()).find(({ id }) => id === bob.place.worker)?.pid ?? 0;
    const lost = lostBy(bob.client);
    process.kill(pid, 'SIGKILL');
    await lost;
    await until(() => bob.client.state === 'connected');
    // Answered on a connection that the call did not come by.
    finish('done');
    await expect(call).resolves.toBe('done');
    expect(executed).toBe(1);
    await expect(alice.client.call(name, 2, { timeoutMs: 300 })).rejects.toMatchObject({ code: 'timeout' });
    expect(executed).toBe(2);
  }, 60_000);

  test('a provider that goes in the middle of a call: provider_gone, or another one where the call is idempotent', async () => {
    const name = fresh('mortal');
    const sockets = new CuttableSockets(null);
    // It cannot come back.
    const mortal = await connect('mortal', '*', {
      WebSocket: sockets.WebSocket,
      backoff: { minMs: 60_000, maxMs: 60_000 },
    });
    let executed = 0;
    await mortal.provide(name, () => {
      executed++;
      return new Promise(() => undefined);
    });
    const alice = await connect('alice');
    const once = alice.call(name, 1, { timeoutMs: 20_000 });
    const twice = alice.call(name, 2, { timeoutMs: 20_000, idempotent: true });
    await until(() => executed === 2);
    const other = await connect('other');
    await other.provide(name, (data) => `other ${String(data)}`);
    sockets.cut(60_000);
    await expect(once).rejects.toMatchObject({ code: 'provider_gone' });
    await expect(twice).resolves.toBe('other 2');
    expect(executed).toBe(2);
  }, 60_000);

  test('close() of a provider ends its calls at once', async () => {
    const name = fresh('closing');
    const bob = await connect('bob');
    let asked = false;
    await bob.provide(name, () => {
      asked = true;
      return new Promise(() => undefined);
    });
    const alice = await connect('alice');
    const call = alice.call(name, 1, { timeoutMs: 60_000 });
    await until(() => asked);
    await bob.close();
    await expect(call).rejects.toMatchObject({ code: 'provider_gone' });
  });

  test('provide() goes on after a resume, and in a new session', async () => {
    const name = fresh('lasting');
    const sockets = new CuttableSockets(null);
    const bob = await connect('bob', '*', { WebSocket: sockets.WebSocket });
    await bob.provide(name, (data) => data);
    const alice = await connect('alice');
    for (let i = 0; i < 3; i++) {
      sockets.cut(0);
      await expect(alice.call(name, i, { idempotent: true })).resolves.toBe(i);
    }
    const lost: string[] = [];
    bob.on('stateLost', ({ previous }) => lost.push(previous));
    const { sessionId } = bob;
    sockets.cut(RESUME_WINDOW_MS + 1_500);
    await until(() => lost.length === 1);
    expect(lost).toEqual([sessionId]);
    await until(() => alice.call(name, 'again').catch(() => null));
    // Closed by the application it is over.
    await bob.close();
    expect(['not_found', 'provider_gone']).toContain(await codeOf(alice.call(name, 1)));
    await bob.connect();
    await expect(alice.call(name, 1)).rejects.toMatchObject({ code: 'not_found' });
    await bob.provide(name, () => 'anew');
    await expect(alice.call(name, 1)).resolves.toBe('anew');
  }, 60_000);

  test('permissions: to call and to provide are two, and none of them is that of rooms or messages', async () => {
    const name = fresh('guarded');
    const rooms = { join: ['*'], publish: ['*'], presence: ['*'] };
    const bob = await connect('bob', { services: { provide: [name] } });
    await bob.provide(name, () => 'ok');
    const nobody = await connect('nobody', { send: ['*'], rooms, list: ['*'], streams: ['*'] });
    await expect(nobody.call(name, 1)).rejects.toMatchObject({ code: 'not_found' });
    await expect(nobody.provide(name, () => 'mine')).rejects.toMatchObject({ code: 'forbidden' });
    await expect(nobody.room(`~${name}~`).join()).rejects.toMatchObject({ code: 'forbidden' });
    await expect(nobody.topic(name, 't').join()).rejects.toMatchObject({ code: 'forbidden' });
    await expect(nobody.topic(name, 't').publish('e', 1)).rejects.toMatchObject({ code: 'forbidden' });
    const caller = await connect('caller', { services: { call: [name] } });
    await expect(caller.call(name, 1)).resolves.toBe('ok');
    await caller.topic(name, 't').join();
    await expect(caller.provide(name, () => 'mine')).rejects.toMatchObject({ code: 'forbidden' });
    await expect(bob.room(`~${name}~`).publish('e', 1)).rejects.toMatchObject({ code: 'forbidden' });
  });

  test('calls that wait are bounded for each session, together with its requests', async () => {
    const name = fresh('flooded');
    const bob = await connect('bob');
    let asked = 0;
    await bob.provide(name, () => {
      asked++;
      return new Promise(() => undefined);
    });
    bob.onRequest('never', () => new Promise(() => undefined));
    const alice = await connect('alice');
    const codes = await Promise.all(
      Array.from({ length: 30 }, (_, i) =>
        codeOf(
          i % 2 === 0
            ? alice.call(name, i, { timeoutMs: 1_000 })
            : alice.request(bob.id ?? '', 'never', i, { timeoutMs: 1_000 }),
        ),
      ),
    );
    expect(codes.filter((code) => code === 'limit')).toHaveLength(10);
    expect(codes.filter((code) => code === 'timeout')).toHaveLength(20);
    expect(asked).toBe(10);
  });

  test('a provider never has more calls than the gateway’s limit for one session', async () => {
    const name = fresh('capped');
    const bob = await connect('bob');
    let asked = 0;
    await bob.provide(name, () => {
      asked++;
      return new Promise(() => undefined);
    });
    const [alice, carol, dave] = [await connect('alice'), await connect('carol'), await connect('dave')];
    const codes = await Promise.all(
      Array.from({ length: 45 }, (_, i) =>
        codeOf((i % 3 === 0 ? alice : i % 3 === 1 ? carol : dave).call(name, i, { timeoutMs: 6_000 })),
      ),
    );
    expect(asked).toBe(30);
    const counts = Object.fromEntries(
      [...new Set(codes)].map((code) => [code, codes.filter((c) => c === code).length]),
    );
    expect(counts).toEqual({ timeout: 30, busy: 15 });
    // Nobody waits for them any more: there is room again.
    await callPatiently(() => alice.call(name, 'again', { timeoutMs: 200 }));
  });

  test('bad names throw or reject, and a client provides a name once', async () => {
    const bob = await connect('bob');
    for (const name of ['', 'a~b', 'a b', 'x'.repeat(101)]) {
      await expect(bob.provide(name, () => 1)).rejects.toBeInstanceOf(TypeError);
      await expect(bob.call(name, 1)).rejects.toMatchObject({ code: 'bad_parameter' });
    }
    await bob.provide(fresh('x').padEnd(100, 'x'), () => 1);
    const name = fresh('twice');
    await bob.provide(name, () => 1);
    await expect(bob.provide(name, () => 2)).rejects.toBeInstanceOf(TypeError);
    await expect(bob.call(name, 1)).resolves.toBe(1);
  });
});

test('a node killed with -9: its provider is gone when the lease and the presence grace are over', async () => {
  const deployment = await deploy('redis', { PRESENCE_GRACE_MS: '300', WORKER_LEASE_MS: '1500' });
  const [here, there] = deployment.gateways;
  if (here === undefined || there === undefined) throw new Error('no deployment');
  const backoff = { minMs: 20, maxMs: 100 };
  const alice = new Client(here.url, { token: tokenOf('alice'), backoff });
  // It knows only the node that dies.
  const bob = new Client(there.url, { token: tokenOf('bob'), backoff });
  try {
    await Promise.all([alice.connect(), bob.connect()]);
    let asked = false;
    await bob.provide('mortal', () => {
      asked = true;
      return new Promise(() => undefined);
    });
    const owners: boolean[] = [];
    await alice.onOwner('mortal', (present) => owners.push(present));
    await alice.topic('mortal', 'news').join();
    await until(() => owners.length === 1);
    const call = alice.call('mortal', 1, { timeoutMs: 60_000 });
    await until(() => asked);
    for (const { pid } of await there.workers()) process.kill(pid, 'SIGKILL');
    there.process.kill('SIGKILL');
    await expect(call).rejects.toMatchObject({ code: 'provider_gone' });
    await until(() => owners.length === 2);
    expect(owners).toEqual([true, false]);
  } finally {
    await Promise.all([alice.close(), bob.close()]);
    await deployment.stop();
  }
}, 60_000);

test('a node killed with -9: calls go on to the other provider at once, long before the lease is over', async () => {
  const deployment = await deploy('redis', { WORKER_LEASE_MS: '30000', PRESENCE_GRACE_MS: '30000' });
  const [here, there] = deployment.gateways;
  if (here === undefined || there === undefined) throw new Error('no deployment');
  const backoff = { minMs: 20, maxMs: 100 };
  const alice = new Client(here.url, { token: tokenOf('alice'), backoff });
  const near = new Client(here.url, { token: tokenOf('near'), backoff });
  // It knows only the node that dies.
  const far = new Client(there.url, { token: tokenOf('far'), backoff });
  try {
    await Promise.all([alice, near, far].map((client) => client.connect()));
    await near.provide('where', () => 'near');
    await far.provide('where', () => 'far');
    const heard = new Set<unknown>();
    await until(async () => heard.add(await alice.call('where', 0)).size === 2);
    for (const { pid } of await there.workers()) process.kill(pid, 'SIGKILL');
    there.process.kill('SIGKILL');
    await until(() => far.state !== 'connected');
    // The directory names both for half a minute yet.
    for (let i = 0; i < 20; i++)
      await expect(alice.call('where', i, { timeoutMs: 10_000 })).resolves.toBe('near');
  } finally {
    await Promise.all([alice, near, far].map((client) => client.close()));
    await deployment.stop();
  }
}, 60_000);
