// The store on a Redis Cluster: the contract, then masters that die, slots that move, a cluster without majority.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { partitionOf, partitionTags, slotOf } from '../../../src/session/store/partition.js';
import { RedisCluster, type RedisNode } from '../../faults/redis-topology.js';
import { type RedisHarness, startRedisHarness, until } from './redis-harness.js';
import { numbered, steadySender, textsOf } from './steady-sender.js';
import { attach, attachRequest, inbox, SETTINGS, W1, W2 } from './fixture.js';
import { testLogs } from './log-contract.js';
import { testStore } from './store-contract.js';

const ROOMY = { ...SETTINGS, offlineTtlMs: 60_000, resumeWindowMs: 60_000, workerLeaseMs: 60_000 };
ROOMY.logLimitEntries = 50_000;
ROOMY.logLimitBytes = 10_000_000;

let cluster: RedisCluster;
beforeAll(async () => {
  cluster = await RedisCluster.start();
}, 60_000);
afterAll(() => cluster.close());

testStore('RedisStore on a cluster', (settings) => startRedisHarness(cluster.url, settings));
testLogs('RedisStore on a cluster', (settings) => startRedisHarness(cluster.url, settings));

const tags = partitionTags();
const slotOfClient = (name: string): number => slotOf(tags[partitionOf(name)] ?? '');

/** A client of each master: their slots are in different hands. */
async function clientOfEach(): Promise<Map<RedisNode, string>> {
  const clients = new Map<RedisNode, string>();
  for (let i = 0; clients.size < 3; i++) {
    const owner = await cluster.ownerOf(slotOfClient(`client-${i}`));
    if (!clients.has(owner)) clients.set(owner, `client-${i}`);
  }
  return clients;
}

describe('RedisStore on a cluster in trouble', () => {
  let harness: RedisHarness;
  beforeEach(async () => {
    harness = await startRedisHarness(cluster.url, ROOMY);
  });
  afterEach(() => harness.close());

  /** Texts of entries that the worker was told for a client. */
  const told = (name: string): string[] =>
    harness
      .events(W1)
      .flatMap((event) =>
        event.type === 'entry' && event.channel.kind === 'inbox' && event.channel.client === name
          ? [Buffer.from(event.entry.body).toString()]
          : [],
      );
  const doubts = (): number => harness.events(W1).filter(({ type }) => type === 'doubt').length;
  const resets = (): number => harness.events(W1).filter(({ type }) => type === 'reset').length;

  test('follows a slot that moves under load, and hears it at its new place', async () => {
    const store = harness.store(W2);
    await attach(harness.store(W1), attachRequest('mover', W1));
    const slot = slotOfClient('mover');
    const from = await cluster.ownerOf(slot);
    const to = (await cluster.masters()).find((node) => node !== from) ?? from;
    const senders = Array.from({ length: 5 }, (_, i) => steadySender(store, inbox('mover'), `s${i}`));
    for (const sender of senders) sender.run();
    for (const target of [to, from, to]) {
      const before = senders.map(({ accepted }) => accepted);
      const resetsBefore = resets();
      await cluster.migrate([slot], target);
      await until('all go on', () => senders.every(({ accepted }, i) => accepted > (before[i] ?? 0) + 20));
      // Heard again, and told that something may be missing.
      await until('a reset was told', () => resets() > resetsBefore);
      const heard = told('mover').length;
      await until('events arrive', () => told('mover').length > heard + 20);
    }
    for (const sender of senders) await sender.stop();
    const texts = await textsOf(store, inbox('mover'));
    for (const [i, sender] of senders.entries()) {
      expect(texts.filter((text) => text.startsWith(`s${i} `))).toEqual(numbered(`s${i}`, sender.accepted));
      // Calls waited for the move, and none was refused.
      expect([sender.late, sender.refilled, [...sender.failures]]).toEqual([0, 0, []]);
    }
    expect(doubts()).toBe(0);
  }, 40_000);

  test('refuses only calls of a dead master, and goes on with the replica that takes over', async () => {
    const store = harness.store(W2);
    const clients = await clientOfEach();
    for (const name of clients.values()) await attach(harness.store(W1), attachRequest(name, W1));
    const senders = new Map(
      [...clients].map(([node, name]) => [node, steadySender(store, inbox(name), name)]),
    );
    const [victim] = senders.keys();
    if (victim === undefined) throw new Error('no master');
    for (const sender of senders.values()) sender.run();
    await until('all send', () => [...senders.values()].every(({ accepted }) => accepted > 50));
    const replica = cluster.nodes.find((node) => ![...clients.keys()].includes(node));
    expect(replica).toBeDefined();
    await victim.client.wait(1, 1_000);
    await victim.kill();
    await until('the dead master is noticed', () => (senders.get(victim)?.failures.size ?? 0) > 0);
    // Most of the cluster serves: the worker stays ready.
    expect(store.ready).toBe(true);
    for (const [node, sender] of senders) {
      const before = sender.accepted;
      await until('every sender goes on', () => sender.accepted > before + 20, 20_000);
      if (node !== victim) expect(sender.failures.get('unknown_outcome') ?? 0).toBe(0);
    }
    await until('a reset was told', () => resets() > 0);
    expect(doubts()).toBe(1);
    for (const [node, name] of clients) {
      const heard = told(name).length;
      await until('events arrive', () => told(name).length > heard + 20);
      await senders.get(node)?.stop();
      const { accepted = 0, late } = senders.get(node) ?? {};
      expect(await textsOf(store, inbox(name))).toEqual(numbered(name, accepted));
      expect(late).toBe(0);
    }
    await victim.start();
    await cluster.waitUntilOk();
  }, 60_000);

  test('refuses at once and asks little while the cluster has no majority, then recovers by itself', async () => {
    const store = harness.store(W2);
    const clients = await clientOfEach();
    for (const name of clients.values()) await attach(harness.store(W1), attachRequest(name, W1));
    const [survivor, ...others] = clients.keys();
    if (survivor === undefined) throw new Error('no master');
    const name = clients.get(survivor) ?? '';
    for (const node of others) node.stop();
    try {
      await until('the store knows', () => !store.ready, 20_000);
      const refused = async (): Promise<boolean> =>
        store.append({ ...APPEND, channel: inbox(name) }).then(
          () => false,
          () => true,
        );
      await until('the survivor refuses as well', refused, 20_000);
      // Commands that a node refuses count as none in its other figures.
      const asked = async (): Promise<number> =>
        Number(/CLUSTERDOWN:count=(\d+)/.exec(await survivor.client.info('errorstats'))?.[1]);
      const before = await asked();
      for (let i = 0; i < 2_000; i++) expect(await refused()).toBe(true);
      expect((await asked()) - before).toBeLessThan(500);
    } finally {
      for (const node of others) node.cont();
    }
    await cluster.waitUntilOk();
    await until('the store is ready', () => store.ready && harness.store(W1).ready, 20_000);
    for (const [i, each] of [...clients.values()].entries())
      await steadySender(store, inbox(each), `again${i}`).send(5);
  }, 60_000);
});

const APPEND = {
  sender: { client: 'x' as never, session: 'y' as never, generation: 1 },
  seq: null,
  first: null,
  ttlMs: null,
  keep: false,
  only: null,
  skip: [],
  body: Buffer.from('x'),
};
