// A gateway inside a program: its settings, its verbs, and its end. The built package, as programs import it.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from '../../src/client/index.js';
import { Serializers } from '../../src/protocol/serializers.js';
import type * as Package from '../../src/index.js';
import type { Gateway } from '../../src/index.js';
import { lostBy } from '../cluster/deployment.js';
import { SECRET, until } from '../gateway-process.js';
import { type RedisServer, startRedis } from '../redis-server.js';

const { ConfigError, createGateway } = (await import(
  new URL('../../dist/index.js', import.meta.url).href
)) as typeof Package;

const SETTINGS = {
  PORT: 0,
  ADMIN_PORT: 'off',
  HOST: '127.0.0.1',
  WORKERS: 2,
  JWT_SECRET: SECRET,
  LOG_LEVEL: 'error',
  CRASH_LOOP_LIMIT: 3,
};

describe('a gateway in a program', () => {
  const gateway = createGateway(SETTINGS, { name: 'backend' });
  const clients: Client[] = [];
  beforeAll(() => gateway.listen());
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
    // The end of a session is the store's a little later than its client's, and the next test has clients of the same names.
    await until(async () => (await gateway.clients()).clients.length === 0);
  });
  afterAll(() => gateway.close());

  /** With everything it hears of the server. */
  const connect = async (name: string, perm: unknown = '*') => {
    const serializers = new Serializers().register<Uint8Array>({
      name: 'own',
      codec: 8,
      events: ['own'],
      encode: (bytes) => bytes,
      decode: (bytes) => bytes,
    });
    const client = new Client(gateway.url, { token: () => gateway.token(name, { perm }), serializers });
    clients.push(client);
    client.on('error', () => undefined);
    const heard: unknown[] = [];
    client.onMessage('*', (data, from, info) => void heard.push([info.event, data, from.client]));
    await client.connect();
    return { client, heard };
  };
  const inRoom = async (name: string, room: string) => {
    const { client, heard } = await connect(name);
    client.room(room).onMessage('*', (data, _from, info) => void heard.push([info.event, data, info.room]));
    await client.room(room).join();
    return { client, heard };
  };

  test('emits to one client, in order, whatever the data', async () => {
    const { client, heard } = await connect('bob');
    const all = [
      { a: [1, null] },
      new Date(5),
      12345678901234567890n,
      'text',
      new Uint8Array([1, 255]),
      undefined,
    ];
    for (const data of all) {
      const sent = await gateway.send('bob', 'greet', data);
      expect(sent).toMatchObject({ accepted: [{ to: 'bob' }], refused: [] });
    }
    await gateway.send(`bob#${client.sessionId ?? ''}`, 'one', 1);
    await until(() => heard.length === 7);
    expect(heard).toEqual([...all.map((data) => ['greet', data, 'backend']), ['one', 1, 'backend']]);
  });

  test('says who got it where one of several is away, and rejects where nobody did', async () => {
    const { heard } = await connect('bob');
    const sent = await gateway.send(['bob', 'nobody'], 'e', 1);
    expect(sent).toMatchObject({ accepted: [{ to: 'bob' }], refused: [{ to: 'nobody', code: 'not_found' }] });
    await expect(gateway.send('nobody', 'e', 1)).rejects.toMatchObject({ code: 'not_found' });
    await gateway.send('nobody', 'e', 2, { offline: 'keep' });
    const late = await connect('nobody');
    await until(() => heard.length === 1 && late.heard.length === 1);
    expect(late.heard).toEqual([['e', 2, 'backend']]);
  });

  test('emits to rooms and to all, with exceptions', async () => {
    const [a, b] = [await inRoom('ann', 'lobby'), await inRoom('ben', 'lobby')];
    await gateway.publish('lobby', 'chat', 1, { except: ['ben'] });
    await gateway.publish('lobby', 'chat', 2);
    await gateway.broadcast('news', 3, { except: ['ann'] });
    await gateway.broadcast('news', 4);
    await until(() => a.heard.length >= 3 && b.heard.length >= 3);
    // Broadcasts are volatile, and in no order with what is kept.
    expect(valuesOf(a.heard)).toEqual([1, 2, 4]);
    expect(valuesOf(b.heard)).toEqual([2, 3, 4]);
    expect(await gateway.publish('lobby', 'chat', 5, { volatile: true })).toBeNull();
  });

  test('stores a message with an idempotency key once', async () => {
    const { heard } = await connect('bob');
    for (let i = 0; i < 3; i++) await gateway.send('bob', 'e', 'once', { idempotencyKey: 'k' });
    await gateway.send('bob', 'e', 'last');
    await until(() => heard.some((row) => (row as unknown[])[1] === 'last'));
    expect(heard.map((row) => (row as unknown[])[1])).toEqual(['once', 'last']);
  });

  test('asks a client and gets its answer, or why there is none', async () => {
    const { client } = await connect('bob');
    client.onRequest('add', (data) => {
      const [a, b] = data as [number, number];
      return a + b;
    });
    client.onRequest('rich', (data) => ({ got: data }));
    client.onRequest('fail', () => {
      throw new Error('no');
    });
    client.onRequest('own', () => new Uint8Array([1]));
    client.onRequest('sleep', () => new Promise(() => undefined));
    expect(await gateway.request('bob', 'add', [1, 2])).toBe(3);
    await expect(gateway.request('bob', 'own', null)).rejects.toMatchObject({
      code: 'unknown_encoding',
      codec: 8,
      data: new Uint8Array([1]),
    });
    const when = new Date(7);
    expect(await gateway.request('bob', 'rich', when)).toEqual({ got: when });
    // Larger than what is deflated.
    const long = 'x'.repeat(5000);
    expect(await gateway.request('bob', 'rich', long)).toEqual({ got: long });
    await expect(gateway.request('bob', 'fail', null)).rejects.toMatchObject({ code: 'rejected' });
    await expect(gateway.request('bob', 'other', null)).rejects.toMatchObject({ code: 'no_handler' });
    await expect(gateway.request('eve', 'add', null)).rejects.toMatchObject({ code: 'not_found' });
    // Longer than the primary waits for any other answer.
    await expect(gateway.request('bob', 'sleep', null, { timeoutMs: 2500 })).rejects.toMatchObject({
      code: 'timeout',
    });
  });

  test('has a client join and leave rooms, wherever its sessions are', async () => {
    const ann = await Promise.all([1, 2, 3].map(() => connect('ann')));
    for (const { client, heard } of ann) client.room('team').onMessage('*', (data) => void heard.push(data));
    expect(await gateway.join('ann', 'team')).toBe(3);
    expect(await gateway.members('team')).toEqual({
      members: [{ client: 'ann', sessions: 3 }],
      cursor: null,
      count: 1,
    });
    await gateway.publish('team', 'e', 'in');
    await until(() => ann.every(({ heard }) => heard.length === 1));
    expect(await gateway.leave(`ann#${ann[0]?.client.sessionId ?? ''}`, 'team')).toBe(1);
    expect((await gateway.members('team')).members).toEqual([{ client: 'ann', sessions: 2 }]);
    expect(await gateway.leaveAll('ann')).toBe(3);
    expect(await gateway.count('team')).toBe(0);
    await gateway.publish('team', 'e', 'out');
    await gateway.send('ann', 'e', 'end');
    await until(() => ann.every(({ heard }) => heard.length === 2));
    expect(ann.flatMap(({ heard }) => heard)).not.toContain('out');
  });

  test('has nobody join what a token does not permit, nor who is not there', async () => {
    await connect('low', { rooms: { join: ['open'] } });
    await expect(gateway.join('low', 'secret')).rejects.toMatchObject({ code: 'forbidden' });
    expect(await gateway.join('low', 'open')).toBe(1);
    await expect(gateway.join('nobody', 'open')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('a session that was brought into a room gets what it missed while its connection was gone', async () => {
    const { client, heard } = await connect('ann');
    client.room('team').onMessage('*', (data) => void heard.push(data));
    await gateway.join('ann', 'team');
    const { sessionId } = client;
    const lost = lostBy(client);
    await gateway.disconnect('ann', { comeBack: true });
    await lost;
    await gateway.publish('team', 'e', 'missed');
    await until(() => client.state === 'connected');
    expect(client.sessionId).toBe(sessionId);
    await until(() => heard.length > 0);
    expect(heard).toEqual(['missed']);
  });

  test('lists, disconnects and revokes', async () => {
    const [a, b] = [await connect('ann'), await connect('ben')];
    expect(await gateway.clients({ prefix: 'a' })).toEqual({ clients: ['ann'], cursor: null });
    expect([await gateway.isOnline('ben'), await gateway.isOnline('eve')]).toEqual([true, false]);
    expect(await gateway.sessions('ann')).toMatchObject([
      { client: 'ann', session: a.client.sessionId, connected: true },
    ]);
    expect(await gateway.disconnect('ann')).toBe(1);
    await until(() => a.client.state === 'closed');
    await gateway.revoke({ client: 'ben' });
    await until(() => b.client.state === 'closed');
  });

  test.each<[string, () => unknown, string]>([
    ['a name that is none', () => gateway.send('a b', 'e', 1), 'bad_parameter'],
    ['an event that is none', () => gateway.publish('lobby', 'a b', 1), 'bad_parameter'],
    ['data that nobody can encode', () => gateway.send('bob', 'e', () => 1), 'bad_payload'],
    ['a frame that is too large', () => gateway.publish('lobby', 'e', 'x'.repeat(400_000)), 'too_big'],
  ])('refuses %s with a code', async (_, call, code) => {
    await expect(call()).rejects.toMatchObject({ code });
  });

  test('a second gateway in the process is refused with a sentence, and the first goes on', async () => {
    await expect(createGateway(SETTINGS).listen()).rejects.toThrow('A gateway runs in this process');
    expect(await gateway.isOnline('bob')).toBe(false);
  });
});

/** All that the sessions of a client are sent, and how it ends. */
async function bytesOf(readable: ReadableStream<unknown>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of readable as unknown as AsyncIterable<Uint8Array>) pieces.push(piece);
  return Buffer.concat(pieces);
}

