// What a Redis lost that it had accepted: senders are told, and the readers get it, although nobody sends anything new.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { Client } from '../../src/client/index.js';
import { type GatewayProcess, startGateway, tokenOf, until } from '../gateway-process.js';
import { freePort } from '../free-port.js';
import { type RedisServer, startRedis } from '../redis-server.js';
import { WireClient } from './wire-client.js';

const DOUBT = 31;

describe('a Redis that comes back without its last writes', () => {
  let directory: string;
  let redis: RedisServer;
  let admin: Redis;
  let gateway: GatewayProcess;
  const open: { close(): unknown }[] = [];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'signalbox-doubt-'));
    redis = await startRedis(undefined, ['--dir', directory]);
    admin = new Redis(redis.url, { retryStrategy: () => 50 });
    admin.on('error', () => {});
    // A port that a lone worker's successor has too.
    gateway = await startGateway({ REDIS_URL: redis.url, WORKERS: '1', PORT: String(await freePort()) });
  });
  afterEach(async () => {
    for (const each of open.splice(0)) await each.close();
    admin.disconnect();
    await gateway.stop();
    await redis.stop();
    await rm(directory, { recursive: true });
  });

  const connect = async (...[name, resume]: [string, Parameters<typeof WireClient.connect>[2]?]) => {
    const client = await WireClient.connect(gateway, name, resume);
    open.push(client);
    return client;
  };
  const doubts = ({ frames }: WireClient): number => frames.filter(([type]) => type === DOUBT).length;
  /** Killed, and started with what it had when it was told to save. */
  const restart = async (): Promise<void> => {
    await redis.stop();
    redis = await startRedis(redis.port, ['--dir', directory]);
  };
  const untilReady = (): Promise<unknown> =>
    until(async () => (await fetch(`http://127.0.0.1:${gateway.port}/readyz`)).status === 200);
  const untilServed = (client: WireClient): Promise<unknown> =>
    until(async () => (await client.call(49, 'lobby')) === 0);

  test('gets them again from senders, and readers get them once and in order', async () => {
    const alice = new Client(gateway.url, { token: tokenOf('alice') });
    open.push(alice);
    await alice.connect();
    const bob = await connect('bob');
    await alice.send('bob', 'one', null);
    await bob.hears(1);
    await bob.cut();
    await until(async () => (await gateway.locate('bob'))[0]?.connected === false);
    await admin.save();
    await alice.send('bob', 'two', null);
    await alice.send('bob', 'three', null);
    await restart();
    await untilReady();
    const back = await connect('bob', { from: bob, cursors: [[null, bob.idOf('one')]] });
    expect(back.info).toMatchObject({ resumed: true, session: bob.info.session });
    expect(await back.hears(2)).toEqual(['two', 'three']);
    await alice.send('bob', 'four', null);
    expect(await back.hears(3)).toEqual(['two', 'three', 'four']);
    expect(alice.state).toBe('connected');
  });

  test('is told to sessions that are here and to those that resume soon, not to new ones', async () => {
    const [here, away] = [await connect('alice'), await connect('bob')];
    await away.cut();
    await until(async () => (await gateway.locate('bob'))[0]?.connected === false);
    await admin.save();
    await restart();
    await until(() => doubts(here) > 0);
    await untilServed(here);
    const back = await connect('bob', { from: away });
    const fresh = await connect('carol');
    await untilServed(back);
    await untilServed(fresh);
    expect([here, back, fresh].map(doubts)).toEqual([1, 1, 0]);
    expect(back.info.resumed).toBe(true);
  });

  test('is told to a session that resumes at a worker which has begun since', async () => {
    const [here, away] = [await connect('alice'), await connect('bob')];
    await away.cut();
    await until(async () => (await gateway.locate('bob'))[0]?.connected === false);
    await admin.save();
    await restart();
    await until(() => doubts(here) > 0);
    expect(await gateway.metric('store_doubts_total')).toBe(1);
    const [old] = await gateway.workers();
    process.kill(old?.pid ?? 0, 'SIGKILL');
    await until(async () => {
      const [now] = await gateway.workers();
      return now?.state === 'ready' && now.pid !== old?.pid;
    });
    const back = await connect('bob', { from: away });
    expect(back.info.resumed).toBe(true);
    await until(() => doubts(back) > 0);
  });

  test('is not what an interrupted connection to the same Redis means', async () => {
    const client = await connect('alice');
    for (const type of ['pubsub', 'normal']) {
      expect(Number(await admin.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes'))).toBeGreaterThan(0);
      await untilServed(client);
    }
    await untilServed(client);
    expect(doubts(client)).toBe(0);
  });
});
