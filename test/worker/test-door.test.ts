// The door of the connection test page: who gets the page, a token, and whose report is taken.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Config, parseConfig } from '../../src/config.js';
import type { TestReport } from '../../src/protocol/test-report.js';
import { createAuthenticator } from '../../src/session/authenticator.js';
import { parsePermissions } from '../../src/session/permissions.js';
import { signToken } from '../../src/session/sign-token.js';
import { TestDoor } from '../../src/worker/test-door.js';
import { TestGuests } from '../../src/worker/test-guests.js';

const KEY = 'a'.repeat(32);
const SECRET = 'k3rVt0Qm9pLw2sXy7uBn4dFg6hJz8cAe1iRo5TqW';
const REPORT: TestReport = { browser: 'edge', platform: 'windows', network: 'wifi', measures: [], pairs: [] };

let directory: string;
let server: Server;
let door: TestDoor;
let config: Config;
let taken: TestReport[];
let time: number;

async function open(env: Record<string, string>): Promise<void> {
  directory = mkdtempSync(join(tmpdir(), 'test-door-'));
  for (const type of ['html', 'css', 'js']) writeFileSync(join(directory, `test-page.${type}`), type);
  writeFileSync(join(directory, 'test-page-old.js'), 'old');
  config = parseConfig(env);
  taken = [];
  time = 0;
  door = new TestDoor({
    config,
    webDirectory: directory,
    guests: new TestGuests({ sign: (wish) => signToken(config.tokens, wish), secret: SECRET }),
    authenticator: createAuthenticator(config.tokens, {
      refused: () => {},
      isRevoked: () => false,
      keysFailed: () => {},
    }),
    admission: { takeHandshake: () => true },
    tested: (report) => taken.push(report),
    count: () => {},
    now: () => time,
  });
  const { routes } = door;
  server = createServer((incoming, response) => {
    const path = incoming.url ?? '';
    const handle = routes[path]?.[incoming.method ?? ''];
    if (handle === undefined) door.other(path, incoming, response);
    else handle(incoming, response, new URLSearchParams());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
}
const production = () => open({ JWT_SECRET: SECRET, TEST_PAGE: 'on', ORIGINS: 'https://gw.example' });

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true });
});

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

function ask(
  method: string,
  path: string,
  { host = 'gw.example', body = '', ...headers }: Record<string, string> = {},
): Promise<Answer> {
  const { port } = server.address() as AddressInfo;
  return new Promise((resolve, reject) => {
    const asked = request(
      { port, host: '127.0.0.1', method, path, headers: { host, ...headers } },
      (answer) => {
        let text = '';
        answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }),
        );
      },
    );
    asked.on('error', reject);
    asked.end(body);
  });
}
const OWN = { origin: 'https://gw.example' };
const admit = (some: Record<string, string> = {}) =>
  ask('POST', '/test/token', { ...OWN, body: JSON.stringify({ key: KEY }), ...some });

