// The admin port: what it answers, to whom, and under which name.
import { request } from 'node:http';
import { afterEach, describe, expect, test } from '@jest/globals';
import { type AdminSource, startAdminServer } from '../../src/admin/server.js';
import { parseConfig } from '../../src/config.js';
import { ADMIN_KEY, SECRET } from '../gateway-process.js';

const LONGEST = '/'.repeat(128);

describe('the admin port', () => {
  const running: { close(): void }[] = [];
  afterEach(() => {
    for (const server of running.splice(0)) server.close();
  });

  async function start(env: Record<string, string> = { ADMIN_KEY }, source: Partial<AdminSource> = {}) {
    const config = parseConfig({ JWT_SECRET: SECRET, ADMIN_PORT: '0', PORT: '0', ...env });
    const server = await startAdminServer(config, {
      metrics: async () => '',
      locate: async () => [],
      revoke: () => Promise.resolve(null),
      tests: () => ({ sinceMs: 0, reports: 0, groups: [] }),
      workers: () => [{ id: 'n.1', pid: 1, state: 'ready' }],
      call: (calls) => Promise.resolve(calls.map(() => ({ status: 'ok', result: { id: 'e:1-2' } }))),
      ...source,
    });
    if (server === null) throw new Error('the admin port is off');
    running.push(server);
    const get = async (path: string, headers: Record<string, string> = {}) => {
      const { status, text } = await ask(server.port, path, headers);
      return { status, body: text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : text };
    };
    return Object.assign(get, { port: server.port });
  }
  const bearer = (key: string) => ({ Authorization: `Bearer ${key}` });

  test('answers health and metrics without a key', async () => {
    const get = await start();
    expect(await get('/healthz')).toEqual({ status: 200, body: { status: 'ok' } });
    expect((await get('/metrics')).status).toBe(200);
    expect(await get('/elsewhere')).toEqual({ status: 404, body: { code: 'not_found' } });
  });

  test('has no API without a key of its own', async () => {
    const get = await start({});
    for (const path of ['/api/v1/workers', '/api/v1/clients/alice'])
      expect((await get(path, bearer(''))).status).toBe(404);
  });

  test('says why a revocation was not taken', async () => {
    for (const [refusal, status] of [
      ['limit', 507],
      ['unavailable', 503],
      ['unknown_outcome', 504],
    ] as const) {
      const { port } = await start({ ADMIN_KEY }, { revoke: () => Promise.resolve(refusal) });
      const url = `http://127.0.0.1:${String(port)}/api/v1/revocations`;
      const response = await fetch(url, {
        method: 'POST',
        headers: bearer(ADMIN_KEY),
        body: '{"client":"alice"}',
      });
      expect([response.status, await response.json()]).toMatchObject([status, { code: refusal }]);
    }
  });

  test('answers who sends more than it reads', async () => {
    const { port } = await start();
    const post = async (body: string) => {
      const url = `http://127.0.0.1:${String(port)}/api/v1/revocations`;
      const response = await fetch(url, { method: 'POST', headers: bearer(ADMIN_KEY), body });
      return [response.status, await response.json()];
    };
    const padded = (length: number) => '{ "client": "alice" }'.padEnd(length);
    expect(await post(padded(262_144))).toMatchObject([200, { kind: 'client', id: 'alice' }]);
    expect(await post(padded(262_145))).toMatchObject([413, { code: 'too_big' }]);
    expect(await post('x'.repeat(1000))).toMatchObject([400, { code: 'bad_parameter' }]);
  });

  test.each(['/api/v1/workers', '/api/v1/clients/alice'])('refuses %s with a wrong key', async (path) => {
    const get = await start();
    const wrong = [{}, bearer(''), bearer('x'), bearer(`${ADMIN_KEY}x`), { Authorization: ADMIN_KEY }];
    for (const headers of wrong)
      expect(await get(path, headers)).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
    expect((await get(path, bearer(ADMIN_KEY))).status).toBe(200);
  });

  test('finds a client by any id there can be', async () => {
    const asked: string[] = [];
    const get = await start(
      { ADMIN_KEY },
      {
        locate: async (client) => {
          asked.push(client);
          return [];
        },
      },
    );
    for (const id of ['a', 'x'.repeat(101), 'x'.repeat(128), LONGEST]) {
      const path = `/api/v1/clients/${encodeURIComponent(id)}`;
      expect(await get(path, bearer(ADMIN_KEY))).toEqual({ status: 200, body: { client: id, sessions: [] } });
    }
    expect(asked).toHaveLength(4);
    for (const id of ['x'.repeat(129), 'a b', '%00'])
      expect((await get(`/api/v1/clients/${encodeURIComponent(id)}`, bearer(ADMIN_KEY))).status).toBe(400);
  });

  test('tells when the directory cannot be asked, and when metrics fail', async () => {
    const get = await start(
      { ADMIN_KEY },
      { locate: async () => null, metrics: () => Promise.reject(new Error('no worker answers')) },
    );
    expect((await get('/api/v1/clients/alice', bearer(ADMIN_KEY))).status).toBe(503);
    expect((await get('/metrics')).status).toBe(500);
  });

  test.each([
    ['127.0.0.1:9090', 200],
    ['10.1.2.3', 200],
    ['[::1]:9090', 200],
    ['LocalHost:9090', 200],
    ['evil.example', 421],
    ['evil.example:9090', 421],
    ['localhost.evil.example', 421],
    ['127.0.0.1.evil.example', 421],
    ['[evil.example]', 421],
  ])('answers the Host %j with %i', async (Host, status) => {
    const get = await start();
    expect((await get('/metrics', { Host })).status).toBe(status);
    expect((await get('/api/v1/workers', { Host, ...bearer(ADMIN_KEY) })).status).toBe(status);
  });
});

/** By node:http: fetch allows no Host of one's own. */
function ask(
  port: number,
  path: string,
  headers: Record<string, string>,
): Promise<{ status: number | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('end', () => {
        resolve({ status: response.statusCode, text });
      });
    })
      .on('error', reject)
      .end();
  });
}
