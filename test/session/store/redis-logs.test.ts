// Logs in a Redis that loses, forgets, is full, or holds what somebody else wrote.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import type { Channel, ReadQuery, SessionRef, Store } from '../../../src/session/store/store.js';
import { type RedisServer, startRedis } from '../../redis-server.js';
import {
  append,
  appendRequest,
  attach,
  attachRequest,
  bodies,
  client,
  inbox,
  newSession,
  ofType,
  refOf,
  roomLog,
  SETTINGS,
  W1,
  W2,
} from './fixture.js';
import { type RedisHarness, startRedisHarness } from './redis-harness.js';

const LONG = { ...SETTINGS, workerLeaseMs: 60_000, resumeWindowMs: 60_000 };
const LOG = roomLog('r');

let server: RedisServer;
let admin: Redis;
let harness: RedisHarness;
let store: Store;
let me: SessionRef;
beforeAll(async () => {
  server = await startRedis(undefined, ['--enable-debug-command', 'yes']);
  admin = new Redis(server.url);
});
afterAll(async () => {
  admin.disconnect();
  await server.stop();
});
beforeEach(async () => {
  harness = await startRedisHarness(server.url, LONG);
  store = harness.store(W1);
  me = refOf(await attach(store, attachRequest('sender', W1)));
});
afterEach(() => harness.close());

const send = (text: string, seq: number | null = null, channel: Channel = LOG) =>
  append(store, appendRequest(channel, { sender: me, seq, body: Buffer.from(text) }));
const fill = async (count: number, from = 1) => {
  const ids: string[] = [];
  for (let i = from; i < from + count; i++) ids.push(await send(`${i}`, i));
  return ids;
};
const read = (from: ReadQuery['from'] | string | null | undefined, channel: Channel = LOG) =>
  harness.store(W2).read({
    channel,
    from: typeof from === 'object' && from !== null ? from : { after: from ?? null },
    limit: 99,
  });

/** Every key of the one log that the test has filled. */
async function keyOf(kind: 'stream' | 'meta', name = 'r'): Promise<string> {
  const keys = await admin.keys(`*:l:*:${name}${kind === 'meta' ? ':m' : ''}`);
  const [key] = keys;
  if (key === undefined || keys.length > 1) throw new Error(`${keys.length} keys`);
  return key;
}
const placeOf = (id: string | undefined) => (id ?? '').split(':')[1] ?? '';
const epochOf = (id: string | undefined) => (id ?? '').split(':')[0];

/** The log as it was before `change`, as a replica that was behind has it when it becomes the master. */
async function losing(change: () => Promise<unknown>): Promise<void> {
  const keys = [await keyOf('stream'), await keyOf('meta')];
  const dumps = await Promise.all(keys.map((key) => admin.dumpBuffer(key)));
  await change();
  for (const [i, key] of keys.entries()) await admin.restore(key, 60_000, dumps[i] ?? '', 'REPLACE');
}

