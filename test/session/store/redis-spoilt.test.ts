// Sessions and rooms in a Redis where somebody has edited single values: nobody is left deaf, and nothing fails for good.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import type { SessionRef, Store } from '../../../src/session/store/store.js';
import { type RedisServer, startRedis } from '../../redis-server.js';
import {
  appendRequest,
  attach,
  attachRequest,
  inbox,
  ofType,
  refOf,
  room,
  roomLog,
  SETTINGS,
  W1,
  W2,
} from './fixture.js';
import { type RedisHarness, startRedisHarness } from './redis-harness.js';

const RUBBISH = '\u0000rubbish-7';

let server: RedisServer;
let admin: Redis;
let harness: RedisHarness;
let store: Store;
let sender: SessionRef;
beforeAll(async () => {
  server = await startRedis();
  admin = new Redis(server.url);
});
afterAll(async () => {
  admin.disconnect();
  await server.stop();
});
beforeEach(async () => {
  await admin.flushall();
  harness = await startRedisHarness(server.url, {
    ...SETTINGS,
    resumeWindowMs: 60_000,
    workerLeaseMs: 60_000,
  });
  store = harness.store(W1);
  sender = refOf(await attach(store, attachRequest('sender', W1)));
});
afterEach(() => harness.close());

/** Sets every field of the one key that the pattern finds. */
async function spoil(pattern: string, value: string, only?: string): Promise<void> {
  const [key = ''] = await admin.keys(pattern);
  const fields = await admin.hkeys(key);
  expect(fields.length).toBeGreaterThan(0);
  for (const field of only === undefined ? fields : [only]) await admin.hset(key, field, value);
}

async function heardBy(worker: typeof W1, channel = roomLog('r')): Promise<number> {
  const before = ofType(harness.events(worker), 'entry').length;
  await expect(store.append(appendRequest(channel, { sender }))).resolves.toMatchObject({
    status: 'accepted',
  });
  await harness.settle();
  return ofType(harness.events(worker), 'entry').length - before;
}

const enter = async (name: string, worker: typeof W1): Promise<SessionRef> => {
  const ref = refOf(await attach(harness.store(worker), attachRequest(name, worker)));
  const joined = await harness.store(worker).join({ ...ref, room: room('r'), worker, roomsLimit: 9 });
  expect(joined).toMatchObject({ status: 'joined' });
  return ref;
};

test.each(['generation', 'key', 'client'])(
  'a session whose %s is rubbish is no session any more',
  async (field) => {
    const alice = await attach(store, attachRequest('alice', W1, { keyHash: 'k1' }));
    await spoil(`*:s:${alice.session}`, RUBBISH, field);
    const resume = { session: alice.session, keyHash: 'k1' };
    const again = await attach(store, attachRequest('alice', W1, { resume, keyHash: 'k2' }));
    expect(again).toMatchObject({ resumed: false });
    expect(await heardBy(W1, inbox('alice'))).toBe(1);
  },
);

test.each([
  ['generation', RUBBISH],
  ['worker', RUBBISH],
  // As a failover leaves it that lost the last attach.
  ['generation', '1'],
])('a living session whose %s is %j is put right with its next sign of life', async (field, value) => {
  const first = await attach(store, attachRequest('alice', W1, { keyHash: 'k1' }));
  const resume = { session: first.session, keyHash: 'k1' };
  const alice = refOf(await attach(store, attachRequest('alice', W1, { resume, keyHash: 'k2' })));
  expect(alice.generation).toBe(2);
  await spoil(`*:s:${alice.session}`, value, field);
  const before = ofType(harness.events(W1), 'fence').length;
  await store.renew(W1, [alice]);
  await harness.settle();
  expect(ofType(harness.events(W1), 'fence')).toHaveLength(before);
  const joined = await store.join({ ...alice, room: room('r'), worker: W1, roomsLimit: 9 });
  expect(joined).toMatchObject({ status: 'joined' });
});

test('a reader whose place is rubbish hears what is sent to it', async () => {
  await attach(harness.store(W2), attachRequest('alice', W2));
  await spoil('*:cs:alice', RUBBISH);
  expect(await heardBy(W2, inbox('alice'))).toBe(1);
});

test('a reader whose place is another one is found again with its next sign of life', async () => {
  const alice = await attach(harness.store(W2), attachRequest('alice', W2));
  await spoil('*:cs:alice', 'n9.9');
  expect(await heardBy(W2, inbox('alice'))).toBe(0);
  await harness.store(W2).renew(W2, [refOf(alice)]);
  expect(await heardBy(W2, inbox('alice'))).toBe(1);
});

test('rubbish in what a room counts keeps nobody out, and nobody from hearing', async () => {
  const alice = await enter('alice', W2);
  await enter('bob', W2);
  await spoil('*:ri:r', RUBBISH);
  await spoil('*:rp:r', RUBBISH);
  await enter('carol', W2);
  expect(await heardBy(W2)).toBe(1);
  await spoil('*:ri:r', RUBBISH);
  await harness.store(W2).leave(alice, room('r'));
  expect(await heardBy(W2)).toBe(1);
  // Counted again: the last one to go is the last.
  expect(await admin.hvals((await admin.keys('*:ri:r'))[0] ?? '')).toEqual(['2']);
  await spoil('*:rp:r', RUBBISH);
  expect(await store.count(room('r'))).toBe(2);
});

test('one session that cannot be renewed keeps neither the others nor their rooms from living on', async () => {
  const alice = await enter('alice', W2);
  const bob = await enter('bob', W2);
  const broken = `*:s:${alice.session}`;
  await admin.set((await admin.keys(broken))[0] ?? '', RUBBISH);
  const dying = [...(await admin.keys(`*:s:${bob.session}`)), ...(await admin.keys('*:r:r'))];
  expect(dying).toHaveLength(2);
  for (const key of dying) await admin.pexpire(key, 10_000);
  await expect(harness.store(W2).renew(W2, [alice, bob])).rejects.toThrow();
  for (const key of dying) expect(await admin.pttl(key)).toBeGreaterThan(10_000);
});
