// Sessions through the troubles of processes: killed workers, a stopped Redis, drains, rolls, and two connections at once.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { Client, type ClientOptions } from '../../src/client/index.js';
import { type GatewayProcess, startGateway, tokenOf, until } from '../gateway-process.js';
import { startRedis } from '../redis-server.js';
import { connectWhere, deploy, lostBy } from './deployment.js';

const QUICK: Partial<ClientOptions> = { backoff: { minMs: 50, maxMs: 300 }, acceptTimeoutMs: 500 };
/** What became of a call: `ok` or the code of its error. */
function attempt(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'ok',
    (error: unknown) => String((error as { code?: unknown }).code),
  );
}

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function gatewayFor(env: Record<string, string> = {}): Promise<GatewayProcess> {
  const gateway = await startGateway(env);
  cleanups.push(() => gateway.stop());
  return gateway;
}

async function connect(gateway: GatewayProcess, name: string): Promise<Client> {
  const client = new Client(gateway.url, { token: tokenOf(name), ...QUICK });
  cleanups.push(() => client.close());
  await client.connect();
  return client;
}

/** The WebSocket that a client uses now, so that a test can cut it. */
function spyOnSockets(): { options: Partial<ClientOptions>; cut(): void; sockets: WebSocket[] } {
  const sockets: WebSocket[] = [];
  class Spied extends WebSocketClass {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      sockets.push(this as unknown as WebSocket);
    }
  }
  return {
    options: { WebSocket: Spied, ...QUICK },
    cut: () => {
      (sockets.at(-1) as unknown as { terminate(): void }).terminate();
    },
    sockets,
  };
}
const { WebSocket: WebSocketClass } = await import('ws');

describe('resume', () => {
  test('a dropped client comes back as the same session with its rooms, on whatever worker takes it', async () => {
    const gateway = await gatewayFor();
    const spy = spyOnSockets();
    const client = new Client(gateway.url, { token: tokenOf('alice'), ...spy.options });
    cleanups.push(() => client.close());
    await client.connect();
    const session = client.sessionId;
    const room = client.room('lobby');
    await room.join();
    const bob = await connect(gateway, 'bob');
    const places = new Set<string>();
    await until(async () => {
      const lost = lostBy(client);
      spy.cut();
      await lost;
      await until(() => client.state === 'connected');
      expect(client.sessionId).toBe(session);
      const [place] = await gateway.locate('alice');
      if (place !== undefined) places.add(place.worker);
      return places.size === 2;
    });
    const heard = new Promise((resolve) => room.onMessage('chat', resolve));
    await bob.room('lobby').publish('chat', 'still here');
    expect(await heard).toBe('still here');
    await expect(bob.send('alice', 'direct', 1, { volatile: true })).resolves.toBeDefined();
  });

  test('a session goes on on another node after its own is gone', async () => {
    const deployment = await deploy('redis');
    cleanups.push(() => deployment.stop());
    const [first, second] = deployment.gateways as [GatewayProcess, GatewayProcess];
    let url = first.url;
    const spy = spyOnSockets();
    // The address of a load balancer: what stands behind it changes.
    const Balanced = class extends (spy.options.WebSocket as unknown as typeof WebSocketClass) {
      constructor(_url: string, protocols: string[]) {
        super(`${url}/v1/connect`, protocols);
      }
    };
    const client = new Client(first.url, {
      token: tokenOf('alice'),
      ...QUICK,
      WebSocket: Balanced,
    });
    cleanups.push(() => client.close());
    await client.connect();
    const session = client.sessionId;
    await client.room('lobby').join();
    url = second.url;
    expect(await first.stop()).toBe(0);
    await until(() => client.state === 'connected');
    expect(client.sessionId).toBe(session);
    const [place] = await second.locate('alice');
    expect(place?.worker.startsWith(second.node)).toBe(true);
    expect(await client.room('lobby').count()).toBe(1);
  });

  test('the newer connection of a session fences the older one, which is closed with 4503', async () => {
    const gateway = await gatewayFor();
    const spy = spyOnSockets();
    const client = new Client(gateway.url, { token: tokenOf('alice'), ...spy.options });
    cleanups.push(() => client.close());
    await client.connect();
    const [welcome] = await helloAgain(gateway, 'alice', null);
    const { session, resumeKey } = welcome as { session: string; resumeKey: string };
    const second = await helloAgain(gateway, 'alice', [session, resumeKey]);
    expect(second[0]).toMatchObject({ session, resumed: true });
    expect(await closeOf(welcome)).toBe(4503);
    expect(client.state).toBe('connected');
  });
});

