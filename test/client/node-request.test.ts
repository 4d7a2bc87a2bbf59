// Requests in Node against a real HTTP server: redirects, a kept connection that ends, abort, and programs that set fetch up.
import { once } from 'node:events';
import { createServer, globalAgent, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { type Ask, platformRequest } from '../../src/client/node-request.js';

let ask: Ask;
let servers: Server[] = [];
/** Of each request, as the servers saw it. */
let seen: { method: string; url: string; token: string | undefined; body: string }[];

beforeEach(async () => {
  seen = [];
  ask = await platformRequest();
});
afterEach(() => {
  jest.restoreAllMocks();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  servers = [];
});

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      seen.push({ method, url, token: headers.authorization, body });
      answer(request, response);
    });
  }).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
}

const headers = { Authorization: 'Bearer a' };

test('an answer has its status, headers and body, in whole and in pieces', async () => {
  const origin = await serve((request, response) => {
    response.writeHead(request.url === '/no' ? 503 : 200, { 'Signalbox-Close': '1012' });
    response.write('{"a":');
    response.end('1}');
  });
  const answer = await ask(new URL('/yes', origin), { headers });
  expect([answer.ok, answer.status, answer.headers.get('signalbox-close')]).toEqual([true, 200, '1012']);
  expect(answer.headers.get('other')).toBeNull();
  expect(await answer.json()).toEqual({ a: 1 });
  const refused = await ask(new URL('/no', origin), { method: 'POST', body: new Uint8Array([104, 105]) });
  expect([refused.ok, refused.status, await refused.text()]).toEqual([false, 503, '{"a":1}']);
  const bytes = await (await ask(new URL('/yes', origin), {})).arrayBuffer();
  expect(new Uint8Array(bytes)).toEqual(new TextEncoder().encode('{"a":1}'));
  const reader = (await ask(new URL('/yes', origin), {})).body?.getReader();
  let read = '';
  for (let piece = await reader?.read(); piece?.done === false; piece = await reader?.read())
    read += new TextDecoder().decode(piece.value);
  expect(read).toBe('{"a":1}');
  expect(seen[0]).toEqual({ method: 'GET', url: '/yes', token: 'Bearer a', body: '' });
  expect(seen[1]).toMatchObject({ method: 'POST', body: 'hi' });
});

test('redirects are followed with the method and the body, and a token stays with its origin', async () => {
  const other = await serve((_request, response) => response.end('there'));
  const origin = await serve((request, response) => {
    const location = request.url === '/away' ? `${other}/frames` : '/here';
    if (request.url === '/here') response.end('here');
    else response.writeHead(request.method === 'GET' ? 302 : 307, { location }).end();
  });
  const post = { method: 'POST', body: 'frames', headers };
  expect(await (await ask(new URL('/moved', origin), post)).text()).toBe('here');
  expect(seen.at(-1)).toEqual({ method: 'POST', url: '/here', token: 'Bearer a', body: 'frames' });
  expect(await (await ask(new URL('/away', origin), post)).text()).toBe('there');
  expect(seen.at(-1)).toEqual({ method: 'POST', url: '/frames', token: undefined, body: 'frames' });
  expect(await (await ask(new URL('/away', origin), { headers })).text()).toBe('there');
});

test('a ring of redirects, and one to something else than HTTP, are errors', async () => {
  const origin = await serve((request, response) => {
    response.writeHead(308, { location: request.url === '/ring' ? '/ring' : 'file:///etc/passwd' }).end();
  });
  await expect(ask(new URL('/ring', origin), {})).rejects.toThrow('too often');
  expect(seen).toHaveLength(6);
  await expect(ask(new URL('/file', origin), {})).rejects.toThrow('no HTTP');
});

test('an abort ends a request before its answer, within it, and before it begins', async () => {
  let cut = (): void => undefined;
  const isCut = new Promise<void>((resolve) => (cut = resolve));
  const begun = new AbortController();
  const origin = await serve((request, response) => {
    response.on('close', cut);
    if (request.url === '/answers') response.write('a');
    else begun.abort();
  });
  await expect(ask(new URL('/waits', origin), { signal: begun.signal })).rejects.toThrow();
  await isCut;
  await expect(ask(new URL('/waits', origin), { signal: begun.signal })).rejects.toThrow();
  expect(seen).toHaveLength(1);
  const within = new AbortController();
  const answer = await ask(new URL('/answers', origin), { signal: within.signal });
  const reading = answer.text();
  within.abort();
  await expect(reading).rejects.toThrow();
});

test('a request on a kept connection that ended meanwhile is made again on another one', async () => {
  const origin = await serve((request, response) => {
    const isReused = seen.length === 2;
    if (isReused) request.socket.destroy();
    else response.end(String(seen.length));
  });
  const url = new URL('/', origin);
  expect(await (await ask(url, {})).text()).toBe('1');
  // Its connection is kept when the agent has it back.
  const isKept = (): boolean => Object.keys(globalAgent.freeSockets).some((name) => name.includes(url.port));
  while (!isKept()) await once(globalAgent, 'free');
  expect(await (await ask(url, {})).text()).toBe('3');
});

test('a server that ends every connection is an error, and no ring of tries', async () => {
  const origin = await serve((request) => request.socket.destroy());
  await expect(ask(new URL('/', origin), {})).rejects.toThrow();
  expect(seen).toHaveLength(1);
});

test('a program that set fetch up, for a proxy for example, has its requests made by fetch', async () => {
  const key = Symbol.for('undici.globalDispatcher.1');
  const before: unknown = Reflect.get(globalThis, key);
  const fetched = jest
    .spyOn(globalThis, 'fetch')
    .mockImplementation(() => Promise.resolve(new Response('by fetch')));
  class ProxyAgent {
    readonly uri = 'http://proxy.example';
  }
  class Agent {
    readonly connections = 1;
  }
  try {
    Reflect.set(globalThis, key, new ProxyAgent());
    expect(await (await ask(new URL('http://127.0.0.1:1/'), {})).text()).toBe('by fetch');
    Reflect.set(globalThis, key, new Agent());
    const origin = await serve((_request, response) => response.end('by http'));
    expect(await (await ask(new URL(origin), {})).text()).toBe('by http');
    expect(fetched).toHaveBeenCalledTimes(1);
  } finally {
    Reflect.set(globalThis, key, before);
  }
});
