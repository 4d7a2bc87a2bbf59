// Plugins in a real gateway: what they see and do, and that one that misbehaves harms nobody but who needs its word.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Client, type ClientOptions, GatewayError } from '../../src/client/index.js';
import { type GatewayProcess, SECRET, startGateway, tokenOf, until } from '../gateway-process.js';

const moduleOf = (name: string) => fileURLToPath(new URL(`modules/${name}.mjs`, import.meta.url));

let gateway: GatewayProcess | null = null;
const clients: Client[] = [];
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await gateway?.stop();
  gateway = null;
});

async function start(plugins: unknown, env: Record<string, string> = {}): Promise<GatewayProcess> {
  gateway = await startGateway({ PLUGINS: JSON.stringify(plugins), ...env });
  return gateway;
}

async function connect(name: string, options: Partial<ClientOptions> = {}) {
  const client = new Client(gateway?.url ?? '', { token: tokenOf(name), ...options });
  clients.push(client);
  client.on('error', () => undefined);
  const heard: unknown[] = [];
  client.onMessage('*', (data, _from, { event }) => void heard.push([event, data]));
  await client.connect();
  return { client, heard };
}

const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => 'done',
    (error: unknown) => (error instanceof GatewayError ? error.code : error),
  );

describe('a plugin', () => {
  test('lets in, refuses, and gives other permissions than the token', async () => {
    await start([{ module: moduleOf('tagger') }]);
    await expect(connect('banned')).rejects.toMatchObject({ code: 'kicked' });
    const { client } = await connect('narrow');
    expect(await codeOf(client.room('hall').join())).toBe('forbidden');
    expect(await codeOf(client.send('narrow', 'e', 1))).toBe('done');
    // Whatever carries the connection.
    for (const transports of [['sse'], ['poll']] as const)
      await expect(connect('banned', { transports })).rejects.toMatchObject({ code: 'kicked' });
  });

  test('refuses frames with its own words, and keeps the order behind one that takes long', async () => {
    await start([{ module: moduleOf('tagger') }]);
    const { client, heard } = await connect('ann');
    await expect(client.send('ann', 'refused', 'today')).rejects.toMatchObject({
      code: 'forbidden',
      message: 'not today',
    });
    await Promise.all([
      client.send('ann', 'slow', 1),
      client.send('ann', 'quick', 2),
      client.send('ann', 'slow', 3),
    ]);
    await until(() => heard.length === 3);
    expect(heard).toEqual([
      ['slow', 1],
      ['quick', 2],
      ['slow', 3],
    ]);
  });

  test('finds, tags, moves, tells and ends sessions, and drops what they should not hear', async () => {
    await start([{ module: moduleOf('tagger'), options: { word: 'hello' } }], { WORKERS: '1' });
    const [vip, ann] = [await connect('vip-1'), await connect('ann')];
    await ann.client.send('ann', 'who-is-vip', null);
    await until(() => ann.heard.length === 2);
    expect(ann.heard).toContainEqual(['vips', ['vip-1']]);
    await ann.client.room('hall').join();
    await ann.client.send('ann', 'move', null);
    const members = async (room: string) => (await vip.client.room(room).members()).members;
    expect([await members('hall'), await members('cellar')]).toEqual([[], [{ client: 'ann', sessions: 1 }]]);
    await ann.client.send('vip-1', 'unheard', 1);
    await ann.client.send('vip-1', 'heard', 2);
    await ann.client.send('ann', 'tell-all', null);
    await until(() => vip.heard.length === 2);
    expect(vip.heard).toEqual([
      ['heard', 2],
      ['told', 'hello'],
    ]);
    void ann.client.send('ann', 'end', null).catch(() => undefined);
    await until(() => ann.client.state === 'closed');
  });
});

