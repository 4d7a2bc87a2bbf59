// What a whole gateway says and does when its Redis is partly away, or may not be trusted.
import { describe, expect, test } from '@jest/globals';
import { Client } from '../../src/client/index.js';
import { RedisCluster } from '../faults/redis-topology.js';
import { type GatewayProcess, startGateway, tokenOf, until } from '../gateway-process.js';
import { startRedis } from '../redis-server.js';

async function readyz({ port }: GatewayProcess): Promise<number> {
  return (await fetch(`http://127.0.0.1:${port}/readyz`)).status;
}

describe('a gateway', () => {
  test('is ready while most of a cluster serves, and not while most of it is away', async () => {
    const cluster = await RedisCluster.start();
    let gateway: GatewayProcess | null = null;
    try {
      const running = await startGateway({ REDIS_URL: cluster.url, WORKERS: '1' });
      gateway = running;
      const client = new Client(running.url, { token: tokenOf('alice') });
      await client.connect();
      const [first, second] = await cluster.masters();
      if (first === undefined || second === undefined) throw new Error('no masters');
      await first.client.wait(1, 1_000);
      await first.kill();
      await until(async () => (await running.metric('store_errors_total', { kind: 'connection' })) > 0);
      expect(await readyz(running)).toBe(200);
      await cluster.waitUntilOk();
      // All slots are served again, by five nodes.
      await until(() =>
        client.send('alice', 'greet', 1).then(
          () => true,
          () => false,
        ),
      );
      // With two of the three masters it loses its majority.
      const masters = await cluster.masters();
      for (const node of masters.slice(0, 2)) node.stop();
      await until(async () => (await readyz(running)) === 503);
      expect(client.state).toBe('connected');
      for (const node of masters.slice(0, 2)) node.cont();
      await until(async () => (await readyz(running)) === 200);
      await client.close();
    } finally {
      await gateway?.stop();
      await cluster.close();
    }
  }, 60_000);

  test('says loudly that Redis may evict what it accepted, or refuses to start', async () => {
    const redis = await startRedis(undefined, ['--maxmemory-policy', 'allkeys-lru']);
    try {
      const gateway = await startGateway({ REDIS_URL: redis.url, WORKERS: '1' });
      const lines = gateway
        .output()
        .split('\n')
        .filter((line) => line.includes('noeviction'));
      expect(lines.length).toBeGreaterThan(0);
      for (const line of lines) expect(JSON.parse(line)).toMatchObject({ level: 50 });
      await gateway.stop();
      const refused = startGateway({
        REDIS_URL: redis.url,
        WORKERS: '2',
        REDIS_REQUIRE_NOEVICTION: 'true',
      });
      await expect(refused).rejects.toThrow(/ended with 1:[^]*REDIS_REQUIRE_NOEVICTION/);
    } finally {
      await redis.stop();
    }
  }, 60_000);
});
