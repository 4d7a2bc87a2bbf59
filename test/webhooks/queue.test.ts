// What becomes an event, with both stores: one body against the embedded queue, and against the one in a real Redis.
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { RoomName, WorkerId } from '../../src/protocol/ids.js';
import { MemoryStore } from '../../src/session/store/memory-store.js';
import { RedisConnection } from '../../src/session/store/redis-connection.js';
import { RedisStore } from '../../src/session/store/redis-store.js';
import { RedisWebhooks } from '../../src/session/store/redis-webhooks.js';
import type { Store, StoreSettings } from '../../src/session/store/store.js';
import type { QueuedEvent, WebhookQueue, WebhookRules } from '../../src/session/store/webhook-queue.js';
import { attach, attachRequest, joining, refOf, SETTINGS, W1, W2 } from '../session/store/fixture.js';
import { connectAdmin } from '../session/store/redis-admin.js';
import { type RedisServer, startRedis } from '../redis-server.js';

/** With Redis it is real time: a machine that is busy needs long from one call to the next. */
const DEBOUNCE_MS = 2_000;
const RULES: WebhookRules = {
  debounceMs: DEBOUNCE_MS,
  queueLimitEvents: 1_000,
  events: ['connect', 'disconnect', 'occupied', 'vacated'],
  rooms: null,
};
const TIMES: StoreSettings = { ...SETTINGS, resumeWindowMs: 5_000, presenceGraceMs: 500 };

jest.setTimeout(90_000);

interface World {
  store: Store;
  queue: WebhookQueue;
  advance(ms: number): Promise<void>;
  sweep(): Promise<void>;
  close(): Promise<void>;
}
type Start = (rules: WebhookRules) => Promise<World>;

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

const startMemory: Start = async (rules) => {
  let time = 0;
  const store = new MemoryStore({ settings: TIMES, deliver: () => {}, webhooks: rules, now: () => time });
  const { webhooks } = store;
  if (webhooks === null) throw new Error('no webhooks');
  return {
    store,
    queue: webhooks,
    advance: async (ms) => void (time += ms),
    sweep: () => store.sweep(),
    close: () => store.close(),
  };
};

const connect = (debounceMs: number) =>
  RedisConnection.open({
    url: redis.url,
    debounceMs,
    count: () => {},
    reconnected: () => {},
    evicted: () => {},
    succeeded: () => {},
  });

const startWithRedis: Start = async (rules) => {
  const prefix = `t${Math.random().toString(36).slice(2)}`;
  const { debounceMs } = rules;
  const store = await RedisStore.connect({
    url: redis.url,
    prefix,
    worker: 'n1.9' as WorkerId,
    settings: TIMES,
    debounceMs,
    listener: () => {},
    log: { warn: () => {}, error: () => {} },
    count: () => {},
  });
  const connection = await connect(debounceMs);
  const admin = connectAdmin(redis.url);
  return {
    store,
    queue: new RedisWebhooks({ redis: connection, prefix, rules }),
    advance: async (ms) => {
      const end = (await admin.timeMs()) + ms + 1;
      while ((await admin.timeMs()) < end) await new Promise((resolve) => setTimeout(resolve, 10));
    },
    sweep: async () => {
      await admin.remove([`${prefix}:{workers}:sweep`]);
      await store.sweep();
    },
    close: async () => {
      for (const key of await admin.keys(`${prefix}:*`))
        if ((await admin.pttl(key)) === -1) throw new Error(`${key} lives for ever`);
      await Promise.all([store.close(), connection.close()]);
      admin.close();
    },
  };
};

const wordOf = (event: QueuedEvent) =>
  `${event.type} ${'room' in event ? event.room : event.client}${'lostAtMs' in event && event.lostAtMs !== null ? ' lost' : ''}`;

/** Everything that is told now, as words. */
async function told({ queue }: World): Promise<string[]> {
  const page = await queue.pollWebhooks('me', 100);
  const events = page?.events ?? [];
  const last = events.at(-1);
  if (last !== undefined) await queue.settleWebhooks('me', last.seq, last.id);
  return events.map(wordOf);
}

