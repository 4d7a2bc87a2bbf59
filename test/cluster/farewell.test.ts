// Whoever has closed may come again at once, on any transport, worker and store: it does not meet itself.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from '../../src/client/index.js';
import { tokenOf } from '../gateway-process.js';
import { type Deployment, deploy, fresh, optionsOf, type Way } from './deployment.js';

/** The SDK gives up waiting after a second, ms; of a close that took so long nothing can be said. */
const HEARD_MS = 900;
const ROUNDS = 4;
const WAYS: Way[] = ['websocket msgpack', 'websocket json', 'sse msgpack', 'poll msgpack', 'tcp msgpack'];

describe.each(['embedded', 'redis'] as const)('%s store, DUPLICATE_CLIENT=reject', (store) => {
  let deployment: Deployment;
  beforeAll(async () => {
    deployment = await deploy(store, { WORKERS: '2', CRASH_LOOP_LIMIT: '3', DUPLICATE_CLIENT: 'reject' });
  });
  afterAll(() => deployment.stop());

  test.each(WAYS)('a client that has closed comes again at once (%s)', async (way) => {
    let name = fresh('again');
    let heard = 0;
    for (let round = 0; heard < ROUNDS && round < 3 * ROUNDS; round++) {
      const gateway = deployment.gateways[round % deployment.gateways.length];
      if (gateway === undefined) throw new Error('no gateway');
      const url = way.startsWith('tcp') ? gateway.tcpUrl : gateway.url;
      const client = new Client(url, { token: tokenOf(name), ...optionsOf(way) });
      await client.connect();
      const startedAt = performance.now();
      await client.close();
      if (performance.now() - startedAt < HEARD_MS) heard++;
      else name = fresh('again');
    }
    expect(heard).toBe(ROUNDS);
  });

  if (store === 'redis')
    test.each(WAYS)('close() waits for the store (%s)', async (way) => {
      const { gateways, redis } = deployment;
      const [gateway] = gateways;
      if (gateway === undefined || redis === null) throw new Error('no deployment');
      const url = way.startsWith('tcp') ? gateway.tcpUrl : gateway.url;
      const client = new Client(url, { token: tokenOf(fresh('waits')), ...optionsOf(way) });
      await client.connect();
      redis.pause();
      try {
        const closing = client.close().then(() => 'closed');
        // Longer than any close takes that waits for nobody; less than the patience of the SDK, which began before.
        const pause = new Promise((resolve) => setTimeout(resolve, 400, 'waiting'));
        expect(await Promise.race([closing, pause])).toBe('waiting');
        redis.resume();
        expect(await closing).toBe('closed');
      } finally {
        redis.resume();
      }
    });
});