const closes = new WeakMap<object, Promise<number>>();
function closeOf(welcome: unknown): Promise<number> | undefined {
  return closes.get(welcome as object);
}

/** Hello over the JSON subprotocol; returns the welcome's map. */
async function helloAgain(
  gateway: GatewayProcess,
  client: string,
  resume: [string, string] | null,
): Promise<unknown[]> {
  const ws = new WebSocketClass(`${gateway.url}/v1/connect`, [
    'signalbox.v1.json',
    `bearer.${tokenOf(client)}`,
  ]);
  cleanups.push(() => {
    ws.terminate();
    return Promise.resolve();
  });
  ws.on('open', () => {
    ws.send(JSON.stringify([0, 1, null, resume]));
  });
  const closed = new Promise<number>((resolve) => ws.on('close', resolve));
  const welcome = await new Promise<object>((resolve, reject) => {
    ws.on('error', reject);
    ws.on('message', (bytes: Buffer) => {
      const [type, info] = JSON.parse(bytes.toString('utf8')) as [number, object];
      if (type === 1) resolve(info);
    });
  });
  closes.set(welcome, closed);
  return [welcome];
}

interface RawClient {
  frames: unknown[][];
  /** Sends a frame with a reference and waits for its answer. */
  call(frame: unknown[]): Promise<unknown[]>;
}

/** A connected client of bare frames, over the JSON subprotocol. */
async function rawClient(gateway: GatewayProcess, token: string): Promise<RawClient> {
  const ws = new WebSocketClass(`${gateway.url}/v1/connect`, ['signalbox.v1.json', `bearer.${token}`]);
  cleanups.push(() => {
    ws.terminate();
    return Promise.resolve();
  });
  const frames: unknown[][] = [];
  ws.on('message', (bytes: Buffer) => frames.push(JSON.parse(bytes.toString('utf8')) as unknown[]));
  ws.on('open', () => {
    ws.send('[0,1]');
  });
  await until(() => frames.length > 0);
  return {
    frames,
    call: (frame) => {
      ws.send(JSON.stringify(frame));
      return until(() => frames.find(([type, ref]) => (type === 5 || type === 6) && ref === frame[1]));
    },
  };
}