describe('a log of RedisStore', () => {
  test('is lost to who knows entries that a failover lost, before and after others took their places', async () => {
    const ids = await fill(3);
    let lost: string[] = [];
    await losing(async () => {
      lost = await fill(2, 4);
    });
    expect(await read(ids[2])).toMatchObject({ status: 'entries', entries: [], position: ids[2] });
    for (const id of lost) expect(await read(id)).toEqual({ status: 'lost', position: ids[2] });
    // The sender's numbers went with them: it is told to send them again.
    const again = appendRequest(LOG, { sender: me, seq: 6 });
    expect(await store.append(again)).toEqual({ status: 'out_of_order', expected: 4 });
    const refilled = await fill(3, 4);
    for (const id of lost) expect(await read(id)).toEqual({ status: 'lost', position: refilled[2] });
    expect(bodies(await read(ids[0]))).toEqual(['2', '3', '4', '5', '6']);
  });

  test('counts as missing what somebody cut off at its end, in its middle and at its beginning', async () => {
    const ids = await fill(5);
    const key = await keyOf('stream');
    await admin.xdel(key, placeOf(ids[4]));
    expect(await read(ids[0])).toMatchObject({ missing: 0, more: true, position: ids[3] });
    expect(await read(ids[3])).toEqual({
      status: 'entries',
      missing: 1,
      entries: [],
      more: false,
      position: ids[4],
    });
    await admin.xdel(key, placeOf(ids[2]));
    expect(bodies(await read(ids[0]))).toEqual(['2']);
    expect(await read(ids[1])).toMatchObject({ missing: 1, entries: [{ id: ids[3] }], more: true });
    await admin.xdel(key, placeOf(ids[0]), placeOf(ids[1]));
    expect(await read(null)).toMatchObject({ missing: 3, entries: [{ id: ids[3] }] });
    const next = await send('6', 6);
    expect(await read(ids[4])).toMatchObject({ missing: 0, entries: [{ id: next }], position: next });
    expect(await read({ last: 9 })).toMatchObject({ missing: 0, entries: [{ id: ids[3] }], more: true });
  });

  test('passes over entries that are none of ours, and counts one in place of ours', async () => {
    const ids = await fill(2);
    const key = await keyOf('stream');
    await admin.del(key);
    const [one = '', two = ''] = ids.map(placeOf);
    await admin.xadd(key, one, 'x', 'not a number', 'what', 'ever');
    await admin.xadd(key, two, 't', '2', 'b', 'ours');
    expect(await read(null)).toMatchObject({ missing: 1, entries: [{ id: ids[1] }], position: ids[1] });
    // Somebody else's beside ours, and behind the last: never seen.
    await admin.xadd(key, `2-${2 ** 32}`, 'b', 'theirs');
    await admin.xadd(key, '3-1', 'b', 'theirs');
    expect(bodies(await read(ids[0]))).toEqual(['ours']);
    expect(await read({ last: 9 })).toMatchObject({ position: ids[1] });
    expect(epochOf(await send('3', 3))).toBe(epochOf(ids[0]));
    expect(bodies(await read(ids[1]))).toEqual(['theirs']);
  });

  test('trims past entries that are none of ours', async () => {
    await send('1');
    const key = await keyOf('stream');
    await admin.del(key);
    await admin.xadd(key, '1-0', 'x', 'y');
    const big = [];
    for (let i = 0; i < 4; i++) big.push(await send('x'.repeat(400)));
    expect(await read({ last: 9 })).toMatchObject({ entries: [{ id: big[2] }, { id: big[3] }] });
    expect(await admin.xlen(key)).toBe(2);
  });

  test('begins anew behind an id that nobody can pass', async () => {
    const ids = await fill(2);
    const key = await keyOf('stream');
    for (const id of ['99-1', '*', '18446744073709551615-18446744073709551615']) {
      const before = await send('before');
      await admin.xadd(key, id, 'b', 'theirs');
      const after = await send('after');
      expect(epochOf(after)).not.toBe(epochOf(before));
      expect(placeOf(after)).toMatch(/^1-/);
      expect(await read(before)).toEqual({ status: 'lost', position: after });
      expect(bodies(await read(null))).toEqual(['after']);
    }
    expect(await read(ids[1])).toMatchObject({ status: 'lost' });
    // The numbers of other senders went with the log.
    const other = refOf(await attach(store, attachRequest('other', W1)));
    expect(await store.append(appendRequest(LOG, { sender: other, seq: 3 }))).toMatchObject({ expected: 1 });
    await send('3', 3);
  });

  test.each([
    ['no state', async (meta: string) => admin.hdel(meta, 'state')],
    ['a state of another kind', async (meta: string) => admin.hset(meta, 'state', 'what\0ever\0')],
    [
      'a state without numbers',
      async (meta: string) => admin.hset(meta, 'state', 'e\0a\0b\0c\0d\0e\0f\0g\0'),
    ],
    [
      'a place past the last',
      async (meta: string) => admin.hset(meta, 'state', 'e\x001e15\x001\x000\x000\x000\x000\x000\0'),
    ],
    [
      'an epoch that is none',
      async (meta: string) => admin.hset(meta, 'state', 'e e\x002\x001\x000\x000\x000\x000\x000\0'),
    ],
    [
      'half a place',
      async (meta: string) => admin.hset(meta, 'state', 'e\x002.5\x001\x000\x000\x000\x000\x000\0'),
    ],
    [
      'not a number',
      async (meta: string) => admin.hset(meta, 'state', 'e\x00nan\x001\x000\x00nan\x000\x000\x000\0'),
    ],
    ['a text in place of the hash', async (meta: string) => admin.set(meta, 'text', 'PX', 60_000)],
    ['no hash', async (meta: string) => admin.del(meta)],
  ])('begins anew where somebody left %s, and deletes what was there', async (_what, spoil) => {
    const ids = await fill(3);
    await spoil(await keyOf('meta'));
    expect(await read(ids[1])).toEqual({ status: 'lost', position: null });
    expect(await read(null)).toMatchObject({ entries: [], missing: 0, position: null });
    const fresh = await fill(2);
    expect(epochOf(fresh[0])).not.toBe(epochOf(ids[0]));
    expect(bodies(await read(null))).toEqual(['1', '2']);
    for (const id of ids) expect(await read(id)).toEqual({ status: 'lost', position: fresh[1] });
    await harness.advance(0);
  });

  test('begins anew where its stream became a text', async () => {
    const ids = await fill(2);
    await admin.set(await keyOf('stream'), 'text', 'PX', 60_000);
    const fresh = await send('fresh');
    expect(await read(ids[0])).toEqual({ status: 'lost', position: fresh });
    await harness.advance(0);
  });

  test('goes on where only its entries were evicted', async () => {
    const ids = await fill(3);
    await admin.del(await keyOf('stream'));
    expect(await read(ids[0])).toMatchObject({ missing: 2, entries: [], position: ids[2] });
    const next = await send('4', 4);
    expect(await read(ids[0])).toMatchObject({ missing: 2, entries: [{ id: next }], position: next });
    // The new stream does not live for ever.
    await harness.advance(0);
  });

  test('forgets what somebody wrote of senders', async () => {
    await fill(2);
    const meta = await keyOf('meta');
    for (const value of ['', 'text', '7:7:7', 'a\0b\0c\0', '\0\0\0']) {
      await admin.hset(meta, me.session, value);
      const result = await store.append(appendRequest(LOG, { sender: me, seq: 2, first: 2 }));
      expect(result).toMatchObject({ status: 'accepted' });
    }
    await admin.hset(meta, 'kept', 'garbage');
    await expect(send('3', 3)).resolves.toMatch(/:8-/);
  });

  test('keeps its other readers when somebody spoilt one session or one inbox', async () => {
    const alice = await attach(store, attachRequest('alice', W1));
    const bob = await attach(store, attachRequest('bob', W1));
    const [sessions = ''] = await admin.keys('*:cs:alice');
    const [record = ''] = await admin.keys(`*:s:${bob.session}`);
    await admin.set(sessions, 'text', 'PX', 60_000);
    await admin.set(record, 'text', 'PX', 60_000);
    const batch = [inbox('alice'), inbox('bob'), LOG].map((channel) =>
      store.append(appendRequest(channel, { sender: me })).then(
        ({ status }) => status,
        (error: unknown) => error,
      ),
    );
    const results = await Promise.all(batch);
    expect(results.slice(1)).toEqual(['accepted', 'accepted']);
    expect(results[0]).toMatchObject({ code: 'unavailable' });
    await harness.settle();
    expect(ofType(harness.events(W1), 'entry')).toHaveLength(1);
    await admin.del(sessions);
    await expect(attach(store, attachRequest('alice', W1))).resolves.toMatchObject({ resumed: false });
    expect(alice.generation).toBe(1);
  });

  test('is absent for a client whose only record was evicted, once that is noticed', async () => {
    const bob = await attach(store, attachRequest('bob', W1));
    await admin.del(...(await admin.keys(`*:s:${bob.session}`)));
    await store.renew(W1, [refOf(bob)]);
    await store.detach(refOf(bob));
    const result = await store.append(appendRequest(inbox('bob'), { sender: me }));
    expect(result).toEqual({ status: 'absent' });
  });

  test('takes and gives entries when the server forgets the scripts in the middle', async () => {
    const calls: Promise<unknown>[] = [];
    for (let i = 1; i <= 200; i++) {
      calls.push(store.append(appendRequest(LOG, { sender: me, seq: i })));
      if (i % 50 === 0) await admin.script('FLUSH');
    }
    for (const result of await Promise.all(calls)) expect(result).toMatchObject({ status: 'accepted' });
    await admin.script('FLUSH');
    expect(await read({ last: 1 })).toMatchObject({
      status: 'entries',
      entries: [{ body: Buffer.from('body') }],
    });
  });
});