describe.each(['embedded', 'redis'] as const)('streams of a program, %s store', (store) => {
  let redis: RedisServer | null = null;
  let gateway: Gateway;
  const clients: Client[] = [];
  beforeAll(async () => {
    if (store === 'redis') redis = await startRedis();
    gateway = createGateway(
      { ...SETTINGS, ...(redis === null ? {} : { REDIS_URL: redis.url }) },
      { name: 'backend' },
    );
    await gateway.listen();
  }, 60_000);
  afterAll(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await gateway.close();
    await redis?.stop();
  }, 60_000);
  const connect = async (name: string, perm: unknown = '*') => {
    const client = new Client(gateway.url, { token: () => gateway.token(name, { perm }) });
    clients.push(client);
    await client.connect();
    return client;
  };
  const sent = randomBytes(300_000);
  const write = async (writable: WritableStream<unknown>) => {
    const writer = writable.getWriter();
    await writer.write(new Uint8Array(sent));
    await writer.close();
  };

  test('to a client, with metadata, bytes back and an answer', async () => {
    const bob = await connect('bob');
    bob.onStream('file', async (stream, from, meta) => {
      const read = await bytesOf(stream.readable);
      const writer = stream.writable.getWriter();
      await writer.write(new Uint8Array(read.subarray(0, 10)));
      await writer.close();
      return { from: from.client, meta, same: read.equals(sent) };
    });
    const stream = await gateway.openStream('bob', 'file', { meta: { size: sent.length } });
    const back = bytesOf(stream.readable);
    await write(stream.writable);
    expect((await back).equals(sent.subarray(0, 10))).toBe(true);
    expect(await stream.reply).toEqual({ from: 'backend', meta: { size: sent.length }, same: true });
    await expect(gateway.openStream('bob', 'unheard')).rejects.toMatchObject({ code: 'no_handler' });
    await expect(gateway.openStream('nobody', 'file')).rejects.toMatchObject({ code: 'not_found' });
  }, 60_000);

  test('to a room and to everybody, with an answer of each reader', async () => {
    const [carol, dora, eve] = [await connect('carol'), await connect('dora'), await connect('eve')];
    for (const client of [carol, dora, eve])
      client.onStream('news', async ({ readable }) => (await bytesOf(readable)).equals(sent));
    await carol.room('hall').join();
    await dora.room('hall').join();
    const toRoom = await gateway.openRoomStream('hall', 'news', { timeoutMs: 2_000 });
    await write(toRoom.writable);
    const answers = (await toRoom.reply).map(({ client, code, data }) => [client, code, data]);
    expect(answers.sort()).toEqual([
      ['carol', 'normal', true],
      ['dora', 'normal', true],
    ]);
    const toAll = await gateway.openBroadcast('news', { timeoutMs: 2_000 });
    await write(toAll.writable);
    const names = (await toAll.reply).filter(({ data }) => data === true).map(({ client }) => client);
    expect(names.sort()).toEqual(['carol', 'dora', 'eve']);
  }, 60_000);

  test('from a client that may open one to the program, until it takes no more', async () => {
    const remove = await gateway.onStream('upload', async ({ readable }, from) => [
      from.client,
      (await bytesOf(readable)).equals(sent),
    ]);
    const frank = await connect('frank', { streams: ['backend'], send: ['backend'] });
    const stream = await frank.openStream('backend', 'upload');
    await write(stream.writable);
    expect(await stream.reply).toEqual(['frank', true]);
    const gina = await connect('gina', { send: ['backend'] });
    await expect(gina.openStream('backend', 'upload')).rejects.toMatchObject({ code: 'not_found' });
    remove();
    await expect(frank.openStream('backend', 'upload')).rejects.toMatchObject({ code: 'no_handler' });
  }, 60_000);

  test.each<[string, () => Promise<unknown>]>([
    ['disconnected', () => gateway.disconnect('backend')],
    ['revoked', () => gateway.revoke({ client: 'backend' })],
  ])(
    'takes streams again after its session was %s, without another call',
    async (name, end) => {
      const ivy = await connect('ivy');
      const remove = await gateway.onStream(name, () => 'heard');
      const [place] = await gateway.sessions('backend');
      await end();
      await until(async () => {
        const [next] = await gateway.sessions('backend');
        return next !== undefined && next.session !== place?.session;
      });
      const stream = await ivy.openStream('backend', name);
      expect(await stream.reply).toBe('heard');
      remove();
      await expect(ivy.openStream('backend', name)).rejects.toMatchObject({ code: 'no_handler' });
    },
    60_000,
  );

  test('goes on where the worker that carries the program’s session is killed', async () => {
    const hank = await connect('hank');
    const read = new Promise<Buffer>((resolve) => {
      hank.onStream('long', async ({ readable }) => resolve(await bytesOf(readable)));
    });
    const stream = await gateway.openStream('hank', 'long');
    const writer = stream.writable.getWriter();
    await writer.write(new Uint8Array(sent));
    for (const { worker } of await gateway.sessions('backend')) {
      const pid = gateway.workers().find(({ id }) => id === worker)?.pid;
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
    }
    await writer.write(new Uint8Array(sent));
    await writer.close();
    expect((await read).equals(Buffer.concat([sent, sent]))).toBe(true);
  }, 60_000);
});

