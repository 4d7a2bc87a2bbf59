// The store behind Sentinel: a failover that loses nothing, one that loses what was accepted, and a master cut off.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { TopologySource } from '../../../src/session/store/redis-topology.js';
import { parseRedisUrl } from '../../../src/session/store/redis-url.js';
import { SentinelWatch } from '../../../src/session/store/sentinel-watch.js';
import { SentinelGroup } from '../../faults/redis-topology.js';
import { type RedisHarness, startRedisHarness, until } from './redis-harness.js';
import { numbered, steadySender, textsOf } from './steady-sender.js';
import { attach, attachRequest, inbox, room, SETTINGS, W1, W2 } from './fixture.js';

const ROOMY = { ...SETTINGS, offlineTtlMs: 60_000, resumeWindowMs: 60_000, workerLeaseMs: 60_000 };
ROOMY.logLimitEntries = 50_000;
ROOMY.logLimitBytes = 10_000_000;

describe('RedisStore behind Sentinel', () => {
  let group: SentinelGroup;
  let harness: RedisHarness;
  beforeEach(async () => {
    group = await SentinelGroup.start();
    harness = await startRedisHarness(group.url, ROOMY);
    await attach(harness.store(W1), attachRequest('alice', W1));
  }, 60_000);
  afterEach(async () => {
    await harness.close();
    await group.close();
  }, 20_000);

  const entries = (): number => harness.events(W1).filter(({ type }) => type === 'entry').length;
  const doubts = (): number => harness.events(W2).filter(({ type }) => type === 'doubt').length;
  const resets = (): number => harness.events(W1).filter(({ type }) => type === 'reset').length;

  test('goes on with the new master of a failover that was asked for, and loses nothing', async () => {
    const store = harness.store(W2);
    const senders = [1, 2, 3].map((i) => steadySender(store, inbox('alice'), `s${i}`));
    for (const sender of senders) sender.run();
    await until('all send', () => senders.every(({ accepted }) => accepted > 50));
    await group.failover();
    const before = senders.map(({ accepted }) => accepted);
    await until('all go on', () => senders.every(({ accepted }, i) => accepted > (before[i] ?? 0) + 50));
    await until('a reset was told', () => resets() > 0);
    const heard = entries();
    await until('events arrive', () => entries() > heard + 20);
    for (const sender of senders) await sender.stop();
    const texts = await textsOf(store, inbox('alice'));
    for (const [i, sender] of senders.entries()) {
      const name = `s${i + 1}`;
      expect(texts.filter((text) => text.startsWith(`${name} `))).toEqual(numbered(name, sender.accepted));
      expect(sender.late).toBe(0);
    }
  }, 40_000);

  test('tells readers that the store lost what it had accepted, and senders where to go on', async () => {
    const store = harness.store(W2);
    const sender = steadySender(store, inbox('alice'), 'bob');
    await sender.send(20);
    const master = await group.master();
    await master.client.wait(2, 1_000);
    // The replicas answer the sentinels as ever, but the master cannot reach them any more.
    for (const node of group.nodes)
      if (node !== master) await node.client.config('SET', 'masterauth', 'wrong');
    await master.client.call('CLIENT', 'KILL', 'TYPE', 'replica');
    await until('no replica is left', async () =>
      (await master.client.info('replication')).includes('connected_slaves:0'),
    );
    await sender.send(10);
    const page = await store.read({ channel: inbox('alice'), from: { last: 1 }, limit: 1 });
    if (page.status === 'lost') throw new Error('lost too early');
    await master.kill();
    await group.masterOtherThan(master);
    await until('the store is ready', () => store.ready && harness.store(W1).ready, 20_000);
    const after = page.position;
    const read = (): Promise<{ status: string }> =>
      store.read({ channel: inbox('alice'), from: { after }, limit: 9 });
    await expect(read()).resolves.toMatchObject({ status: 'lost' });
    await sender.send(10);
    expect(sender.refilled).toBe(10);
    // The new master has overtaken the lost place: the id's tag tells that it is another one.
    await expect(read()).resolves.toMatchObject({ status: 'lost' });
    const texts = await textsOf(store, inbox('alice'));
    expect(texts).toEqual(numbered('bob', sender.accepted));
    expect(resets()).toBeGreaterThan(0);
    expect(doubts()).toBe(1);
  }, 60_000);

  test('is told of a failover by the sentinels, and knows the new master before the replicas follow it', async () => {
    const target = parseRedisUrl(group.url);
    const source = new TopologySource(target);
    const master = await group.master();
    const others = group.nodes.filter((node) => node !== master).map(({ port }) => port);
    const named: (number | undefined)[] = [];
    const watch = new SentinelWatch(target, () => {
      void source.resolve([]).then((topology) => named.push(topology?.masters[0]?.address.port));
    });
    try {
      // The sentinels have their part of it from a connection of ours to each.
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      await group.failover();
      await until('the sentinels tell', () => named.length > 2);
      expect(others).toContain(named[0]);
      expect(new Set(named).size).toBe(1);
    } finally {
      watch.close();
    }
  }, 40_000);

  test('writes nothing to a master that was demoted, although it would take it', async () => {
    const store = harness.store(W2);
    const master = await group.master();
    const other = group.nodes.find((node) => node !== master) ?? master;
    // No sentinel is told, and no connection is cut.
    await master.client.config('SET', 'replica-read-only', 'no');
    await master.client.replicaof(other.host, other.port);
    await until('the store refuses', () => !store.ready);
    await expect(store.count(room('lobby'))).rejects.toMatchObject({ code: 'unavailable' });
    await master.client.replicaof('NO', 'ONE');
    await until('the store is ready', () => store.ready, 20_000);
    await steadySender(store, inbox('alice'), 'bob').send(3);
  }, 40_000);
});