describe('a plugin that misbehaves', () => {
  test.each(['throw', 'reject', 'hang', 'rubbish', 'number'])(
    'holds nobody up where it decides nothing (%s)',
    async (how) => {
      const { metric } = await start([{ module: moduleOf('bad'), options: { how, decides: false } }]);
      const { client, heard } = await connect('ann');
      await client.room('lobby').join();
      await client.send('ann', 'e', 1);
      await client.room('lobby').leave();
      await until(() => heard.length === 1);
      if (how === 'throw' || how === 'reject')
        expect(await metric('plugin_faults_total', { fault: 'threw' })).toBeGreaterThan(0);
    },
  );

  test.each([
    ['throw', 'threw'],
    ['reject', 'threw'],
    ['hang', 'timeout'],
    ['rubbish', 'rubbish'],
    ['nonsense code', 'rubbish'],
    ['number', 'rubbish'],
  ])('has refused where it decides (%s), and only what it was asked', async (how, fault) => {
    const options = { how, decides: true, only: 'secret' };
    const { metric } = await start([{ module: moduleOf('bad'), options, timeoutMs: 300 }]);
    const { client } = await connect('ann');
    const [secret, open] = [client.room('secret'), client.room('open')];
    expect(await codeOf(open.join())).toBe('done');
    // The SDK says again what is unavailable for now.
    expect(await codeOf(secret.join({ signal: AbortSignal.timeout(1500) }))).not.toBe('done');
    expect((await open.members()).count).toBe(1);
    expect((await secret.members()).count).toBe(0);
    expect(await codeOf(open.publish('e', 1))).toBe('done');
    expect(await metric('plugin_faults_total', { fault })).toBeGreaterThan(0);
  });

  test.each(['throw', 'hang', 'rubbish'])('lets nobody in where it decides about that (%s)', async (how) => {
    await start([{ module: moduleOf('bad'), options: { how, decides: true }, timeoutMs: 200 }]);
    const client = new Client(gateway?.url ?? '', { token: tokenOf('ann') });
    clients.push(client);
    client.on('error', () => undefined);
    const codes: unknown[] = [];
    client.on('state', (_state, { code }) => void codes.push(code));
    void client.connect().catch(() => undefined);
    // And its client comes back: it may be mended.
    await until(() => codes.filter((code) => code === 'internal_error').length >= 2);
    expect(client.sessionId).toBeNull();
  });

  test('keeps the gateway from starting where it cannot be loaded, and says why', async () => {
    await expect(start([moduleOf('program-that-is-not-there')])).rejects.toThrow('which is not there');
    await expect(start([{ module: 'audit-log', options: {} }])).rejects.toThrow(
      /audit-log\\" cannot be loaded: options.file[^]*A plugin cannot be loaded \(PLUGINS\)/,
    );
    await expect(start([{ module: 'audit-lok' }])).rejects.toThrow('one of audit-log, authorize');
    await expect(start({})).rejects.toThrow('PLUGINS must be a JSON array');
  });

  test('that cannot be loaded any more keeps one worker from coming back, and ends none that runs', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'signalbox-plugin-'));
    const file = join(directory, 'plugin.mjs');
    const good = 'export default () => ({});';
    try {
      writeFileSync(file, good);
      const {
        process: primary,
        output,
        workers,
      } = await start([file], { WORKERS: '2', CRASH_LOOP_LIMIT: '0' });
      writeFileSync(file, 'export default () => { throw new Error("spoilt meanwhile"); };');
      process.kill((await workers())[0]?.pid ?? 0, 'SIGKILL');
      await until(() => output().includes('spoilt meanwhile'));
      await connect('ann');
      expect(primary.exitCode).toBeNull();
      writeFileSync(file, good);
      await until(async () => (await workers()).filter(({ state }) => state === 'ready').length === 2);
    } finally {
      rmSync(directory, { recursive: true });
    }
  }, 60_000);
});

describe('the shipped plugins', () => {
  const directory = mkdtempSync(join(tmpdir(), 'signalbox-audit-'));
  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  test('audit-log writes who did what, and nothing that was said', async () => {
    const file = join(directory, 'audit.log');
    await start([{ module: 'audit-log', options: { file } }]);
    const { client } = await connect('ann');
    await client.room('lobby').join();
    await client.room('lobby').publish('chat', 'the secret words');
    await client.send('ann', 'note', 'the secret words');
    await client.room('lobby').leave();
    await client.close();
    await gateway?.stop();
    const text = readFileSync(file, 'utf8');
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.map(({ what }) => what)).toEqual([
      'connected',
      'joined',
      'published',
      'sent',
      'left',
      'disconnected',
    ]);
    expect(lines[2]).toMatchObject({
      client: 'ann',
      room: 'lobby',
      event: 'chat',
      session: lines[0]?.session,
    });
    expect(lines[5]).toMatchObject({ code: 1000, over: true });
    expect(text).not.toContain('secret words');
    expect(text).not.toContain(SECRET);
  });

  test('greeting-bot greets each new session once, from a session of its own in each worker', async () => {
    await start([{ module: 'greeting-bot', options: { text: 'Hello.' } }]);
    const { client, heard } = await connect('ann');
    await until(() => heard.length > 0);
    expect(await client.request('greeter', 'greet', null)).toBe('Hello. You are ann.');
    expect(heard).toEqual([['greeting', { text: 'Hello.' }]]);
    expect(await client.isOnline('greeter')).toBe(true);
    const places = await gateway?.locate('greeter');
    expect(new Set(places?.map(({ worker }) => worker)).size).toBe(2);
    // A worker that dies takes its bot with it, and the next one brings another.
    const [victim] = (await gateway?.workers()) ?? [];
    process.kill(victim?.pid ?? 0, 'SIGKILL');
    await until(async () => {
      const now = (await gateway?.locate('greeter'))?.filter(({ connected }) => connected) ?? [];
      return now.length === 2 && now.every(({ worker }) => worker !== victim?.id);
    });
    await until(() => client.state === 'connected');
    // The bot is in the directory a moment before the other worker has a way to the new one: until then `unavailable`.
    const greeting = await until(() => client.request('greeter', 'greet', null).catch(() => null));
    expect(greeting).toBe('Hello. You are ann.');
  });
});
