// The API for servers, without workers: what it takes, whom it lets in, and what its document says.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { API_ROUTES } from '../../src/admin/api-routes.js';
import { type AdminServer, startAdminServer } from '../../src/admin/server.js';
import { parseConfig } from '../../src/config.js';
import type { ServerAnswer, ServerCall } from '../../src/relay/server-call.js';
import { ADMIN_KEY, SECRET } from '../gateway-process.js';

const ORDERS_KEY = 'orders-key-for-tests-0123456789abcdefgh';

describe('the API for servers', () => {
  const directory = mkdtempSync(join(tmpdir(), 'signalbox-api-'));
  const file = join(directory, 'keys.json');
  const writeKeys = (perm: unknown, key = ORDERS_KEY): void => {
    writeFileSync(file, JSON.stringify({ orders: { key, perm } }));
  };
  let server: AdminServer;
  let calls: ServerCall[];
  let answers: ServerAnswer[] | null;
  const start = async (env: Record<string, string> = {}): Promise<void> => {
    const config = parseConfig({
      ...{ JWT_SECRET: SECRET, ADMIN_PORT: '0', PORT: '0', ADMIN_KEY, API_KEYS_FILE: file },
      ...env,
    });
    const started = await startAdminServer(config, {
      metrics: async () => '',
      locate: async () => [],
      revoke: () => Promise.resolve(null),
      tests: () => ({ sinceMs: 0, reports: 0, groups: [] }),
      workers: () => [],
      call: (made) => {
        calls = made;
        return Promise.resolve(answers ?? made.map(() => ({ status: 'ok', result: { id: 'e:1-2' } })));
      },
    });
    if (started === null) throw new Error('the admin port is off');
    server = started;
  };
  beforeEach(() => {
    writeKeys({ rooms: { publish: ['news'] } });
    calls = [];
    answers = null;
  });
  afterEach(() => {
    server.close();
  });
  afterEach(() => {
    rmSync(file, { force: true });
  });

  const ask = async (
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; body: unknown; retryAfter: string | null }> => {
    const response = await fetch(`http://127.0.0.1:${String(server.port)}/api/v1/${path}`, {
      method,
      headers: { Authorization: `Bearer ${ADMIN_KEY}`, ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const retryAfter = response.headers.get('retry-after');
    return { status: response.status, body: await response.json(), retryAfter };
  };

  test('a message becomes the frame of the client that its key stands for', async () => {
    await start();
    const body = { room: 'news', event: 'flash', data: { a: [1] }, except: ['bob'] };
    const orders = { Authorization: `Bearer ${ORDERS_KEY}` };
    expect(await ask('POST', 'publish', body, orders)).toMatchObject({ status: 200, body: { id: 'e:1-2' } });
    expect(calls).toEqual([
      {
        client: 'orders',
        perm: { rooms: { publish: ['news'] } },
        kind: 'frame',
        frame: '[35,1,null,{"except":["bob"]},"news","flash","json",{"a":[1]}]',
        idempotencyKey: null,
      },
    ]);
    await ask('POST', 'publish', { room: 'news', event: 'e' }, { 'Idempotency-Key': 'k1' });
    expect(calls).toMatchObject([
      { client: 'admin', frame: '[35,1,1,{"first":1},"news","e","none",null]', idempotencyKey: 'k1' },
    ]);
  });

  test('each of several targets answers for itself; where nobody got it the status says why', async () => {
    await start();
    answers = [
      { status: 'ok', result: { id: 'e:1-2' } },
      { status: 'refused', code: 'not_found', text: 'nobody' },
    ];
    expect(await ask('POST', 'send', { to: ['bob', 'eve'], event: 'e', offline: 'keep' })).toMatchObject({
      status: 200,
      body: { accepted: [{ to: 'bob', id: 'e:1-2' }], refused: [{ to: 'eve', code: 'not_found' }] },
    });
    expect(calls.map((call) => (call.kind === 'frame' ? call.frame : ''))).toEqual([
      '[16,1,null,{"offline":"keep"},"bob","e","none",null]',
      '[16,1,null,{"offline":"keep"},"eve","e","none",null]',
    ]);
    answers = [{ status: 'refused', code: 'not_found', text: 'nobody' }];
    expect(await ask('POST', 'send', { to: 'eve', event: 'e' })).toMatchObject({
      status: 404,
      body: { code: 'not_found', message: 'nobody' },
    });
  });

  test.each<[string, string, unknown, string]>([
    ['no JSON', 'publish', '{', 'the body'],
    ['nothing', 'publish', '', 'room'],
    ['a list', 'publish', [], 'the body'],
    ['a room that is no name', 'publish', { room: 'a b', event: 'e' }, 'room'],
    ['no event', 'publish', { room: 'a' }, 'event'],
    ['a field that nobody knows', 'publish', { room: 'a', event: 'e', rom: 1 }, 'rom'],
    ['no target', 'send', { to: [], event: 'e' }, 'to'],
    ['a target twice', 'send', { to: ['a', 'a'], event: 'e' }, 'to'],
    [
      'too many targets',
      'send',
      { to: Array.from({ length: 257 }, (_, i) => `c${String(i)}`), event: 'e' },
      'to',
    ],
    ['a target that is none', 'send', { to: 'a#b', event: 'e' }, 'to'],
    ['a time to live of nothing', 'send', { to: 'a', event: 'e', ttlMs: 0 }, 'ttlMs'],
    ['another word for keep', 'send', { to: 'a', event: 'e', offline: 'yes' }, 'offline'],
    ['a session that is none', 'clients/a/disconnect', { session: 'x' }, 'session'],
    ['a client that is none', 'clients/a%20b/disconnect', {}, 'client'],
    ['a room to join that is none', 'clients/a/join', { room: 'a b' }, 'room'],
    ['no room to join', 'clients/a/join', {}, 'room'],
    ['a time-out of more than a minute', 'request', { to: 'a', event: 'e', timeoutMs: 60_001 }, 'timeoutMs'],
    ['a request to several', 'request', { to: ['a'], event: 'e' }, 'to'],
    ['a client and a token', 'revocations', { client: 'a', token: 'b' }, 'the body'],
  ])('%s is refused, with the place', async (_, path, body, place) => {
    await start();
    const { status, body: answer } = await ask('POST', path, body);
    expect([status, answer]).toMatchObject([400, { code: 'bad_parameter' }]);
    expect((answer as { message: string }).message).toContain(place);
    expect(calls).toEqual([]);
  });

  test('pages are asked for in the query, within limits', async () => {
    await start();
    await ask('GET', 'rooms/a%2Fb/members?limit=7&cursor=x');
    await ask('GET', 'clients?prefix=a');
    expect(calls).toMatchObject([{ frame: '[50,1,"a",null,100]' }]);
    for (const query of ['limit=0', 'limit=1001', 'limit=x', 'page=2', 'limit=1&limit=x'])
      expect((await ask('GET', `clients?${query}`)).status).toBe(400);
  });

  test('a key does what its perm says, and admin is a permission', async () => {
    await start();
    const orders = { Authorization: `Bearer ${ORDERS_KEY}` };
    for (const [method, path] of [
      ['GET', 'workers'],
      ['GET', 'clients/alice'],
      ['POST', 'revocations'],
      ['POST', 'clients/alice/disconnect'],
      ['POST', 'clients/alice/join'],
      ['POST', 'clients/alice/leave'],
    ] as const)
      expect((await ask(method, path, method === 'GET' ? undefined : {}, orders)).status).toBe(403);
  });

  test('who tries keys is slowed, and nobody else', async () => {
    await start();
    const statuses: number[] = [];
    for (let i = 0; i < 14; i++)
      statuses.push(
        (await ask('GET', 'workers', undefined, { Authorization: `Bearer guess${String(i)}` })).status,
      );
    expect(statuses.slice(0, 9)).toEqual(Array(9).fill(401));
    expect(statuses.at(-1)).toBe(429);
    expect((await ask('GET', 'workers')).status).toBe(200);
  });

  test('A2 a key in the URL is none', async () => {
    await start();
    for (const name of ['api_key', 'apikey', 'key', 'token', 'access_token'])
      expect(
        (await ask('GET', `workers?${name}=${ADMIN_KEY}`, undefined, { Authorization: '' })).status,
      ).toBe(401);
  });

  test('A3 a page of another site cannot ask: no preflight is answered, and nothing is sent by the browser itself', async () => {
    await start();
    const url = `http://127.0.0.1:${String(server.port)}/api/v1/publish`;
    const Origin = 'https://evil.example';
    const preflight = await fetch(url, {
      method: 'OPTIONS',
      headers: {
        Origin,
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'authorization',
      },
    });
    expect(preflight.ok).toBe(false);
    expect(preflight.headers.get('access-control-allow-origin')).toBeNull();
    const form = await fetch(url, {
      method: 'POST',
      headers: { Origin, 'Content-Type': 'text/plain', Cookie: `key=${ADMIN_KEY}` },
      body: '{"room":"news","event":"e"}',
    });
    expect([form.status, form.headers.get('access-control-allow-origin')]).toEqual([401, null]);
    expect(calls).toEqual([]);
  });

  test('A5 a body that is nested without end, or names __proto__, changes nothing here', async () => {
    await start();
    const publish = (data: string) => ask('POST', 'publish', `{"room":"news","event":"e","data":${data}}`);
    expect(
      (await ask('POST', 'publish', '{"room":"news","event":"e","__proto__":{"admin":true}}')).status,
    ).toBe(400);
    expect((await publish('{"__proto__":{"admin":true}}')).status).toBe(200);
    expect(JSON.stringify(calls)).toContain('__proto__');
    expect('admin' in {}).toBe(false);
    // It is data like any other: passed on as it came.
    expect((await publish(`${'['.repeat(1000)}${']'.repeat(1000)}`)).status).toBe(200);
    expect((await publish('['.repeat(1000))).status).toBe(400);
  });

  test('calls of one key are limited, with the time to wait', async () => {
    await start({ API_CALLS_PER_SECOND_LIMIT: '2' });
    const statuses = await Promise.all(Array.from({ length: 12 }, () => ask('GET', 'workers')));
    expect(statuses.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(4);
    const slowed = statuses.filter(({ status }) => status === 429);
    expect(slowed.length).toBeGreaterThan(0);
    expect(slowed[0]?.retryAfter).toBe('1');
    expect((await ask('GET', 'workers', undefined, { Authorization: `Bearer ${ORDERS_KEY}` })).status).toBe(
      403,
    );
  });

  test('keys are read again; a broken file changes nothing', async () => {
    await start();
    const second = 'another-key-for-tests-0123456789abcdef';
    writeKeys('*', second);
    server.reload();
    expect((await ask('GET', 'workers', undefined, { Authorization: `Bearer ${second}` })).status).toBe(200);
    expect((await ask('GET', 'workers', undefined, { Authorization: `Bearer ${ORDERS_KEY}` })).status).toBe(
      401,
    );
    writeFileSync(file, '{');
    expect(() => {
      server.reload();
    }).toThrow('JSON');
    expect((await ask('GET', 'workers', undefined, { Authorization: `Bearer ${second}` })).status).toBe(200);
  });

  test('the document names every route, with its body, query and permission', async () => {
    await start();
    const { status, body } = await ask('GET', 'openapi.json', undefined, { Authorization: '' });
    const { paths } = body as { paths: Record<string, Record<string, { description: string }>> };
    expect(status).toBe(200);
    const named = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(named.sort()).toEqual(API_ROUTES.map(({ method, path }) => `${method} ${path}`).sort());
    // And each of them is there.
    for (const { method, path } of API_ROUTES) {
      const { status: found } = await ask(
        method,
        path.slice('/api/v1/'.length).replace(/\{\w+\}/, 'x'),
        method === 'POST' ? '{' : undefined,
      );
      expect([path, found]).not.toEqual([path, 404]);
    }
    expect(paths['/api/v1/send']?.post?.description).toContain('`send`');
  });
});