describe('in production', () => {
  beforeEach(production);

  test('serves the page with a policy that lets it talk to its own gateway only', async () => {
    const { status, headers, body } = await ask('GET', '/test');
    expect([status, body, headers['content-type']]).toEqual([200, 'html', 'text/html; charset=utf-8']);
    const policy = String(headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("connect-src 'self' ws://gw.example wss://gw.example;");
    expect(policy).not.toMatch(/unsafe|\*/);
    expect((await ask('HEAD', '/test/page.js')).body).toBe('');
    expect((await ask('DELETE', '/test')).status).toBe(405);
  });

  test.each(['evil.example; script-src *', 'a b', "x'y", 'a'.repeat(300)])(
    'is not there for the Host %j, which could write the policy',
    async (host) => {
      expect((await ask('GET', '/test', { host })).status).toBe(404);
    },
  );

  test('gives its own page a token that is good for the test and nothing else', async () => {
    const { status, body } = await admit();
    expect(status).toBe(200);
    const guest = JSON.parse(body);
    expect(guest).toMatchObject({ client: expect.stringMatching(/^~test-[0-9a-f]{16}$/), room: '~test' });
    const claims = JSON.parse(Buffer.from(guest.token.split('.')[1], 'base64url').toString());
    expect(claims.sub).toBe(guest.client);
    expect(claims.exp - claims.iat).toBe(600);
    const permissions = parsePermissions(claims.perm);
    expect(permissions).toMatchObject({ turn: true, admin: false });
    expect([permissions.send.all, permissions.send.exact.size, permissions.send.prefixes]).toEqual([
      false,
      0,
      ['~test-'],
    ]);
    expect([...permissions.join.exact]).toEqual(['~test']);
    for (const name of ['list', 'provide', 'call', 'streams'] as const)
      expect(permissions[name]).toMatchObject({ all: false, prefixes: [] });
  });

  test('serves the script for browsers that cannot run the page under the same policy', async () => {
    const { status, headers, body } = await ask('GET', '/test/old.js');
    expect([status, body, headers['content-type']]).toEqual([200, 'old', 'text/javascript; charset=utf-8']);
  });

  test('tells a page of its own whose origin may not connect that it is not in ORIGINS', async () => {
    const { status, body } = await admit({ host: 'gw.example:8443', origin: 'https://gw.example:8443' });
    expect([status, JSON.parse(body)]).toEqual([
      403,
      { code: 'origin', text: expect.stringContaining('Pages of https://gw.example:8443 may not connect') },
    ]);
  });

  test('gives the same guest for the same key, and another one for another key', async () => {
    const clients = [];
    for (const key of [KEY, KEY, 'b'.repeat(32)])
      clients.push(JSON.parse((await admit({ body: JSON.stringify({ key }) })).body).client);
    expect(clients[0]).toBe(clients[1]);
    expect(clients[2]).not.toBe(clients[0]);
  });

  test.each([
    ['another page', { origin: 'https://evil.example' }, 403],
    ['a page in a sandbox', { origin: 'null' }, 403],
    ['a page under another name', { origin: 'https://evil.example', host: 'other.example' }, 403],
    ['a key that is short', { body: '{"key":"abc"}' }, 400],
    ['a key that is no text', { body: '{"key":{}}' }, 400],
    ['what is no JSON', { body: '{' }, 400],
    ['a large body', { body: 'x'.repeat(20_000) }, 413],
  ])('gives %s no token', async (_case, some, status) => {
    expect((await admit(some)).status).toBe(status);
  });

  test('gives what sends no origin no token', async () => {
    expect((await ask('POST', '/test/token', { body: JSON.stringify({ key: KEY }) })).status).toBe(403);
  });

  test('takes the report of a guest, checked, and tells the summary that it learned', async () => {
    const { token } = JSON.parse((await admit()).body);
    const authorization = `Bearer ${token}`;
    const post = (body: unknown) =>
      ask('POST', '/test/results', { authorization, body: JSON.stringify(body) });
    expect((await post({ ...REPORT, secret: 1 })).status).toBe(204);
    expect(taken).toEqual([REPORT]);
    const refused = await post({ ...REPORT, browser: 'x' });
    expect([refused.status, JSON.parse(refused.body).code]).toEqual([400, 'bad_parameter']);
    expect(taken).toHaveLength(1);
    expect(JSON.parse((await ask('GET', '/test/results')).body)).toMatchObject({ reports: 0, groups: [] });
    door.learn({ sinceMs: 1, reports: 7, groups: [] });
    expect(JSON.parse((await ask('GET', '/test/results')).body)).toEqual({
      sinceMs: 1,
      reports: 7,
      groups: [],
    });
  });

  test('takes no report of a client of the application, and none without a token', async () => {
    const alice = signToken(config.tokens, { sub: 'alice', ttlS: 60, perm: '*' });
    const body = JSON.stringify(REPORT);
    for (const authorization of [`Bearer ${alice}`, 'Bearer a.b.c', ''])
      expect((await ask('POST', '/test/results', { authorization, body })).status).toBe(401);
    expect(taken).toEqual([]);
  });

  test('takes so many reports of one address, and more when time has passed', async () => {
    const { token } = JSON.parse((await admit()).body);
    const post = () =>
      ask('POST', '/test/results', { authorization: `Bearer ${token}`, body: JSON.stringify(REPORT) });
    const statuses = [];
    for (let i = 0; i < 62; i++) statuses.push((await post()).status);
    expect(statuses.slice(0, 60)).toEqual(new Array(60).fill(204));
    expect(statuses.at(-1)).toBe(429);
    time += 60_000;
    expect((await post()).status).toBe(204);
  });
});

describe('with pages of many addresses', () => {
  const body = JSON.stringify(REPORT);
  let authorization: string;
  beforeEach(async () => {
    await open({
      JWT_SECRET: SECRET,
      TEST_PAGE: 'on',
      ORIGINS: 'https://gw.example',
      TRUSTED_PROXIES: '127.0.0.1',
    });
    authorization = `Bearer ${JSON.parse((await admit()).body).token}`;
  });

  async function flood(bearer: string): Promise<number[]> {
    const statuses: number[] = [];
    for (let i = 0; i < 300; i++) {
      const headers = { authorization: bearer, 'x-forwarded-for': `203.0.113.${String(i % 250)}` };
      statuses.push((await ask('POST', '/test/results', { ...headers, body })).status);
    }
    return statuses;
  }

  test('those without a token keep nobody from reporting', async () => {
    expect(new Set(await flood('Bearer a.b.c'))).toEqual(new Set([401]));
    expect((await ask('POST', '/test/results', { authorization, body })).status).toBe(204);
  });

  test('takes so many reports of all, and what was refused is not owed', async () => {
    const statuses = await flood(authorization);
    expect([statuses[0], statuses.at(-1)]).toEqual([204, 429]);
    time += 100;
    expect((await ask('POST', '/test/results', { authorization, body })).status).toBe(204);
  });
});

test('in development it is there for this machine only', async () => {
  await open({});
  expect((await ask('GET', '/test', { host: 'localhost:8080' })).status).toBe(200);
  expect((await ask('GET', '/test', { host: 'gw.example' })).status).toBe(404);
  expect((await admit()).status).toBe(403);
  const local = { host: '127.0.0.1:8080', origin: 'http://127.0.0.1:8080' };
  expect((await admit(local)).status).toBe(200);
});

test('the tag of a network is the same for one address and one day, and tells no address', async () => {
  await production();
  let now = Date.UTC(2026, 0, 1, 12);
  const guests = (secret: string) => new TestGuests({ sign: () => 'token', secret, now: () => now });
  const tag = (address: string, secret = SECRET) => guests(secret).admit(KEY, address)?.network ?? '';
  const tags = [tag('203.0.113.5'), tag('203.0.113.6'), tag('203.0.113.5', 'another')];
  expect(tag('203.0.113.5')).toBe(tags[0]);
  expect(new Set(tags).size).toBe(3);
  expect(tags[0]).toMatch(/^[A-Za-z0-9_-]{12}$/);
  now += 86_400_000;
  expect(tag('203.0.113.5')).not.toBe(tags[0]);
});
