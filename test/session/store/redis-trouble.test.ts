// The store when Redis hangs, dies, forgets, or holds what is none of ours.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { Redis } from 'ioredis';
import { EvictionError } from '../../../src/session/store/eviction-policy.js';
import { RedisStore } from '../../../src/session/store/redis-store.js';
import { type RedisServer, startRedis } from '../../redis-server.js';
import { type RedisHarness, startRedisHarness, until } from './redis-harness.js';
import { appendRequest, attach, attachRequest, client, inbox, room, SETTINGS, W1, W2 } from './fixture.js';
import { steadySender } from './steady-sender.js';

const ROOMY = { ...SETTINGS, offlineTtlMs: 60_000, workerLeaseMs: 60_000, resumeWindowMs: 60_000 };
/** Two stores with two connections each, and the test's own. */
const CONNECTIONS_OF_HARNESS = 5;

/** What a call ended with, and after how long. */
async function outcome(call: Promise<unknown>): Promise<{ code: string; ms: number }> {
  const started = performance.now();
  const code = await call.then(
    () => 'done',
    (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : String(error)),
  );
  return { code, ms: performance.now() - started };
}

let server: RedisServer;
let harness: RedisHarness;
let admin: Redis;
beforeEach(async () => {
  server = await startRedis();
  harness = await startRedisHarness(server.url, ROOMY, 'trouble');
  admin = new Redis(server.url, { retryStrategy: () => 50 });
  admin.on('error', () => {});
});
afterEach(async () => {
  server.resume();
  admin.disconnect();
  await harness.close();
  await server.stop();
});

const doubts = (worker = W1) => harness.events(worker).filter(({ type }) => type === 'doubt').length;
const resets = (worker = W1) => harness.events(worker).filter(({ type }) => type === 'reset').length;

