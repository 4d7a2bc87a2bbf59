// Every verb between every pair of places: store × placement × transport and codec, one body of tests.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Client } from '../../src/client/index.js';
import { until } from '../gateway-process.js';
import {
  connectPair,
  deploy,
  type Deployment,
  fresh,
  nodeOf,
  type Placed,
  type Placement,
  PLACEMENTS,
  type StoreKind,
  type Way,
} from './deployment.js';

const SOCKETS: [Way, Way][] = [
  ['websocket msgpack', 'websocket msgpack'],
  ['websocket msgpack', 'websocket json'],
  ['websocket json', 'websocket msgpack'],
];
/** Each transport and codec on each side once. */
const MIXED: [Way, Way][] = [
  ['websocket msgpack', 'sse msgpack'],
  ['sse msgpack', 'poll json'],
  ['poll msgpack', 'sse json'],
  ['sse json', 'poll msgpack'],
  ['poll json', 'websocket json'],
  ['tcp msgpack', 'sse msgpack'],
  ['websocket msgpack', 'tcp json'],
];
const WAYS: Record<StoreKind, [Way, Way][]> = {
  embedded: [...SOCKETS, ...MIXED],
  redis: [...SOCKETS, ...MIXED],
  sentinel: SOCKETS,
  cluster: [...SOCKETS, ['sse msgpack', 'poll json']],
};
/** The relay path that a volatile message takes between two places. */
const PATHS: Record<Placement, string> = {
  'same worker': 'local',
  'other worker': 'unix',
  'other node': 'redis',
};

/** The next message of an event, whoever sends it. */
function next(target: Pick<Client, 'onMessage'>, event: string): Promise<{ data: unknown; from: string }> {
  return new Promise((resolve) => {
    const remove = target.onMessage(event, (data, from) => {
      remove();
      resolve({ data, from: from.client });
    });
  });
}