describe('workers', () => {
  test('a worker killed with -9: its clients are back, the others notice nothing, another worker is forked', async () => {
    const gateway = await gatewayFor();
    const victim = await connectWhere(gateway, 'victim', QUICK, () => true);
    const other = await connectWhere(gateway, 'other', QUICK, ({ worker }) => worker !== victim.place.worker);
    cleanups.push(
      () => victim.client.close(),
      () => other.client.close(),
    );
    const states: string[] = [];
    other.client.on('state', (state) => states.push(state));
    const pids = await gateway.workers();
    const pid = pids.find(({ id }) => id === victim.place.worker)?.pid ?? 0;
    const lost = lostBy(victim.client);
    process.kill(pid, 'SIGKILL');
    await lost;
    await until(() => victim.client.state === 'connected');
    expect(victim.client.sessionId).toBe(victim.place.session);
    expect(states).toEqual([]);
    const heard = new Promise((resolve) => victim.client.onMessage('after', resolve));
    await other.client.send('victim', 'after', 'the crash');
    expect(await heard).toBe('the crash');
    await until(async () => (await gateway.workers()).filter(({ state }) => state === 'ready').length === 2);
  });

  test.each(['rr', 'none'])(
    'workers that die all together come back on the port that the system chose (SCHEDULING=%s)',
    async (SCHEDULING) => {
      const gateway = await gatewayFor({ SCHEDULING });
      const client = await connect(gateway, 'alice');
      const session = client.sessionId;
      const lost = lostBy(client);
      const old = (await gateway.workers()).map(({ pid }) => pid);
      for (const pid of old) process.kill(pid, 'SIGKILL');
      await lost;
      await until(() => client.state === 'connected');
      expect(client.sessionId).toBe(session);
      const ready = async () => (await gateway.workers()).filter(({ state }) => state === 'ready');
      await until(async () => (await ready()).length === old.length);
      expect((await ready()).some(({ pid }) => old.includes(pid))).toBe(false);
      // And so do those that come one by one.
      gateway.process.kill('SIGHUP');
      await until(() => gateway.output().includes('"rolled"'));
      await until(() => client.state === 'connected');
      expect((await fetch(`http://127.0.0.1:${String(gateway.port)}/healthz`)).status).toBe(200);
    },
  );

  test('a hanging worker is killed by the watchdog and its clients are served again', async () => {
    const gateway = await gatewayFor({ WATCHDOG_TIMEOUT_MS: '3000' });
    const client = await connect(gateway, 'alice');
    const [place] = await gateway.locate('alice');
    const pid = (await gateway.workers()).find(({ id }) => id === place?.worker)?.pid ?? 0;
    const lost = lostBy(client);
    process.kill(pid, 'SIGSTOP');
    await lost;
    await until(() => client.state === 'connected');
    expect(gateway.output()).toContain('a worker hangs');
    expect((await gateway.workers()).some((worker) => worker.pid === pid)).toBe(false);
  });

  test('with SCHEDULING=rr a connection on its way to a worker that dies is taken by another, and nothing of the dead is counted', async () => {
    const gateway = await gatewayFor({ SCHEDULING: 'rr' });
    const victim = await connectWhere(gateway, 'victim', QUICK, () => true);
    cleanups.push(() => victim.client.close());
    await until(async () => (await gateway.metric('connections')) === 1);
    const pid = (await gateway.workers()).find(({ id }) => id === victim.place.worker)?.pid ?? 0;
    process.kill(pid, 'SIGSTOP');
    // In turn: one of them waits for the worker that stands still, and the others pass it by.
    let answered = 0;
    const answers = Array.from({ length: 4 }, async () => {
      const { status } = await fetch(`http://127.0.0.1:${String(gateway.port)}/healthz`);
      answered++;
      return status;
    });
    await until(() => answered === 3);
    const lost = lostBy(victim.client);
    process.kill(pid, 'SIGKILL');
    expect(await Promise.all(answers)).toEqual([200, 200, 200, 200]);
    await lost;
    await until(() => victim.client.state === 'connected');
    await until(async () => (await gateway.metric('connections')) === 1);
  });

  test('with SCHEDULING=rr workers without a free descriptor get connections again as soon as they have some', async () => {
    const gateway = await gatewayFor({ SCHEDULING: 'rr' });
    const workers = await gateway.workers();
    const limit = (files: string): void => {
      for (const { pid } of workers) {
        const { status, stderr } = spawnSync('prlimit', ['--pid', String(pid), `--nofile=${files}:`]);
        if (status !== 0) throw new Error(String(stderr));
      }
    };
    const before = spawnSync('prlimit', [
      '--pid',
      String(workers[0]?.pid),
      '--nofile',
      '-o',
      'SOFT',
      '--noheadings',
    ]);
    // What is open stays open; whatever comes is one too many.
    limit('3');
    const answers = Array.from({ length: 4 }, async () => {
      const { status } = await fetch(`http://127.0.0.1:${String(gateway.port)}/healthz`);
      return status;
    });
    await until(() => gateway.output().includes('no file descriptor left'));
    limit(String(before.stdout).trim());
    expect(await Promise.all(answers)).toEqual([200, 200, 200, 200]);
    // Of both workers, in turn.
    expect(gateway.output().split('no file descriptor left')).toHaveLength(2);
    expect((await gateway.workers()).map(({ pid }) => pid)).toEqual(workers.map(({ pid }) => pid));
  });

  // A lone worker takes its connections itself, whatever is set.
  test.each([
    ['1', 'none'],
    ['2', 'none'],
    ['2', 'rr'],
  ])(
    'SIGHUP rolls %s worker(s) with SCHEDULING=%s: new processes, the same sessions, no error',
    async (workers, scheduling) => {
      const gateway = await gatewayFor({ WORKERS: workers, SCHEDULING: scheduling });
      const clients = await Promise.all(['a', 'b', 'c', 'd'].map((name) => connect(gateway, name)));
      const sessions = clients.map(({ sessionId }) => sessionId);
      const before = (await gateway.workers()).map(({ pid }) => pid);
      gateway.process.kill('SIGHUP');
      await until(() => gateway.output().includes('"rolled"'));
      const after = (await gateway.workers()).map(({ pid }) => pid);
      expect(after.filter((pid) => before.includes(pid))).toEqual([]);
      await until(() => clients.every(({ state }) => state === 'connected'));
      expect(clients.map(({ sessionId }) => sessionId)).toEqual(sessions);
    },
  );

  test('SIGTERM closes every client with 1012 and exits with 0, also when it comes twice', async () => {
    const gateway = await gatewayFor();
    const [welcome] = await helloAgain(gateway, 'alice', null);
    gateway.process.kill('SIGTERM');
    gateway.process.kill('SIGTERM');
    expect(await closeOf(welcome)).toBe(1012);
    expect(await gateway.stop()).toBe(0);
  });

  test('what a worker counted stays in the sum when it drains, also what nobody had asked for yet', async () => {
    const gateway = await gatewayFor({ WORKERS: '1' });
    for (let i = 0; i < 3; i++) {
      const [welcome] = await helloAgain(gateway, `guest-${String(i)}`, null);
      expect(welcome).toBeDefined();
    }
    gateway.process.kill('SIGHUP');
    await until(() => gateway.output().includes('"rolled"'));
    // The old worker's three connections ended, and no new one came.
    await until(async () => (await gateway.metric('closes_total', { code: '1012' })) === 3);
    expect(await gateway.metric('handshakes_total', { outcome: 'accepted' })).toBe(3);
    expect(await gateway.metric('attachments_total', { kind: 'fresh' })).toBe(3);
    expect(await gateway.metric('sessions')).toBe(0);
  });

  test('no counter goes backwards when a worker is killed with -9, and its connections are no longer shown', async () => {
    const gateway = await gatewayFor();
    for (let i = 0; i < 4; i++) await helloAgain(gateway, `guest-${String(i)}`, null);
    expect(await gateway.metric('attachments_total')).toBe(4);
    expect(await gateway.metric('connections')).toBe(4);
    const [place] = await gateway.locate('guest-0');
    const pid = (await gateway.workers()).find(({ id }) => id === place?.worker)?.pid ?? 0;
    process.kill(pid, 'SIGKILL');
    await until(async () => (await gateway.metric('connections')) < 4);
    expect(await gateway.metric('attachments_total')).toBe(4);
    await until(async () => (await gateway.workers()).filter(({ state }) => state === 'ready').length === 2);
    await helloAgain(gateway, 'guest', null);
    expect(await gateway.metric('attachments_total')).toBe(5);
  });

  test.each([
    [{}, '64'],
    [{ WORKER_MAX_OLD_SPACE_MB: '128' }, '32'],
  ])('with %j workers fill %s MiB of old space before V8 collects all of it', async (env, mebibytes) => {
    const gateway = await gatewayFor({ WORKERS: '1', ...env });
    const [worker] = await gateway.workers();
    const line = readFileSync(`/proc/${String(worker?.pid)}/cmdline`, 'utf8');
    expect(line.split('\0')).toContain(`--initial-old-space-size=${mebibytes}`);
  });

  test.each([
    ['1', 'none'],
    ['2', 'none'],
    ['2', 'rr'],
  ])(
    'a port that is taken ends the start of %s worker(s) with SCHEDULING=%s with exit code 1',
    async (workers, scheduling) => {
      const gateway = await gatewayFor({ WORKERS: '1' });
      const env = { PORT: String(gateway.port), WORKERS: workers, SCHEDULING: scheduling };
      await expect(startGateway(env)).rejects.toThrow(/ended with 1[^]*EADDRINUSE/);
    },
  );

  test('an admin port that is taken ends the start with one line and exit code 1, before there is anything else', async () => {
    const gateway = await gatewayFor();
    const scratch = mkdtempSync(join(tmpdir(), 'admin-port-'));
    cleanups.push(async () => {
      rmSync(scratch, { recursive: true });
    });
    const failed: unknown = await startGateway({
      ADMIN_PORT: String(gateway.adminPort),
      TMPDIR: scratch,
    }).catch((error: unknown) => error);
    const message = failed instanceof Error ? failed.message : '';
    expect(message.trimEnd().split('\n')).toEqual([
      'the gateway ended with 1:',
      `Port ${String(gateway.adminPort)} of 127.0.0.1 cannot be used (EADDRINUSE): it is taken, or not for this user. Set ADMIN_PORT to another one.`,
    ]);
    expect(readdirSync(scratch)).toEqual([]);
  });
});