test('streams of a program need a key that can sign, and a gateway that runs', async () => {
  const gateway = createGateway(SETTINGS);
  await expect(gateway.openStream('bob', 'file')).rejects.toMatchObject({ code: 'closed' });
  await gateway.close();
  await expect(gateway.onStream('file', () => undefined)).rejects.toMatchObject({ code: 'closed' });
});

describe('createGateway', () => {
  test('tells all mistakes at once, in the words of the configuration', () => {
    const make = (settings: object) => () => createGateway(settings);
    expect(make({ PORT: 70_000, WORKRES: 2, NONSENSE: 1, ORIGINS: ['https://a.example/x'] })).toThrow(
      ConfigError,
    );
    expect(make({ PORT: 70_000 })).toThrow('PORT is "70000": a whole number from 0 to 65535 is wanted');
    expect(make({ WORKRES: 2 })).toThrow('WORKRES is no setting: WORKERS is');
    expect(make({ NONSENSE: 1 })).toThrow('NONSENSE is no setting');
    expect(make({ ORIGINS: ['https://a.example', 'https://a.example/x'] })).toThrow(
      'ORIGINS holds "https://a.example/x"',
    );
  });

  test('reads nothing from the environment', () => {
    process.env.PORT = 'nonsense';
    try {
      expect(() => createGateway({ JWT_SECRET: SECRET })).not.toThrow();
    } finally {
      delete process.env.PORT;
    }
  });

  test('answers calls before listen and after close with a code', async () => {
    const gateway = createGateway(SETTINGS);
    await expect(gateway.send('bob', 'e', 1)).rejects.toMatchObject({ code: 'closed' });
    await gateway.close();
    await expect(gateway.listen()).rejects.toThrow('was closed');
  });

  test('says which port is taken, and runs where the mistake is mended', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const failing = createGateway({ ...SETTINGS, PORT: port });
    await expect(failing.listen()).rejects.toThrow(`Port ${String(port)} of 127.0.0.1 cannot be used`);
    taken.close();
    await once(taken, 'close');
    const gateway = createGateway({ ...SETTINGS, PORT: port });
    await gateway.listen();
    expect(gateway.port).toBe(port);
    await gateway.close();
  });
});

