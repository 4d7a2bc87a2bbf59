// The doorstep before a worker's server: who is let through to the door for WebSockets, and who to Node's HTTP server.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect, Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Doorstep } from '../../src/worker/doorstep.js';
import { until } from '../gateway-process.js';

const HANDSHAKE = [
  'GET /v1/connect HTTP/1.1',
  'Host: 127.0.0.1',
  'Upgrade: websocket',
  'Connection: Upgrade',
  '',
  '',
].join('\r\n');

let server: Server;
let doorstep: Doorstep;
let now: number;
/** Who brought each handshake to the door. */
let upgrades: ['doorstep' | 'node', IncomingMessage, Socket][];
let clients: Socket[];
let accepted: Socket[];

beforeEach(async () => {
  now = 0;
  [upgrades, clients, accepted] = [[], [], []];
  server = createServer((request, response) => response.end(`served ${String(request.url)}`));
  server.on('upgrade', (request, socket) => {
    if (socket instanceof Socket) upgrades.push(['node', request, socket]);
  });
  doorstep = Doorstep.before(server, 'connection', {
    headerLimitBytes: 16_384,
    upgrade: (request, socket) => {
      upgrades.push(['doorstep', request, socket]);
    },
    now: () => now,
  });
  server.prependListener('connection', (socket) => accepted.push(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(() => {
  doorstep.close();
  for (const socket of [...clients, ...accepted]) socket.destroy();
  server.close();
});

async function come(): Promise<Socket> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('error', () => undefined);
  clients.push(socket);
  const before = accepted.length;
  await once(socket, 'connect');
  await until(() => accepted.length > before);
  return socket;
}

async function answerTo(socket: Socket): Promise<string> {
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  return bytes.toString('latin1');
}

test('a whole handshake goes straight to the door', async () => {
  (await come()).write(HANDSHAKE);
  await until(() => upgrades.length === 1);
  expect(upgrades[0]?.[0]).toBe('doorstep');
  expect(upgrades[0]?.[1].url).toBe('/v1/connect');
});

test('what comes before the answer waits until the socket is read', async () => {
  const client = await come();
  client.write(HANDSHAKE);
  await until(() => upgrades.length === 1);
  const socket = upgrades[0]?.[2];
  client.write('early');
  await until(() => (socket?.readableLength ?? 0) > 0);
  let got = '';
  socket?.on('data', (bytes: Buffer) => (got += bytes.toString()));
  socket?.resume();
  await until(() => got === 'early');
});

test('a handshake that comes in pieces is read by Node', async () => {
  const client = await come();
  client.write(HANDSHAKE.slice(0, 20));
  await until(() => (accepted[0]?.bytesRead ?? 0) > 0);
  client.write(HANDSHAKE.slice(20));
  await until(() => upgrades.length === 1);
  expect(upgrades[0]?.[0]).toBe('node');
});

test('a handshake with bytes behind it is read by Node', async () => {
  (await come()).write(`${HANDSHAKE}more`);
  await until(() => upgrades.length === 1);
  expect(upgrades[0]?.[0]).toBe('node');
});

test('other requests are served by Node, one after the other', async () => {
  const client = await come();
  for (const path of ['/', '/healthz']) {
    client.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect(await answerTo(client)).toMatch(new RegExp(`served ${path}$|${path}\\r\\n`));
  }
  expect(upgrades).toEqual([]);
});

test('garbage is refused by Node', async () => {
  const client = await come();
  client.write('garbage\r\n\r\n');
  expect(await answerTo(client)).toMatch(/^HTTP\/1\.1 400 /);
});

test('who says nothing for a while is handed to Node, which still serves it', async () => {
  const client = await come();
  now = 1_001;
  await until(() => accepted[0]?.listeners('data').some(({ name }) => name !== 'first') === true);
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  expect(await answerTo(client)).toContain('served /');
});

test('many who say nothing are handed to Node in several turns', async () => {
  let turn = 0;
  const turns: number[] = [];
  const next = (): void => {
    turn++;
    if (turns.length < 200) setImmediate(next);
  };
  const many = new Doorstep({
    headerLimitBytes: 16_384,
    serve: () => turns.push(turn),
    upgrade: () => undefined,
    now: () => now,
  });
  for (let i = 0; i < 200; i++) many.enter(new Socket());
  now = 1_001;
  next();
  await until(() => turns.length === 200);
  many.close();
  const inOne = turns.map((which) => turns.filter((other) => other === which).length);
  expect(Math.max(...inOne)).toBeLessThanOrEqual(64);
});

test('who goes without a word is let go', async () => {
  const client = await come();
  client.end();
  await until(() => accepted[0]?.destroyed === true);
});

test('a reset of who has said nothing ends nothing else', async () => {
  const client = await come();
  client.resetAndDestroy();
  await until(() => accepted[0]?.destroyed === true);
  (await come()).write(HANDSHAKE);
  await until(() => upgrades.length === 1);
});

test('who has said nothing is ended when it is closed', async () => {
  const client = await come();
  doorstep.close();
  await once(client, 'close');
});