describe('supervision', () => {
  test('CRASH_LOOP_LIMIT ends a gateway whose workers die again and again, with exit code 1', async () => {
    const gateway = await gatewayFor({ CRASH_LOOP_LIMIT: '3', WORKERS: '1' });
    const seen = new Set<number>();
    await until(async () => {
      const [worker] = await gateway.workers().catch(() => []);
      if (worker?.state === 'ready' && !seen.has(worker.pid)) {
        seen.add(worker.pid);
        process.kill(worker.pid, 'SIGKILL');
      }
      return gateway.process.exitCode !== null;
    });
    expect(seen.size).toBe(3);
    expect(gateway.process.exitCode).toBe(1);
  });

  test('a worker that dies in the middle of a roll neither stops the roll nor leaves one too many', async () => {
    const gateway = await gatewayFor({ WORKERS: '3' });
    const last = (await gateway.workers()).at(-1)?.pid ?? 0;
    gateway.process.kill('SIGHUP');
    await until(async () => (await gateway.workers()).length > 3);
    process.kill(last, 'SIGKILL');
    await until(() => gateway.output().includes('"rolled"'));
    await until(async () => {
      const workers = await gateway.workers();
      return workers.length === 3 && workers.every(({ state }) => state === 'ready');
    });
  });

  test('a primary that stood still does not kill its workers for its own silence', async () => {
    const gateway = await gatewayFor({ WATCHDOG_TIMEOUT_MS: '3000' });
    const client = await connect(gateway, 'alice');
    const states: string[] = [];
    client.on('state', (state) => states.push(state));
    const pids = (await gateway.workers()).map(({ pid }) => pid);
    gateway.process.kill('SIGSTOP');
    // The fault itself takes time: longer than the watchdog's limit.
    await new Promise((resolve) => setTimeout(resolve, 4500));
    gateway.process.kill('SIGCONT');
    expect((await gateway.workers()).map(({ pid }) => pid)).toEqual(pids);
    await client.send('alice', 'x', 1);
    expect(states).toEqual([]);
  });
});