describe.each(['embedded', 'redis', 'sentinel', 'cluster'] as const)('%s store', (store) => {
  let deployment: Deployment;
  beforeAll(async () => {
    deployment = await deploy(store, { PRESENCE_GRACE_MS: '300' });
  }, 60_000);
  afterAll(async () => {
    await deployment.stop();
  });

  describe.each(PLACEMENTS[store])('%s', (placement) => {
    describe.each(WAYS[store])('%s to %s', (...ways) => {
      let alice: Placed;
      let bob: Placed;
      beforeAll(async () => {
        [alice, bob] = await connectPair(deployment, placement, [fresh('alice'), fresh('bob')], ways);
      });
      afterAll(async () => {
        await alice.client.close();
        await bob.client.close();
      });
      const bobId = (): string => bob.place.client;

      test('the directory says that the sessions live where the test wants them', () => {
        expect(alice.place.worker === bob.place.worker).toBe(placement === 'same worker');
        expect(nodeOf(alice.place) === nodeOf(bob.place)).toBe(placement !== 'other node');
      });

      test('send() reaches every session of a client, volatile over the relay between the two places', async () => {
        const labels = { path: PATHS[placement], outcome: 'sent' };
        const before = await deployment.metric('relay_envelopes_total', labels);
        const received = next(bob.client, 'greet');
        await alice.client.send(bobId(), 'greet', { hi: 1, list: [true, null, 'ü'] }, { volatile: true });
        expect(await received).toEqual({
          data: { hi: 1, list: [true, null, 'ü'] },
          from: alice.place.client,
        });
        expect(await deployment.metric('relay_envelopes_total', labels)).toBeGreaterThan(before);
      });

      test('send() without volatile goes through the store to the worker of the reader, byte by byte', async () => {
        const before = await deployment.metric('store_entries_total', { channel: 'inbox' });
        const received = next(bob.client, 'kept');
        await alice.client.send(bobId(), 'kept', new Uint8Array([0, 255, 10]));
        expect((await received).data).toEqual(new Uint8Array([0, 255, 10]));
        expect(await deployment.metric('store_entries_total', { channel: 'inbox' })).toBe(before + 1);
      });

      test('send() to one session, and to a list with an absent client, say what they reached', async () => {
        const received = next(bob.client, 'one');
        await alice.client.send(`${bobId()}#${bob.place.session}`, 'one', 1);
        await received;
        const listed = next(bob.client, 'list');
        const result = await alice.client.send([bobId(), 'nobody-at-all'], 'list', 2);
        expect(result.absent).toEqual(['nobody-at-all']);
        expect((await listed).data).toBe(2);
      });

      test('send() keeps the order of one sender', async () => {
        const seen: unknown[] = [];
        const remove = bob.client.onMessage('order', (data) => seen.push(data));
        await Promise.all(Array.from({ length: 200 }, (_, i) => alice.client.send(bobId(), 'order', i)));
        await until(() => seen.length === 200);
        remove();
        expect(seen).toEqual(Array.from({ length: 200 }, (_, i) => i));
      });

      test('request() is answered, rejected by a failing handler, refused without one, and timed out', async () => {
        const reported: string[] = [];
        const removers = [
          bob.client.on('error', (error) => reported.push(String(error))),
          bob.client.onRequest('add', (data) => (data as number[]).reduce((a, b) => a + b, 0)),
          bob.client.onRequest('fail', () => Promise.reject(new Error('no'))),
          bob.client.onRequest('never', () => new Promise(() => undefined)),
        ];
        await expect(alice.client.request(bobId(), 'add', [1, 2])).resolves.toBe(3);
        await expect(alice.client.request(bobId(), 'fail', 1)).rejects.toMatchObject({ code: 'rejected' });
        await expect(alice.client.request(bobId(), 'what', 1)).rejects.toMatchObject({ code: 'no_handler' });
        await expect(alice.client.request(bobId(), 'never', 1, { timeoutMs: 300 })).rejects.toMatchObject({
          code: 'timeout',
        });
        // A handler that fails is a mistake of bob's program: it is told there too.
        expect(reported).toEqual(['Error: no']);
        for (const remove of removers) remove();
      });

      test('unknown targets are refused at once with the same error for every verb', async () => {
        const results = await Promise.allSettled([
          alice.client.send('nobody-at-all', 'x', 1),
          alice.client.send(`${bobId()}#AAAAAAAAAAAAAAAAAAAAAA`, 'x', 1),
          alice.client.request('nobody-at-all', 'x', 1),
        ]);
        const refused = { status: 'rejected', reason: { code: 'not_found' } };
        expect(results).toMatchObject([refused, refused, refused]);
      });

      test('a room carries messages with except and self, lists and counts its members, tells of presence', async () => {
        const name = fresh('room');
        const [here, there] = [alice.client.room(name), bob.client.room(name)];
        const changes: { joined: string[]; left: string[]; count: number }[] = [];
        here.onPresence((change) => changes.push(change));
        await here.join();
        await there.join();
        expect(await here.count()).toBe(2);
        const page = await there.members();
        expect(page.members.map(({ client }) => client).sort()).toEqual([alice.place.client, bobId()].sort());
        expect(page.count).toBe(2);
        await until(() => changes.some(({ joined }) => joined.includes(bobId())));

        const seenHere: unknown[] = [];
        const seenThere: unknown[] = [];
        here.onMessage('chat', (data) => seenHere.push(data));
        there.onMessage('chat', (data) => seenThere.push(data));
        await here.publish('chat', 'to all');
        await here.publish('chat', 'not to me', { self: false });
        await here.publish('chat', 'not to bob', { except: [bobId()] });
        await here.publish('chat', 'volatile', { volatile: true });
        await until(() => seenThere.includes('volatile') && seenHere.includes('volatile'));
        expect(seenHere).toEqual(['to all', 'not to bob', 'volatile']);
        expect(seenThere).toEqual(['to all', 'not to me', 'volatile']);

        await there.leave();
        await until(() => changes.some(({ left }) => left.includes(bobId())));
        expect(await here.count()).toBe(1);
        await here.leave();
      });

      test('clients() pages over who is online, and isOnline() knows each', async () => {
        const found: string[] = [];
        let cursor: string | null = null;
        do {
          const page = await alice.client.clients({ limit: 1, ...(cursor === null ? {} : { cursor }) });
          found.push(...page.clients);
          cursor = page.cursor;
        } while (cursor !== null);
        expect(found).toEqual(expect.arrayContaining([alice.place.client, bobId()]));
        expect(new Set(found).size).toBe(found.length);
        expect((await alice.client.clients({ prefix: bobId() })).clients).toContain(bobId());
        expect(await alice.client.isOnline(bobId())).toBe(true);
        expect(await alice.client.isOnline('nobody-at-all')).toBe(false);
      });

      test('broadcast() reaches the other, not the sender', async () => {
        const own: unknown[] = [];
        const remove = alice.client.onMessage('news', (data) => own.push(data));
        const received = next(bob.client, 'news');
        await alice.client.broadcast('news', 'extra');
        expect((await received).data).toBe('extra');
        await alice.client.request(bobId(), 'nothing', 1).catch(() => undefined);
        remove();
        expect(own).toEqual([]);
      });
    });
  });
});
