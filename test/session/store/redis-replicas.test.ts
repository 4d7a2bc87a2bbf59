// REDIS_WAIT_REPLICAS: a message that only the master has is not accepted yet.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { AppendResult } from '../../../src/session/store/store.js';
import { RedisNode } from '../../faults/redis-topology.js';
import { type RedisHarness, startRedisHarness, until } from './redis-harness.js';
import { appendRequest, attach, attachRequest, client, inbox, newSession, SETTINGS, W1 } from './fixture.js';

const ROOMY = { ...SETTINGS, offlineTtlMs: 60_000, resumeWindowMs: 60_000, workerLeaseMs: 60_000 };

let master: RedisNode;
let replica: RedisNode;
let harness: RedisHarness;
beforeEach(async () => {
  master = await RedisNode.start();
  replica = await RedisNode.start({ args: ['--replicaof', '127.0.0.1', String(master.port)] });
  await until('the replica is in step', async () =>
    (await master.client.info('replication')).includes('state=online'),
  );
  harness = await startRedisHarness(master.url, ROOMY, 'treplicas', { waitReplicas: 1 });
  await attach(harness.store(W1), attachRequest('alice', W1));
});
afterEach(async () => {
  replica.cont();
  await harness.close();
  await replica.close();
  await master.close();
});

test('a message is accepted when the replica has it, and its sender finds out later when it has not', async () => {
  const store = harness.store(W1);
  const sender = { client: client('bob'), session: newSession(), generation: 1 };
  const send = (seq: number): Promise<AppendResult> =>
    store.append(appendRequest(inbox('alice'), { sender, seq, body: Buffer.from('x') }));
  const statusOf = (seq: number): Promise<string> =>
    send(seq).then(
      ({ status }) => status,
      () => 'failed',
    );
  // On a busy machine the replica may be late at first.
  await until('the replica has the first', async () => (await statusOf(1)) !== 'failed');
  replica.stop();
  await expect(send(2)).rejects.toMatchObject({ code: 'unknown_outcome' });
  // Sent again it is no second message, but still nobody else has it.
  await expect(send(2)).rejects.toMatchObject({ code: 'unknown_outcome' });
  // Volatile messages are never stored: there is nothing to wait for.
  await expect(send(0)).resolves.toMatchObject({ status: 'accepted' });
  expect(harness.counted).toContain('replicas');
  replica.cont();
  await until('the replica has it', async () => (await statusOf(2)) === 'duplicate');
});

test('many calls of a moment ask together', async () => {
  const store = harness.store(W1);
  const asked = async (): Promise<number> =>
    Number(/cmdstat_wait:calls=(\d+)/.exec(await master.client.info('commandstats'))?.[1] ?? 0);
  const before = await asked();
  const calls = Array.from({ length: 200 }, () => store.append(appendRequest(inbox('alice'))));
  await Promise.allSettled(calls);
  expect((await asked()) - before).toBeLessThan(50);
});