describe('a batch of appends', () => {
  test('keeps the order of each sender, in one call for all channels', async () => {
    const others = [me];
    for (let i = 0; i < 3; i++) others.push(refOf(await attach(store, attachRequest(`s${i}`, W1))));
    const watcher = refOf(await attach(harness.store(W2), attachRequest('watcher', W2)));
    const channels = [LOG, roomLog('q'), inbox('watcher')];
    await admin.config('RESETSTAT');
    const calls = [];
    for (let seq = 1; seq <= 40; seq++) {
      for (const sender of others) {
        for (const channel of channels) {
          const body = Buffer.from(`${sender.client} ${seq}`);
          calls.push(store.append(appendRequest(channel, { sender, seq, body })));
        }
      }
    }
    for (const result of await Promise.all(calls)) expect(result).toMatchObject({ status: 'accepted' });
    await harness.settle();
    const got = ofType(harness.events(W2), 'entry');
    expect(got.map(({ entry }) => Number(/:(\d+)-/.exec(entry.id ?? '')?.[1]))).toEqual(
      Array.from({ length: 160 }, (_, i) => i + 1),
    );
    for (const { client: name } of others) {
      const own = got
        .map(({ entry }) => Buffer.from(entry.body).toString())
        .filter((text) => text.startsWith(`${name} `));
      expect(own).toEqual(Array.from({ length: 40 }, (_, i) => `${name} ${i + 1}`));
    }
    const stats = await admin.info('commandstats');
    const scripts = /cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1];
    expect(Number(scripts)).toBeLessThan(20);
    expect(watcher.generation).toBe(1);
  });

  test('answers each entry by itself', async () => {
    const alice = await attach(store, attachRequest('alice', W2));
    const other = refOf(await attach(store, attachRequest('other', W1)));
    const requests = [
      appendRequest(inbox('alice'), { sender: me, seq: 1 }),
      appendRequest(inbox('nobody'), { sender: me, seq: 1 }),
      appendRequest(inbox('alice'), { sender: me, seq: 3 }),
      appendRequest(inbox('alice'), { sender: other, seq: 0 }),
      appendRequest(inbox('alice'), { sender: me, seq: 1 }),
      appendRequest(inbox('alice'), { sender: { ...me, generation: 2 }, seq: 2 }),
      appendRequest(inbox('alice'), { sender: me, seq: 3 }),
      appendRequest(inbox('nobody'), { sender: me, seq: 1, keep: true }),
      appendRequest(inbox('nobody'), { sender: me, seq: 2, keep: true }),
      appendRequest(inbox('alice'), {
        sender: other,
        only: alice.session,
        ttlMs: 60_000,
        skip: ['x', 'y#z'],
      }),
      appendRequest(inbox('alice'), { sender: other, only: newSession() }),
    ];
    const results = await Promise.all(requests.map((request) => store.append(request)));
    expect(results).toMatchObject([
      { status: 'accepted' },
      { status: 'absent' },
      { status: 'out_of_order', expected: 2 },
      { status: 'accepted', id: null },
      { status: 'duplicate' },
      { status: 'accepted' },
      { status: 'superseded' },
      { status: 'accepted' },
      { status: 'accepted' },
      { status: 'accepted' },
      { status: 'absent' },
    ]);
    await harness.settle();
    expect(ofType(harness.events(W2), 'entry')).toMatchObject([
      { entry: { only: null, skip: [] } },
      { entry: { id: null } },
      { entry: { skip: [] } },
      { entry: { only: alice.session, skip: ['x', 'y#z'] } },
    ]);
    const kept = await store.attach(attachRequest('nobody', W1));
    expect(kept).toMatchObject({ kept: { after: null, last: expect.stringMatching(/:2-/) } });
    expect(await read(null, inbox('nobody'))).toMatchObject({ entries: [{ kept: true }, { kept: true }] });
    expect(client('alice')).toBe('alice');
  });
});

