// The store in Redis against the contract, on a real server.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { type RedisServer, startRedis } from '../../redis-server.js';
import { startRedisHarness } from './redis-harness.js';
import {
  appendRequest,
  attach,
  attachRequest,
  client,
  inbox,
  room,
  roomLog,
  SETTINGS,
  W1,
  W2,
} from './fixture.js';
import { testLogs } from './log-contract.js';
import { testStore } from './store-contract.js';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

testStore('RedisStore', (settings) => startRedisHarness(server.url, settings));
testLogs('RedisStore', (settings) => startRedisHarness(server.url, settings));

test('RedisStore touches keys and channels of one hash tag in each script', async () => {
  const harness = await startRedisHarness(server.url, SETTINGS);
  const admin = new Redis(server.url);
  const monitor = await admin.monitor();
  const commands = new Set<string>();
  const strangers: string[][] = [];
  let base = '';
  monitor.on('monitor', (_time: string, args: string[], source: string) => {
    const [command = '', first = ''] = args;
    if (source !== 'lua') {
      base = args[3] ?? '';
      return;
    }
    commands.add(command.toUpperCase());
    if (command.toUpperCase() === 'TIME') return;
    const keys = command.toUpperCase() === 'DEL' ? args.slice(1) : [first];
    if (!keys.every((key) => key.startsWith(base) && key !== base)) strangers.push([base, ...args]);
  });
  const [one, two] = [harness.store(W1), harness.store(W2)];
  const names = Array.from({ length: 5 }, (_, i) => `client-${i}`);
  for (const name of names) {
    const ref = await attach(one, attachRequest(name, W1));
    for (const place of ['lobby', name]) {
      await one.join({ ...ref, room: room(place), worker: W1, roomsLimit: 9 });
      await one.append(appendRequest(roomLog(place), { seq: 1 }));
    }
    await two.locate(client(name), W2);
    for (let i = 0; i < 12; i++) await two.append(appendRequest(inbox(name), { seq: 1 }));
    for (let i = 0; i < 2; i++) await two.append(appendRequest(inbox(name), { body: new Uint8Array(600) }));
    await two.read({ channel: inbox(name), from: { after: null }, limit: 3 });
    await one.renew(W1, [ref]);
    await attach(two, attachRequest(name, W2, { resume: { session: ref.session, keyHash: 'key-1' } }));
    await two.leave({ ...ref, generation: 2 }, room(name));
    await two.members({ room: room('lobby'), cursor: null, limit: 9 });
    await attach(one, attachRequest(name, W1, { duplicates: 'replace' }));
  }
  await two.retire(W1);
  await harness.advance(SETTINGS.resumeWindowMs);
  await harness.sweep();
  await harness.settle();
  expect(strangers).toEqual([]);
  for (const command of ['XADD', 'XDEL', 'PUBLISH', 'ZADD', 'HDEL', 'PEXPIRE'])
    expect(commands).toContain(command);
  monitor.disconnect();
  admin.disconnect();
  await harness.close();
});
