// The ways to a gateway: what blocks one leads to the next, what worked is remembered, and a WebSocket is found again.
import { createServer, request, type Server } from 'node:http';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { Client } from '../../src/client/index.js';
import { Ways } from '../../src/client/remembered-ways.js';
import type { WebSocketLike } from '../../src/client/websocket-class.js';
import { type GatewayProcess, startGateway, tokenOf, until } from '../gateway-process.js';

let gateway: GatewayProcess;
/** A proxy that lets through what a test says, and lists what came. */
let proxy: Server;
let blocked: Set<string>;
let seen: string[];
const clients: Client[] = [];

beforeAll(async () => {
  gateway = await startGateway({ CRASH_LOOP_LIMIT: '3' });
  proxy = createServer((from, to) => {
    const path = from.url?.split('?')[0] ?? '';
    if (from.method === 'GET') seen.push(path);
    if (blocked.has(path)) {
      to.writeHead(403).end('<h1>Blocked by your organisation</h1>');
      return;
    }
    const { method, url, headers } = from;
    const forward = request(
      { port: gateway.port, host: '127.0.0.1', method, path: url, headers },
      (answer) => {
        to.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(to);
      },
    );
    forward.on('error', () => to.destroy());
    to.on('close', () => forward.destroy());
    from.pipe(forward);
  });
  proxy.on('upgrade', (from, socket, head) => {
    seen.push('/v1/connect');
    if (blocked.has('/v1/connect')) {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    const forward = connect(gateway.port, '127.0.0.1', () => {
      const lines = from.rawHeaders.flatMap((name, i) =>
        i % 2 === 0 ? [`${name}: ${from.rawHeaders[i + 1] ?? ''}`] : [],
      );
      forward.write(`GET ${from.url ?? ''} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
      forward.write(head);
      socket.pipe(forward).pipe(socket);
    });
    for (const side of [socket, forward]) side.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});
afterAll(async () => {
  proxy.closeAllConnections();
  proxy.close();
  await gateway.stop();
});

function urlOf(): string {
  const address = proxy.address();
  return `ws://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
}
function start(...paths: string[]): void {
  blocked = new Set(paths);
  seen = [];
}
async function connected(options: Partial<ConstructorParameters<typeof Client>[1]> = {}): Promise<Client> {
  const client = new Client(urlOf(), {
    token: tokenOf('alice'),
    backoff: { minMs: 1, maxMs: 1 },
    ...options,
  });
  clients.push(client);
  await client.connect();
  return client;
}

describe('a client', () => {
  test('takes the next way at once where the one before is blocked, when the option names them', async () => {
    start('/v1/connect', '/v1/events');
    const client = await connected({ transports: ['websocket', 'sse', 'poll'] });
    expect(seen.slice(0, 3)).toEqual(['/v1/connect', '/v1/events', '/v1/poll']);
    client.onMessage('echo', () => undefined);
    await client.send('alice', 'echo', 1, { delivered: true });
  });

  test('falls back without the option after a first failure', async () => {
    start('/v1/connect');
    await connected();
    expect(seen).toEqual(['/v1/connect', '/v1/connect', '/v1/events']);
  });

  test('uses no way that the option leaves out', async () => {
    start();
    await connected({ transports: ['poll'] });
    expect(seen).not.toContain('/v1/connect');
    expect(seen).not.toContain('/v1/events');
  });

  test('stops at an answer of the gateway, which another way would not change', async () => {
    start('/v1/connect');
    const made = connected({ transports: ['websocket', 'sse', 'poll'], token: 'a.b.c' });
    await expect(made).rejects.toMatchObject({ code: 'invalid_token' });
    expect(seen).not.toContain('/v1/poll');
  });
});

describe('the ways', () => {
  /** Opens by a way, with frames up to the welcome; resolves when it has come. */
  async function open(ways: Ways): Promise<{ socket: WebSocketLike; ends: number[] }> {
    const socket = new (ways.choose())(`${urlOf()}/v1/connect`, ['signalbox.v1.json']);
    const ends: number[] = [];
    socket.onopen = () => socket.send(JSON.stringify([0, 1, tokenOf('bob'), null, null]));
    socket.onclose = ({ code }) => ends.push(code);
    await new Promise<void>((resolve) => (socket.onmessage = () => resolve()));
    return { socket, ends };
  }

  test('remember what worked, and find the WebSocket again when nothing blocks it any more', async () => {
    start('/v1/connect');
    const ways = new Ways(['websocket', 'sse'], WebSocket, { upgradeFirstMs: 50 });
    const first = await open(ways);
    seen = [];
    first.socket.close();
    const second = await open(ways);
    // Probes come and go; the second connection itself asked for no WebSocket first.
    expect(seen[0]).toBe('/v1/events');
    blocked.clear();
    await until(() => second.ends.length > 0);
    // Come back and resume.
    expect(second.ends).toEqual([1001]);
    seen = [];
    const third = await open(ways);
    expect(seen).toEqual(['/v1/connect']);
    third.socket.close(1000);
  });
});