describe('a program with a gateway', () => {
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  const start = (settings: object, flags: string[] = []) => {
    const program = fileURLToPath(new URL('program.mjs', import.meta.url));
    const text = JSON.stringify({ ...SETTINGS, ...settings });
    const child = spawn(process.execPath, [...flags, program, text], {
      env: { ...process.env, PROGRAM: program },
    });
    children.push(child);
    const exited = once(child, 'exit').then(([code]) => code as number | null);
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => (output += String(chunk)));
    const told = () =>
      output
        .split('\n')
        .flatMap((line) =>
          line.startsWith('program: ') ? [JSON.parse(line.slice(9)) as Record<string, unknown>] : [],
        );
    return { child, exited, told, output: () => output };
  };

  test('keeps its signals and its flags to itself, closes the gateway and ends', async () => {
    const { child, exited, told, output } = start({}, [
      '--input-type=module',
      '-e',
      'await import(process.env.PROGRAM)',
    ]);
    const ready = await until(() => told()[0]);
    const client = new Client(String(ready.url), { token: 'none' });
    await expect(client.connect()).rejects.toMatchObject({ code: 'invalid_token' });
    child.kill('SIGTERM');
    expect([await exited, told()[1], output().includes('Error')]).toEqual([0, { closed: true }, false]);
  });

  test('leaves no worker behind when it is killed', async () => {
    const { child, exited, told } = start({});
    const ready = await until(() => told()[0]);
    const pids = (ready.workers as { pid: number }[]).map(({ pid }) => pid);
    child.kill('SIGKILL');
    await exited;
    await until(() => pids.every((pid) => !isAlive(pid)));
  });

  test('is told when the workers crash in a loop, and goes on without', async () => {
    const { child, exited, told } = start({ CRASH_LOOP_LIMIT: 2, WORKERS: 1 });
    const ready = await until(() => told()[0]);
    const [{ pid = 0 } = {}] = ready.workers as { pid?: number }[];
    process.kill(pid, 'SIGKILL');
    // The one that follows it: found by its parent, since the program tells only once.
    await until(async () => {
      for (const next of await childrenOf(child.pid ?? 0)) if (next !== pid) process.kill(next, 'SIGKILL');
      return told()[1];
    });
    expect(told()[1]).toEqual({ warning: expect.stringContaining('crash in a loop') });
    expect(await exited).toBe(0);
  });
});

function valuesOf(heard: unknown[]): unknown[] {
  return heard.map((row) => (row as unknown[])[1]).sort();
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function childrenOf(pid: number): Promise<number[]> {
  const { readFile } = await import('node:fs/promises');
  const text = await readFile(`/proc/${String(pid)}/task/${String(pid)}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
}

test('PLUGINS may be an array, of paths and of entries with options', async () => {
  const options = { url: 'http://127.0.0.1:9/', secret: SECRET };
  const gateway = createGateway({
    ...SETTINGS,
    WORKERS: 1,
    LOG_LEVEL: 'silent',
    PLUGINS: ['./test/plugin/modules/tagger.mjs', { module: 'webhooks', options }],
  });
  await gateway.listen();
  const client = new Client(gateway.url, { token: () => gateway.token('banned') });
  try {
    await expect(client.connect()).rejects.toMatchObject({ code: 'kicked' });
  } finally {
    await client.close();
    await gateway.close();
  }
  expect(() => createGateway({ PLUGINS: ['./not-there.mjs'] })).toThrow(
    /"\.\/not-there\.mjs", which is not there/,
  );
});