describe('Redis trouble', () => {
  test('a killed worker is out of the directory at once, not only when its lease ends', async () => {
    const redis = await startRedis();
    cleanups.push(() => redis.stop());
    const gateway = await gatewayFor({ REDIS_URL: redis.url, WORKER_LEASE_MS: '600000' });
    const [welcome] = await helloAgain(gateway, 'alice', null);
    const [place] = await gateway.locate('alice');
    const pid = (await gateway.workers()).find(({ id }) => id === place?.worker)?.pid ?? 0;
    process.kill(pid, 'SIGKILL');
    expect(await closeOf(welcome)).toBe(1006);
    await until(async () => (await gateway.locate('alice')).every(({ connected }) => !connected));
  });

  test('a narrower token while Redis hangs neither crashes the worker nor blocks the session', async () => {
    const redis = await startRedis();
    cleanups.push(() => redis.stop());
    const gateway = await gatewayFor({ REDIS_URL: redis.url, WORKER_LEASE_MS: '600000' });
    const alice = await rawClient(gateway, tokenOf('alice'));
    await alice.call([32, 1, 'lobby']);
    await alice.call([52, 2, 'lobby', true]);
    const pids = (await gateway.workers()).map(({ pid }) => pid);
    redis.pause();
    const narrow = tokenOf('alice', { send: ['*'] });
    expect((await alice.call([4, 3, narrow]))[0]).toBe(5);
    expect((await alice.call([33, 4, 'lobby']))[0]).toBe(6);
    redis.resume();
    let ref = 4;
    await until(async () => (await alice.call([33, ++ref, 'lobby']))[0] === 5);
    expect((await gateway.workers()).map(({ pid }) => pid)).toEqual(pids);
  });

  test('Redis stopped for a while: clients stay, calls fail with a typed error, everything recovers by itself', async () => {
    const redis = await startRedis();
    cleanups.push(() => redis.stop());
    const gateway = await gatewayFor({ REDIS_URL: redis.url, WORKER_LEASE_MS: '60000' });
    const alice = await connect(gateway, 'alice');
    await connect(gateway, 'bob');
    const states: string[] = [];
    alice.on('state', (state) => states.push(state));
    redis.pause();
    const refused = await alice.send('bob', 'x', 1).catch((error: unknown) => error);
    expect(['unavailable', 'unknown_outcome']).toContain((refused as { code: string }).code);
    await until(async () => {
      const again = await alice.send('bob', 'x', 1).catch((error: unknown) => error);
      return (again as { code?: string }).code === 'unavailable';
    });
    const ready = await fetch(`http://127.0.0.1:${String(gateway.port)}/readyz`);
    expect(ready.status).toBe(503);
    redis.resume();
    await until(() =>
      alice.send('bob', 'x', 1).then(
        () => true,
        () => false,
      ),
    );
    expect(states).toEqual([]);
    expect((await fetch(`http://127.0.0.1:${String(gateway.port)}/readyz`)).status).toBe(200);
    expect((await gateway.workers()).length).toBe(2);
  });

  test('Redis restarted empty: every client is told that its state is lost and goes on with a new session', async () => {
    const redis = await startRedis();
    cleanups.push(() => redis.stop());
    const gateway = await gatewayFor({ REDIS_URL: redis.url, WORKER_LEASE_MS: '3000' });
    const pids = (await gateway.workers()).map(({ pid }) => pid);
    const alice = await connect(gateway, 'alice');
    const session = alice.sessionId;
    await alice.room('lobby').join();
    const lost = new Promise((resolve) => alice.on('stateLost', resolve));
    await redis.stop();
    await until(() => attempt(alice.send('alice', 'x', 1)).then((code) => code !== 'ok'));
    const again = await startRedis(redis.port);
    cleanups.push(() => again.stop());
    expect(await lost).toMatchObject({ previous: session });
    await until(() => attempt(alice.send('alice', 'x', 1)).then((code) => code === 'ok'));
    await until(async () => (await alice.room('lobby').count()) === 1);
    expect((await gateway.workers()).map(({ pid }) => pid)).toEqual(pids);
  });

  test('Redis that throws keys away: what it still has is looked at again, and sessions that are gone begin anew', async () => {
    const redis = await startRedis();
    cleanups.push(() => redis.stop());
    const gateway = await gatewayFor({ REDIS_URL: redis.url });
    const alice = await connect(gateway, 'alice');
    const lost = new Promise((resolve) => alice.on('stateLost', resolve));
    const admin = new Redis(redis.url);
    cleanups.push(() => admin.quit());
    // The keys that are thrown away are those that fill it; that those of the gateway are gone as well it is not told.
    await admin.config('SET', 'maxmemory-policy', 'volatile-ttl');
    const evicted = (): Promise<number> =>
      admin.info('stats').then((info) => Number(/evicted_keys:(\d+)/.exec(info)?.[1]));
    for (const key of await admin.keys('sb:*')) await admin.del(key);
    const filling = 'x'.repeat(1_000_000);
    for (let i = 0; i < 10; i++) await admin.set(`filling-${String(i)}`, filling, 'PX', 60_000);
    const [, used] = /used_memory:(\d+)/.exec(await admin.info('memory')) ?? [];
    await admin.config('SET', 'maxmemory', String(Number(used) - 2_000_000));
    await until(async () => (await evicted()) > 0);
    await lost;
    await until(() => attempt(alice.send('alice', 'x', 1)).then((code) => code === 'ok'));
    expect(await gateway.metric('store_errors_total', { kind: 'evicted' })).toBeGreaterThan(0);
  });

  test('a Redis outage longer than the lease of a worker ends no session', async () => {
    const redis = await startRedis();
    cleanups.push(() => redis.stop());
    const gateway = await gatewayFor({
      REDIS_URL: redis.url,
      WORKER_LEASE_MS: '1000',
      PRESENCE_GRACE_MS: '100',
    });
    const [alice, bob] = [await connect(gateway, 'alice'), await connect(gateway, 'bob')];
    const states: string[] = [];
    alice.on('state', (state) => states.push(state));
    redis.pause();
    await until(() => attempt(alice.send('bob', 'x', 1)).then((code) => code === 'unavailable'));
    redis.resume();
    await until(() => attempt(alice.send('bob', 'x', 1)).then((code) => code === 'ok'));
    await until(async () => (await gateway.locate('bob')).every(({ connected }) => connected));
    const heard = new Promise((resolve) => bob.onMessage('after', resolve));
    await alice.send('bob', 'after', 'the outage');
    expect(await heard).toBe('the outage');
    expect(states).toEqual([]);
  });
});