describe('RedisStore', () => {
  test('refuses calls at once when Redis hangs, and recovers by itself', async () => {
    const store = harness.store(W1);
    await attach(store, attachRequest('alice', W1));
    server.pause();
    const calls = Array.from({ length: 20 }, () => outcome(store.append(appendRequest(inbox('alice')))));
    // Some that wait behind the first ones.
    await new Promise(setImmediate);
    calls.push(outcome(store.count(room('lobby'))), outcome(store.locate(client('alice'), null)));
    for (const { code } of await Promise.all(calls))
      expect(['unknown_outcome', 'unavailable']).toContain(code);
    await until('the store knows', () => !store.ready);
    const late = await outcome(store.append(appendRequest(inbox('alice'))));
    expect(late.code).toBe('unavailable');
    server.resume();
    await until('the store is ready', () => store.ready);
    await expect(store.append(appendRequest(inbox('alice')))).resolves.toMatchObject({ status: 'accepted' });
    await harness.settle();
    expect(harness.events(W1).filter(({ type }) => type === 'entry').length).toBeGreaterThan(0);
  });

  test('holds a bounded number of bytes for a Redis that hangs, and refuses the rest at once', async () => {
    const store = harness.store(W1);
    await attach(store, attachRequest('alice', W1));
    server.pause();
    const body = Buffer.alloc(1024 * 1024);
    const codes: string[] = [];
    const calls = Array.from({ length: 100 }, async () => {
      codes.push((await outcome(store.append(appendRequest(inbox('alice'), { body })))).code);
    });
    await Promise.all(calls);
    // 64 MiB may wait: all others were refused before the first was given up.
    expect(codes.indexOf('unknown_outcome')).toBe(36);
  });

  test('tells a reset and hears its channels again when Redis was killed and restarted', async () => {
    const store = harness.store(W1);
    const old = await attach(store, attachRequest('alice', W1));
    await server.stop();
    await until('the store knows', () => !store.ready && !harness.store(W2).ready);
    expect((await outcome(store.append(appendRequest(inbox('alice'))))).code).toBe('unavailable');
    server = await startRedis(server.port);
    await until('both are ready', () => store.ready && harness.store(W2).ready);
    expect([resets(W1), resets(W2)]).toEqual([1, 1]);
    expect([doubts(W1), doubts(W2)]).toEqual([1, 1]);
    // The sessions are lost with the memory of Redis: whoever still holds one is told.
    await store.renew(W1, [{ client: old.client, session: old.session, generation: 1 }]);
    await harness.settle();
    expect(harness.events(W1)).toContainEqual({
      type: 'fence',
      client: 'alice',
      session: old.session,
      generation: 1,
      code: 'session_ended_elsewhere',
    });
    await attach(store, attachRequest('alice', W1));
    await harness.store(W2).append(appendRequest(inbox('alice')));
    await harness.settle();
    expect(harness.events(W1).at(-1)).toMatchObject({ type: 'entry' });
  });

  test('tells later of a connection that ended while Redis was away', async () => {
    const store = harness.store(W1);
    const ref = await attach(store, attachRequest('alice', W1));
    server.pause();
    const calls = [outcome(store.detach({ client: ref.client, session: ref.session, generation: 1 }))];
    expect((await Promise.all(calls))[0]?.code).toBe('unknown_outcome');
    await until('the store knows', () => !store.ready);
    server.resume();
    await until('the store is ready', () => store.ready);
    await store.renew(W1, []);
    await expect(store.locate(client('alice'), null)).resolves.toMatchObject([{ connected: false }]);
  });

  test('connects a session again that was taken for lost', async () => {
    const store = harness.store(W1);
    const { session } = await attach(store, attachRequest('alice', W1));
    const ref = { client: client('alice'), session, generation: 1 };
    await store.join({ ...ref, room: room('lobby'), worker: W1, roomsLimit: 9 });
    await store.renew(W1, []);
    await harness.store(W2).retire(W1);
    await expect(store.locate(ref.client, null)).resolves.toMatchObject([{ connected: false }]);
    await store.renew(W1, [ref]);
    expect(resets()).toBe(1);
    await expect(store.locate(ref.client, null)).resolves.toMatchObject([{ connected: true }]);
    await store.append(appendRequest({ kind: 'room', room: room('lobby') }));
    await harness.settle();
    expect(harness.events(W1).at(-1)).toMatchObject({ type: 'entry' });
    expect(harness.events(W1).filter(({ type }) => type === 'presence')).toHaveLength(1);
  });

  test('fences a session whose newer connection it missed', async () => {
    const first = await attach(harness.store(W1), attachRequest('alice', W1));
    await attach(
      harness.store(W2),
      attachRequest('alice', W2, { resume: { session: first.session, keyHash: 'key-1' } }),
    );
    await harness.settle();
    harness.events(W1).length = 0;
    await harness.store(W1).renew(W1, [{ client: first.client, session: first.session, generation: 1 }]);
    await harness.settle();
    expect(harness.events(W1)).toMatchObject([{ type: 'fence', generation: 1, code: 'superseded' }]);
  });

  test('works on when the server forgot the scripts', async () => {
    const store = harness.store(W1);
    await attach(store, attachRequest('alice', W1));
    await admin.script('FLUSH');
    const calls = Array.from({ length: 5 }, () => store.append(appendRequest(inbox('alice'))));
    for (const result of await Promise.all(calls)) expect(result.status).toBe('accepted');
  });

  test('counts what is no event, and stays', async () => {
    const [channel = ''] = (await admin.pubsub('CHANNELS', `trouble:*:to:${W1}`)) as string[];
    const garbage = ['', '\n', 'x', '{}\n', 'null\n', '[]\nx', '{"type":"entry"}\n', '{"type":"reset"}\n'];
    garbage.push('{"type":"fence","client":"a","session":"b","generation":1,"code":"superseded"}\n');
    garbage.push(
      '{"type":"presence","room":"r","client":"a","change":"x","count":1}\n',
      '{"__proto__":1,"type":"x"}\n',
    );
    for (const text of garbage) await admin.publish(channel, text);
    await admin.publish(channel, Buffer.from([0xff, 0x0a, 0x00]));
    await harness.settle();
    expect(harness.counted.filter((kind) => kind === 'bad_message')).toHaveLength(garbage.length + 1);
    expect(harness.events(W1)).toEqual([]);
  });

  test('refuses what needs a key of a wrong type, and does all the rest', async () => {
    const store = harness.store(W1);
    const bad = await attach(store, attachRequest('alice', W1));
    const ref = { client: bad.client, session: bad.session, generation: 1 };
    const other = await attach(store, attachRequest('bob', W1));
    const [key = ''] = await admin.keys(`trouble:{*}:s:${bad.session}`);
    for (const session of [ref, { client: other.client, session: other.session, generation: 1 }])
      await store.detach(session);
    await admin.multi().del(key).set(key, 'text', 'PX', 60_000).exec();
    expect((await outcome(store.end(ref))).code).toBe('unavailable');
    expect((await outcome(store.locate(client('alice'), null))).code).toBe('unavailable');
    await harness.advance(SETTINGS.presenceGraceMs);
    expect((await outcome(harness.sweep())).code).toBe('unavailable');
    await expect(store.online(client('bob'))).resolves.toBe(false);
  });

  test('takes nobody for dead when Redis was away for all', async () => {
    const short = await startRedisHarness(server.url, { ...SETTINGS, workerLeaseMs: 300 }, 'tlease');
    try {
      for (const worker of [W1, W2]) await short.store(worker).renew(worker, []);
      await attach(short.store(W2), attachRequest('alice', W2));
      await short.advance(400);
      await short.sweep();
      const places = () => short.store(W1).locate(client('alice'), null);
      await expect(places()).resolves.toMatchObject([{ connected: true }]);
      // The first lives, the second stays away.
      await until('the second counts as dead', async () => {
        await short.store(W1).renew(W1, []);
        await short.sweep();
        return (await places())[0]?.connected === false;
      });
    } finally {
      await short.close();
    }
  });

  test('warns when Redis may evict what it accepted, or refuses to start', async () => {
    expect(harness.warnings).toEqual([]);
    await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
    const evicting = await startRedisHarness(server.url, SETTINGS, 'tevict');
    await evicting.close();
    expect(evicting.warnings[0]).toContain('noeviction');
    const refused = RedisStore.connect({
      url: server.url,
      prefix: 'trefused',
      worker: W1,
      settings: SETTINGS,
      requireNoEviction: true,
      listener: () => undefined,
      log: { warn: () => undefined, error: () => undefined },
      count: () => undefined,
    });
    await expect(refused).rejects.toBeInstanceOf(EvictionError);
    await until('its connections are closed', async () => {
      const clients = String(await admin.client('LIST'))
        .trim()
        .split('\n');
      return clients.length === 1 + CONNECTIONS_OF_HARNESS;
    });
  });

  test('reads on when subscribers are cut off under load', async () => {
    const store = harness.store(W2);
    await attach(harness.store(W1), attachRequest('alice', W1));
    const sender = steadySender(store, inbox('alice'), 'bob');
    sender.run();
    for (let cut = 1; cut <= 3; cut++) {
      await until('some were sent', () => sender.accepted > cut * 50);
      const before = resets();
      await admin.client('KILL', 'TYPE', 'pubsub');
      await until('a reset was told', () => resets() > before);
      const heard = harness.events(W1).length;
      await until('events arrive', () => harness.events(W1).length > heard + 20);
    }
    await sender.stop();
    // Nobody's calls are refused because a listener was lost.
    expect(sender.failures.size).toBe(0);
    expect([doubts(W1), doubts(W2)]).toEqual([0, 0]);
  });

  test('executes nothing twice that was given up while Redis hung', async () => {
    const store = harness.store(W2);
    const senders = Array.from({ length: 10 }, (_, i) => steadySender(store, inbox('alice'), `s${i}`));
    await attach(harness.store(W1), attachRequest('alice', W1));
    for (const sender of senders) sender.run();
    await until('all send', () => senders.every(({ accepted }) => accepted > 0));
    server.pause();
    await until('calls were given up', () =>
      senders.every(({ failures }) => failures.has('unknown_outcome')),
    );
    await until('calls are refused', () => senders.every(({ failures }) => failures.has('unavailable')));
    server.resume();
    const before = senders.map(({ accepted }) => accepted);
    await until('all go on', () => senders.every(({ accepted }, i) => accepted > (before[i] ?? 0)));
    for (const sender of senders) await sender.stop();
    const page = await store.read({ channel: inbox('alice'), from: { last: 5 }, limit: 5 });
    expect(page.status === 'entries' && page.position).toMatch(
      new RegExp(`:${senders.reduce((sum, { accepted }) => sum + accepted, 0)}-`),
    );
  });

  test('leaves a listener that hears nothing although its connection lives', async () => {
    const detached = await startRedis();
    // A name whose address changes: who connects later gets elsewhere.
    let port = server.port;
    const sockets = new Set<Socket>();
    const name = createServer((inside) => {
      const outside = connect(port, '127.0.0.1');
      for (const socket of [inside, outside]) {
        sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          inside.destroy();
          outside.destroy();
        });
      }
      inside.pipe(outside).pipe(inside);
    });
    name.listen(0, '127.0.0.1');
    await once(name, 'listening');
    const address = name.address();
    const url = `redis://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
    const zombie = await startRedisHarness(url, ROOMY, 'tzombie');
    const strange = new Redis(detached.url);
    try {
      await attach(zombie.store(W1), attachRequest('alice', W1));
      port = detached.port;
      await admin.client('KILL', 'TYPE', 'pubsub');
      await until('both listen to the wrong server', async () => {
        const clients = String(await strange.call('CLIENT', 'LIST', 'TYPE', 'pubsub'));
        return clients.trim().split('\n').length === 2;
      });
      port = server.port;
      const events = zombie.events(W1);
      const before = events.filter(({ type }) => type === 'reset').length;
      await zombie.store(W2).append(appendRequest(inbox('alice')));
      await until('a reset was told', () => events.filter(({ type }) => type === 'reset').length > before);
      expect(zombie.counted).toContain('probe');
      expect(events.filter(({ type }) => type === 'entry')).toEqual([]);
      await zombie.store(W2).append(appendRequest(inbox('alice')));
      await until('events arrive', () => events.some(({ type }) => type === 'entry'));
    } finally {
      await zombie.close();
      strange.disconnect();
      name.close();
      for (const socket of sockets) socket.destroy();
      await detached.stop();
    }
  });
});
