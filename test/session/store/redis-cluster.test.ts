// The store on a Redis Cluster of three masters: the contract, and what only a cluster does.
import { afterAll, beforeAll } from '@jest/globals';
import { RedisCluster } from '../../faults/redis-topology.js';
import { startRedisHarness } from './redis-harness.js';
import { testStore } from './store-contract.js';

let cluster: RedisCluster;
beforeAll(async () => {
  cluster = await RedisCluster.start();
}, 30_000);
afterAll(() => cluster.close());

testStore('RedisStore on a cluster', (settings) => startRedisHarness(cluster.url, settings));