describe('DUPLICATE_CLIENT', () => {
  test.each([
    ['allow', [null, null]],
    ['replace', [4507, null]],
    ['reject', [null, 4508]],
  ])('%s treats a second connection of a client as it says', async (policy, [first, second]) => {
    const gateway = await gatewayFor({ DUPLICATE_CLIENT: policy });
    const [welcome] = await helloAgain(gateway, 'alice', null);
    if (second !== null) {
      const refused = new Client(gateway.url, { token: tokenOf('alice') });
      await expect(refused.connect()).rejects.toMatchObject({ code: 'duplicate_client' });
      return;
    }
    await helloAgain(gateway, 'alice', null);
    if (first !== null) expect(await closeOf(welcome)).toBe(first);
    expect((await gateway.locate('alice')).length).toBe(first === null ? 2 : 1);
  });
});

describe.each(['embedded', 'redis'] as const)('two connections at the same moment, %s store', (store) => {
  test('DUPLICATE_CLIENT=replace leaves exactly one of them', async () => {
    const deployment = await deploy(store, { DUPLICATE_CLIENT: 'replace' });
    cleanups.push(() => deployment.stop());
    const [gateway] = deployment.gateways as [GatewayProcess];
    for (let i = 0; i < 25; i++) {
      const name = `twin-${String(i)}`;
      const twins = await Promise.all([1, 2].map(() => rawSocket(gateway, tokenOf(name))));
      await until(() => twins.some(({ readyState }) => readyState === WebSocketClass.CLOSED));
      expect(twins.filter(({ readyState }) => readyState === WebSocketClass.OPEN)).toHaveLength(1);
      expect(await gateway.locate(name)).toHaveLength(1);
    }
  });
});

