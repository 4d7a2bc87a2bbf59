// The shapes of Redis that the fault rows use start quickly, break as asked and come back.
import { expect, test } from '@jest/globals';
import { RedisCluster, RedisNode, SentinelGroup } from './redis-topology.js';

test('a server without persistence forgets when it is killed, one with an append-only file remembers', async () => {
  const [plain, aof] = await Promise.all([RedisNode.start(), RedisNode.start({ aof: true })]);
  try {
    for (const node of [plain, aof]) {
      await node.client.set('k', 'v');
      await node.kill();
      await node.start();
    }
    expect(await plain.client.get('k')).toBeNull();
    expect(await aof.client.get('k')).toBe('v');
  } finally {
    await Promise.all([plain.close(), aof.close()]);
  }
});

test('sentinels name another master when asked to, and when the master dies', async () => {
  const group = await SentinelGroup.start();
  try {
    const first = await group.master();
    const second = await group.failover();
    expect(second).not.toBe(first);
    await second.client.set('k', 'v');
    await second.client.wait(1, 1000);
    await second.kill();
    const third = await group.masterOtherThan(second);
    expect(await third.client.get('k')).toBe('v');
  } finally {
    await group.close();
  }
}, 60_000);

test('a cluster fails over when a master dies, and moves slots with their keys', async () => {
  const cluster = await RedisCluster.start();
  try {
    const slot = 1234;
    const owner = await cluster.ownerOf(slot);
    const target = (await cluster.masters()).find((node) => node !== owner);
    if (target === undefined) throw new Error('no other master');
    await cluster.migrate([slot], target);
    expect(await cluster.ownerOf(slot)).toBe(target);
    await owner.kill();
    await cluster.waitUntilOk();
    expect((await cluster.masters()).length).toBe(3);
  } finally {
    await cluster.close();
  }
}, 60_000);
