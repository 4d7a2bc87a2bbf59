// What hostile and broken clients of the HTTP transports get: the checks of the WebSocket door, and those of requests.
import { createConnection } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type GatewayProcess, startGateway, tokenOf, until } from '../gateway-process.js';
import { type Ask, askHttp, post, RawStream } from './raw-http.js';
import { ask } from './raw-websocket.js';

const ORIGIN = 'https://app.example.org';
let gateway: GatewayProcess;
beforeAll(async () => {
  gateway = await startGateway({
    ORIGINS: ORIGIN,
    HELLO_TIMEOUT_MS: '3000',
    HEADERS_TIMEOUT_MS: '1000',
    FRAME_LIMIT_BYTES: '65536',
    OUTBOX_LIMIT_BYTES: '65536',
    CONNECTIONS_PER_ADDRESS_LIMIT: '20',
    WORKERS: '1',
    BYTES_PER_SECOND_LIMIT: '0',
    CLIENT_BYTES_PER_SECOND_LIMIT: '0',
    MESSAGES_PER_SECOND_LIMIT: '0',
    CRASH_LOOP_LIMIT: '3',
  });
});
afterAll(async () => {
  await until(async () => (await gateway.metric('connections')) === 0);
  expect(await gateway.stop()).toBe(0);
});

const events = (headers: Record<string, string> = {}, query = ''): Ask => ({
  path: `/v1/events${query}`,
  headers,
});
const frames = (headers: Record<string, string>, body: string | Buffer = ''): Ask => ({
  method: 'POST',
  path: '/v1/frames',
  headers: {
    'Signalbox-Connection': 'x',
    'Signalbox-Number': '1',
    'Content-Type': 'application/x-ndjson',
    ...headers,
  },
  body,
});

test.each<[string, Ask, number, string]>([
  ['a page of another origin', events({ Origin: 'https://evil.example' }), 403, 'origin'],
  ['a neighbour of the origin', events({ Origin: `${ORIGIN}.evil.example` }), 403, 'origin'],
  ['a page that hides its origin', events({ 'Sec-Fetch-Site': 'cross-site' }), 403, 'origin'],
  ['a token in the URL', events({}, '?token=x'), 400, 'token_in_url'],
  ['a codec that nobody knows', events({}, '?codec=xml'), 400, 'codec'],
  ['a client that takes no events', events({ Accept: 'application/json' }), 406, 'accept'],
  ['a body with GET', { ...events({ 'Content-Length': '1' }), body: 'x' }, 400, 'body'],
  ['another method', { method: 'DELETE', path: '/v1/events' }, 405, 'method_not_allowed'],
  ['POST to a poll', { method: 'POST', path: '/v1/poll' }, 405, 'method_not_allowed'],
  ['a POST of another type', frames({ 'Content-Type': 'text/plain' }), 415, 'content_type'],
  ['a compressed POST', frames({ 'Content-Encoding': 'gzip' }), 415, 'content_encoding'],
  ['a POST without a number', frames({ 'Signalbox-Number': '' }), 400, 'number'],
  ['number 0', frames({ 'Signalbox-Number': '0' }), 400, 'number'],
  ['number 2^53', frames({ 'Signalbox-Number': String(2 ** 53) }), 400, 'number'],
  ['a connection that is none', frames({}), 404, 'no_connection'],
  ['a POST that says it is too long', frames({}, Buffer.alloc(65_536 + 17)), 413, 'too_big'],
  [
    'a POST that does not say so',
    frames({ 'Transfer-Encoding': 'chunked' }, Buffer.alloc(65_536 + 17)),
    413,
    'too_big',
  ],
])('%s is refused', async (_, asked, status, code) => {
  const answer = await askHttp(gateway.port, asked);
  expect([answer.status, JSON.parse(answer.body)]).toEqual([status, { code }]);
  expect(answer.headers['access-control-allow-origin']).toBeUndefined();
});