describe.each([
  ['embedded', startMemory],
  ['Redis', startWithRedis],
])('webhook events, %s store', (_, start) => {
  let world: World;
  afterEach(() => world.close());

  test('tell of a session and a room once they have lasted, and of their ends', async () => {
    world = await start(RULES);
    const { store } = world;
    const ann = await attach(store, attachRequest('ann', W1));
    await store.join(joining(ann, 'lobby', W1));
    const bob = await attach(store, attachRequest('bob', W2));
    await store.join(joining(bob, 'lobby', W2));
    expect(await told(world)).toEqual([]);
    await world.advance(DEBOUNCE_MS);
    expect((await told(world)).sort()).toEqual(['connect ann', 'connect bob', 'occupied lobby']);
    // Not before the last one has left.
    await store.end(refOf(ann));
    await world.advance(DEBOUNCE_MS);
    expect(await told(world)).toEqual(['disconnect ann']);
    await store.leave(refOf(bob), 'lobby' as RoomName);
    await world.advance(DEBOUNCE_MS);
    expect(await told(world)).toEqual(['vacated lobby']);
  });

  test('do not tell of what did not last: visits, and rooms that are left and entered again', async () => {
    world = await start(RULES);
    const { store } = world;
    const brief = await attach(store, attachRequest('brief', W1));
    await store.join(joining(brief, 'lobby', W1));
    await store.end(refOf(brief));
    await world.advance(DEBOUNCE_MS);
    expect(await told(world)).toEqual([]);
    const ann = await attach(store, attachRequest('ann', W1));
    await store.join(joining(ann, 'lobby', W1));
    await world.advance(DEBOUNCE_MS);
    await told(world);
    for (let i = 0; i < 3; i++) {
      await store.leave(refOf(ann), 'lobby' as RoomName);
      await world.advance(DEBOUNCE_MS / 3);
      await store.join(joining(ann, 'lobby', W1));
      await world.advance(DEBOUNCE_MS / 3);
    }
    await world.advance(DEBOUNCE_MS);
    expect(await told(world)).toEqual([]);
  });

  test('tell of every change where there is no debounce', async () => {
    world = await start({ ...RULES, debounceMs: 0 });
    const { store } = world;
    const ann = await attach(store, attachRequest('ann', W1));
    await store.join(joining(ann, 'lobby', W1));
    await store.leave(refOf(ann), 'lobby' as RoomName);
    await store.join(joining(ann, 'lobby', W1));
    await store.end(refOf(ann));
    const words = await told(world);
    // Of different subjects the order is that of the store; of one it is that of the changes.
    expect(words.filter((word) => word.includes('lobby'))).toEqual([
      'occupied lobby',
      'vacated lobby',
      'occupied lobby',
      'vacated lobby',
    ]);
    expect(words.filter((word) => word.includes('ann'))).toEqual(['connect ann', 'disconnect ann']);
  });

  test('tell nothing of a resume, and once of a session whose worker died and that did not come back', async () => {
    world = await start({ ...RULES, debounceMs: 0 });
    const { store } = world;
    const ann = await attach(store, attachRequest('ann', W1));
    await store.join(joining(ann, 'lobby', W1));
    expect((await told(world)).sort()).toEqual(['connect ann', 'occupied lobby']);
    await store.retire(W1);
    const resume = { session: ann.session, keyHash: 'key-1' };
    const again = await attach(store, attachRequest('ann', W2, { resume }));
    expect(again.resumed).toBe(true);
    await world.advance(TIMES.resumeWindowMs);
    await world.sweep();
    expect(await told(world)).toEqual([]);
    await store.retire(W2);
    await store.retire(W2);
    await world.advance(TIMES.presenceGraceMs);
    await world.sweep();
    expect(await told(world)).toEqual(['vacated lobby']);
    await world.advance(TIMES.resumeWindowMs);
    await world.sweep();
    await world.sweep();
    expect(await told(world)).toEqual(['disconnect ann lost']);
  });

  test('are numbered without a hole whatever the filter, and waiting ones stay until they are settled', async () => {
    world = await start({ ...RULES, debounceMs: 0, events: ['occupied', 'vacated'], rooms: ['doc:*'] });
    const { store, queue } = world;
    const ann = await attach(store, attachRequest('ann', W1));
    for (const name of ['other', 'doc:1', '~service~x', 'doc:2']) await store.join(joining(ann, name, W1));
    const page = await queue.pollWebhooks('me', 100);
    expect(page?.events.map(({ seq }) => seq)).toEqual([1, 2]);
    expect(page?.events.map(wordOf).sort()).toEqual(['occupied doc:1', 'occupied doc:2']);
    expect(new Set(page?.events.map(({ id }) => id)).size).toBe(2);
    const again = await queue.pollWebhooks('me', 1);
    expect(again).toMatchObject({ queue: page?.queue, waiting: 2, events: [page?.events[0]] });
    // Events of a queue that is lost, which had the same numbers.
    expect(await queue.settleWebhooks('me', 2, 'another')).toBe(true);
    expect((await queue.pollWebhooks('me', 100))?.waiting).toBe(2);
    await queue.settleWebhooks('me', 1, page?.events[0]?.id ?? '');
    expect((await queue.pollWebhooks('me', 100))?.events).toEqual([page?.events[1]]);
  });

  test('that are too many: the oldest are given up, and counted once', async () => {
    world = await start({ ...RULES, debounceMs: 0, queueLimitEvents: 10 });
    const { store, queue } = world;
    for (let i = 0; i < 15; i++)
      await attach(store, attachRequest(`c${String(i)}`, W1, { sessionsLimit: 99 }));
    const page = await queue.pollWebhooks('me', 100);
    expect(page).toMatchObject({ waiting: 10, overflowed: 5 });
    expect(page?.events.map(({ seq }) => seq)).toEqual([6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    expect(await queue.pollWebhooks('me', 100)).toMatchObject({ waiting: 10, overflowed: 0 });
    await queue.settleWebhooks('me', 14, page?.events[8]?.id ?? '');
    for (let i = 0; i < 10; i++)
      await attach(store, attachRequest(`d${String(i)}`, W1, { sessionsLimit: 99 }));
    const after = await queue.pollWebhooks('me', 2);
    expect(after).toMatchObject({ waiting: 10, overflowed: 1 });
    expect(after?.events.map(({ seq }) => seq)).toEqual([16, 17]);
    // Gone already, and not here yet.
    for (const seq of [15, 26]) await queue.settleWebhooks('me', seq, page?.events.at(-1)?.id ?? '');
    expect(await queue.pollWebhooks('me', 2)).toMatchObject({ waiting: 10, overflowed: 0 });
  });
});

describe('the queue in Redis', () => {
  const rules = { ...RULES, debounceMs: 0 };
  const prefix = () => `t${Math.random().toString(36).slice(2)}`;
  const storeAt = (at: string) =>
    RedisStore.connect({
      url: redis.url,
      prefix: at,
      worker: W1,
      settings: TIMES,
      debounceMs: 0,
      listener: () => {},
      log: { warn: () => {}, error: () => {} },
      count: () => {},
    });

  test('has one sender at a time; another goes on where the first one was cut off, and tells nothing twice', async () => {
    const at = prefix();
    const [store, one, two] = await Promise.all([storeAt(at), connect(0), connect(0)]);
    const [first, second] = [one, two].map(
      (connection) => new RedisWebhooks({ redis: connection, prefix: at, rules }),
    );
    if (first === undefined || second === undefined) throw new Error('no queues');
    await attach(store, attachRequest('ann', W1));
    const page = await first.pollWebhooks('first', 100);
    expect(page?.events).toHaveLength(1);
    const id = page?.events[0]?.id ?? '';
    expect(await second.pollWebhooks('second', 100)).toBeNull();
    expect(await second.settleWebhooks('second', 1, id)).toBe(false);
    // Not struck off in its partition yet: the next poll would have. The second one finds the event there once more.
    await first.releaseWebhooks('first');
    expect(await second.pollWebhooks('second', 100)).toEqual(page);
    expect(await first.settleWebhooks('first', 1, id)).toBe(false);
    expect(await second.settleWebhooks('second', 1, id)).toBe(true);
    expect((await second.pollWebhooks('second', 100))?.events).toEqual([]);
    await Promise.all([store.close(), one.close(), two.close()]);
  });

  test('that was lost while its events were said: what came into the new one meanwhile stays', async () => {
    const at = prefix();
    const [store, one] = await Promise.all([storeAt(at), connect(0)]);
    const admin = connectAdmin(redis.url);
    const queue = new RedisWebhooks({ redis: one, prefix: at, rules });
    for (const name of ['ann', 'bob']) await attach(store, attachRequest(name, W1));
    const said = await queue.pollWebhooks('me', 100);
    const last = said?.events.at(-1);
    await admin.remove(await admin.keys(`${at}:*`));
    for (const name of ['carl', 'dora']) await attach(store, attachRequest(name, W1));
    const page = await queue.pollWebhooks('me', 100);
    expect(page?.events.map(({ seq }) => seq)).toEqual([1, 2]);
    expect(await queue.settleWebhooks('me', last?.seq ?? 0, last?.id ?? '')).toBe(true);
    const after = await queue.pollWebhooks('me', 100);
    expect(after).toEqual(page);
    expect(after?.events.map(wordOf).sort()).toEqual(['connect carl', 'connect dora']);
    await Promise.all([store.close(), one.close()]);
    admin.close();
  });

  test('brings more than one page of a partition with one poll', async () => {
    const at = prefix();
    const [store, one] = await Promise.all([storeAt(at), connect(0)]);
    const queue = new RedisWebhooks({ redis: one, prefix: at, rules: { ...rules, events: ['connect'] } });
    // Of one client, so in one partition.
    for (let i = 0; i < 700; i++) await store.end(refOf(await attach(store, attachRequest('ann', W1))));
    expect((await queue.pollWebhooks('me', 1))?.waiting).toBe(700);
    await Promise.all([store.close(), one.close()]);
  });

  test('has nothing to do with rooms of services: they would take the place of others', async () => {
    const at = prefix();
    const store = await storeAt(at);
    const admin = connectAdmin(redis.url);
    const ann = await attach(store, attachRequest('ann', W1));
    for (const name of ['lobby', '~service~x']) {
      await store.join(joining(ann, name, W1));
      await store.leave(refOf(ann), name as RoomName);
      await store.join(joining(ann, name, W1));
    }
    const keys = await admin.keys(`${at}:*`);
    const hasEvents = (name: string) => {
      const base = keys.find((key) => key.endsWith(`}:rz:${name}`))?.replace(/rz:.*$/, '') ?? 'none';
      return keys.includes(`${base}ho`);
    };
    expect(hasEvents('lobby')).toBe(true);
    expect(keys.some((key) => key.endsWith('}:rz:~service~x'))).toBe(true);
    expect(hasEvents('~service~x')).toBe(false);
    await store.close();
    admin.close();
  });

  test('counts what partitions gave up, though it could not be noted at once', async () => {
    const at = prefix();
    const [store, one] = await Promise.all([storeAt(at), connect(0)]);
    const admin = connectAdmin(redis.url);
    let isDown = false;
    const redisThatFails: ConstructorParameters<typeof RedisWebhooks>[0]['redis'] = {
      publishCommand: one.publishCommand,
      spansPartitions: one.spansPartitions,
      script: (name, ...args) =>
        isDown && args.includes('append') ? Promise.reject(new Error('down')) : one.script(name, ...args),
    };
    const queue = new RedisWebhooks({ redis: redisThatFails, prefix: at, rules });
    for (let i = 0; i < 1_010; i++) await store.end(refOf(await attach(store, attachRequest('ann', W1))));
    isDown = true;
    await expect(queue.pollWebhooks('me', 1)).rejects.toThrow('down');
    isDown = false;
    // A partition holds 2,000, the queue 1,000.
    expect(await queue.pollWebhooks('me', 1)).toMatchObject({ overflowed: 20 + 1_000, waiting: 1_000 });
    await Promise.all([store.close(), one.close()]);
    admin.close();
  });

  test('tells of the end of sessions and rooms whose keys Redis has lost', async () => {
    const at = prefix();
    const [store, one] = await Promise.all([storeAt(at), connect(0)]);
    const admin = connectAdmin(redis.url);
    const queue = new RedisWebhooks({ redis: one, prefix: at, rules });
    const ann = await attach(store, attachRequest('ann', W1));
    await store.join(joining(ann, 'lobby', W1));
    const before = await queue.pollWebhooks('me', 100);
    const last = before?.events.at(-1);
    await queue.settleWebhooks('me', last?.seq ?? 0, last?.id ?? '');
    const lost = (await admin.keys(`${at}:*`)).filter((key) => /\}:(s|sr|r|rp|rz|ri):/.test(key));
    expect(lost.length).toBeGreaterThan(2);
    await admin.remove(lost);
    // A page of one partition with each poll.
    const words: string[] = [];
    for (let i = 0; i < 257; i++) {
      const page = await queue.pollWebhooks('me', 100);
      for (const event of page?.events ?? []) words.push(wordOf(event));
      const last = page?.events.at(-1);
      if (last !== undefined) await queue.settleWebhooks('me', last.seq, last.id);
    }
    expect(words.sort()).toEqual(['disconnect ann', 'vacated lobby']);
    await Promise.all([store.close(), one.close()]);
    admin.close();
  });
});
