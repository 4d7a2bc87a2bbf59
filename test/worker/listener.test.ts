// The public port of a worker that rests and accepts again, while its connections stay.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Listener } from '../../src/worker/listener.js';
import { until } from '../gateway-process.js';

let server: Server;
let listener: Listener;
let port: number;
let connections: number;
let now: number;
let hasDescriptor: boolean;
/** What the primary was told: connections, the last order that was carried out. */
let told: [number | null, number][];
let clients: Socket[];

beforeEach(async () => {
  [connections, now, hasDescriptor, told, clients] = [0, 0, true, [], []];
  server = createServer((_request, response) => response.end('served'));
  // A port of its own from the first time on, so that it is the same later.
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  ({ port } = probe.address() as AddressInfo);
  probe.close();
  await once(probe, 'close');
  listener = new Listener(server, {
    options: { port, host: '127.0.0.1' },
    connections: () => connections,
    tell: (...what) => told.push(what),
    now: () => now,
    hasDescriptor: () => hasDescriptor,
  });
  await new Promise<void>((resolve) => {
    listener.open(resolve);
  });
});

afterEach(() => {
  for (const client of clients) client.destroy();
  listener.close();
});

function client(): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  clients.push(socket);
  return socket;
}

async function answer(socket: Socket): Promise<string> {
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  return bytes.toString();
}

test('who rests takes no connection but keeps those that are here', async () => {
  const here = client();
  expect(await answer(here)).toContain('served');
  listener.accept(false, 1);
  const late = client();
  await once(late, 'error');
  expect(await answer(here)).toContain('served');
});

test('who accepts again takes connections as before', async () => {
  listener.accept(false, 1);
  listener.accept(true, 2);
  await until(() => server.listening);
  expect(await answer(client())).toContain('served');
});

test('the primary hears of an order when it is carried out', async () => {
  listener.accept(false, 1);
  listener.step();
  expect(told).toEqual([[0, 1]]);
  listener.accept(true, 2);
  listener.step();
  expect(told).toHaveLength(1);
  await until(() => server.listening);
  listener.step();
  expect(told).toEqual([
    [0, 1],
    [0, 2],
  ]);
});

test('orders that come before the last one was carried out end with what was wanted last', async () => {
  listener.accept(false, 1);
  listener.accept(true, 2);
  listener.accept(false, 3);
  listener.accept(true, 4);
  expect(told).toEqual([]);
  listener.step();
  // The third was carried out with the first: nobody listens yet.
  expect(told).toEqual([[0, 3]]);
  await until(() => server.listening);
  expect(await answer(client())).toContain('served');
  listener.step();
  expect(told).toEqual([
    [0, 3],
    [0, 4],
  ]);
});

test('the primary hears when there is no descriptor for one more, and when there is again', async () => {
  connections = 5;
  hasDescriptor = false;
  listener.step();
  listener.accept(false, 1);
  hasDescriptor = true;
  listener.step();
  expect(told).toEqual([
    [null, 0],
    [5, 1],
  ]);
  listener.accept(true, 2);
  await until(() => server.listening);
  expect(await answer(client())).toContain('served');
});

test('the primary hears of a change at once, and of none after half a second', () => {
  connections = 5;
  listener.step();
  listener.step();
  expect(told).toEqual([[5, 0]]);
  now = 500;
  listener.step();
  expect(told).toEqual([
    [5, 0],
    [5, 0],
  ]);
});

test('orders after the close change nothing', () => {
  listener.close();
  listener.accept(false, 1);
  listener.accept(true, 2);
  expect(server.listening).toBe(false);
  listener.step();
  expect(told).toEqual([]);
});