/** Resolves when hello was sent. */
async function rawSocket(
  gateway: GatewayProcess,
  token: string,
): Promise<InstanceType<typeof WebSocketClass>> {
  const ws = new WebSocketClass(`${gateway.url}/v1/connect`, ['signalbox.v1.json', `bearer.${token}`]);
  cleanups.push(() => {
    ws.terminate();
    return Promise.resolve();
  });
  await new Promise((resolve) => ws.on('open', resolve));
  ws.send('[0,1]');
  return ws;
}

describe('tokens', () => {
  test('a newer token without presence ends the presence events of rooms that are watched', async () => {
    const gateway = await gatewayFor();
    const alice = await rawClient(gateway, tokenOf('alice'));
    await alice.call([32, 1, 'lobby']);
    await alice.call([52, 2, 'lobby', true]);
    await alice.call([4, 3, tokenOf('alice', { rooms: { join: ['lobby'] } })]);
    const bob = await rawClient(gateway, tokenOf('bob'));
    await bob.call([32, 1, 'lobby']);
    await bob.call([35, 2, null, {}, 'lobby', 'chat', 'json', 1]);
    await until(() => alice.frames.some(([type]) => type === 36));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(alice.frames.filter(([type, , joined]) => type === 53 && String(joined).includes('bob'))).toEqual(
      [],
    );
  });

  test('an expiring token is refreshed in band; without a new one the connection ends with 4010', async () => {
    const gateway = await gatewayFor({
      // A token lives for 5 to 6 s and is asked for again after 1 to 2: a busy machine has the rest of the time for it.
      TOKEN_EXPIRY_WARNING_MS: '4000',
      TOKEN_EXPIRY_GRACE_MS: '500',
      TOKEN_LEEWAY_S: '0',
    });
    const short = (): string => tokenOf('alice', '*', { exp: Math.ceil(Date.now() / 1000) + 5 });
    let asked = 0;
    const client = new Client(gateway.url, {
      ...QUICK,
      token: () => {
        asked++;
        return short();
      },
    });
    cleanups.push(() => client.close());
    const states: string[] = [];
    await client.connect();
    client.on('state', (state) => states.push(state));
    await until(() => asked >= 3);
    expect(states).toEqual([]);

    const ws = new WebSocketClass(`${gateway.url}/v1/connect`, ['signalbox.v1.json', `bearer.${short()}`]);
    ws.on('open', () => {
      ws.send('[0,1]');
    });
    const frames: number[] = [];
    ws.on('message', (bytes: Buffer) => frames.push((JSON.parse(bytes.toString('utf8')) as [number])[0]));
    expect(await new Promise((resolve) => ws.on('close', resolve))).toBe(4010);
    expect(frames).toEqual([1, 7, 8]);
  });
});