describe('RedisStore without memory', () => {
  test('refuses before anything is written, and leaves no hole', async () => {
    const full = await startRedis(undefined, ['--maxmemory', '100mb']);
    const own = new Redis(full.url);
    const other = await startRedisHarness(full.url, LONG, 'toom');
    try {
      const target = other.store(W1);
      const sender = refOf(await attach(target, attachRequest('sender', W1)));
      await attach(other.store(W2), attachRequest('alice', W2));
      const entry = (channel: Channel, seq: number | null) => appendRequest(channel, { sender, seq });
      const ids = [];
      for (const seq of [1, 2]) ids.push(await append(target, entry(inbox('alice'), seq)));
      await own.config('SET', 'maxmemory', '1');
      const refused = [entry(inbox('alice'), 3), entry(roomLog('fresh'), 1), entry(inbox('alice'), null)];
      const volatile = target.append(entry(inbox('alice'), 0));
      for (const result of await Promise.allSettled(refused.map((request) => target.append(request))))
        expect(result).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } });
      await expect(volatile).resolves.toMatchObject({ status: 'accepted', id: null });
      await expect(target.append(entry(inbox('alice'), 2))).resolves.toEqual({ status: 'duplicate' });
      await own.config('SET', 'maxmemory', '100mb');
      const next = await append(target, entry(inbox('alice'), 3));
      const found = await target.read({ channel: inbox('alice'), from: { after: null }, limit: 9 });
      expect(found).toMatchObject({ missing: 0, entries: [...ids, next].map((id) => ({ id })) });
      expect(next).toMatch(/:3-/);
      await expect(append(target, entry(roomLog('fresh'), 1))).resolves.toMatch(/:1-/);
      await other.settle();
      expect(ofType(other.events(W2), 'entry')).toHaveLength(4);
    } finally {
      await other.close();
      own.disconnect();
      await full.stop();
    }
  });
});