test('a preflight is answered for the pages that may ask, and for no others', async () => {
  const preflight = (Origin: string) =>
    askHttp(gateway.port, {
      method: 'OPTIONS',
      path: '/v1/frames',
      headers: { Origin, 'Access-Control-Request-Method': 'POST' },
    });
  const good = await preflight(ORIGIN);
  expect(good.status).toBe(204);
  expect(good.headers).toMatchObject({
    'access-control-allow-origin': ORIGIN,
    'access-control-allow-methods': 'POST',
    vary: 'Origin',
  });
  expect(String(good.headers['access-control-allow-headers'])).toContain('Signalbox-Number');
  expect(good.headers['access-control-allow-credentials']).toBeUndefined();
  const bad = await preflight('https://evil.example');
  expect([bad.status, bad.headers['access-control-allow-origin']]).toEqual([403, undefined]);
});

test('a stream without hello ends with 4011, with a bad token with 4501, after garbage with 4500', async () => {
  const silent = await RawStream.open(gateway.port);
  const bad = await RawStream.open(gateway.port, { Authorization: 'Bearer a.b.c' });
  const broken = await RawStream.open(gateway.port);
  await post(gateway.port, await bad.id(), 1, [[0, 1, null, null, null]]);
  await post(gateway.port, await broken.id(), 1, ['no frame']);
  expect(await Promise.all([silent, bad, broken].map((stream) => stream.close()))).toEqual([
    4011, 4501, 4500,
  ]);
});

test('a POST of the other codec is refused, and its connection goes on', async () => {
  const stream = await RawStream.open(gateway.port);
  const id = await stream.id();
  const other = { 'Signalbox-Connection': id, 'Content-Type': 'application/octet-stream' };
  expect((await askHttp(gateway.port, frames(other, Buffer.alloc(4)))).status).toBe(415);
  expect((await post(gateway.port, id, 1, [[0, 1, tokenOf('alice'), null, null]])).status).toBe(204);
  await post(gateway.port, id, 2, [[9]]);
  expect(await stream.close()).toBe(1000);
});

test('connections of all transports count against one limit of their address', async () => {
  const streams = await Promise.all(Array.from({ length: 20 }, () => RawStream.open(gateway.port)));
  for (const path of ['/v1/events', '/v1/poll']) {
    const answer = await askHttp(gateway.port, { path });
    expect([answer.status, JSON.parse(answer.body)]).toEqual([429, { code: 'limit_exceeded', close: 4505 }]);
  }
  for (const stream of streams) stream.destroy();
  await until(async () => (await gateway.metric('connections')) === 0);
});

test('a body that drips is refused with 408, a request behind a stream with the end of its socket', async () => {
  const head =
    'POST /v1/frames HTTP/1.1\r\nHost: x\r\nSignalbox-Connection: x\r\nSignalbox-Number: 1\r\nContent-Type: application/x-ndjson\r\nContent-Length: 100\r\n\r\n[';
  expect((await ask(gateway.port, head)).status).toBe(408);
  const socket = createConnection(gateway.port, '127.0.0.1');
  let ended = false;
  socket
    .on('error', () => undefined)
    .on('close', () => (ended = true))
    .resume();
  socket.write('GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(2));
  await until(() => ended);
});

test('a stream that nobody reads loses volatile messages, instead of filling memory', async () => {
  const stream = await RawStream.open(gateway.port);
  const id = await stream.id();
  await post(gateway.port, id, 1, [
    [0, 1, tokenOf('slow'), null, null],
    [32, 1, 'flood', null],
  ]);
  stream.response.pause();
  const big = 'x'.repeat(30_000);
  for (let number = 2; number < 600; number++) {
    const { status } = await post(gateway.port, id, number, [
      [35, 0, 0, {}, 'flood', 'n', 'json', big],
      [35, 0, null, {}, 'flood', 'n', 'json', big],
    ]);
    if (status === 410) break;
    expect(status).toBe(204);
    if ((await gateway.metric('deliveries_total', { outcome: 'dropped' })) > 0) break;
  }
  // Volatile ones are dropped first; what is kept waits in the log.
  expect(await gateway.metric('deliveries_total', { outcome: 'dropped' })).toBeGreaterThan(0);
  stream.destroy();
});
