// Each way in which the fault proxy misbehaves, between a plain client and an echo server.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { until } from '../gateway-process.js';
import { freePort } from '../free-port.js';
import { FaultProxy } from './fault-proxy.js';

interface Peer {
  socket: Socket;
  heard: Buffer[];
  closed: boolean;
  error: string | null;
}

let echo: Server;
let echoed: Socket[];
let target: { host: string; port: number };
let proxy: FaultProxy;
let peers: Peer[];

beforeEach(async () => {
  echoed = [];
  peers = [];
  echo = createServer({ allowHalfOpen: true }, (socket) => {
    echoed.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => socket.write(chunk));
    socket.on('end', () => socket.end('bye'));
  }).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const address = echo.address();
  target = { host: '127.0.0.1', port: typeof address === 'object' && address !== null ? address.port : 0 };
  proxy = await FaultProxy.start([target]);
});

afterEach(async () => {
  for (const { socket } of peers) socket.destroy();
  await proxy.close();
  for (const socket of echoed) socket.destroy();
  echo.close();
});

function dial(): Peer {
  const socket = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
  const peer: Peer = { socket, heard: [], closed: false, error: null };
  socket.on('data', (chunk: Buffer) => peer.heard.push(chunk));
  socket.on('error', (error: NodeJS.ErrnoException) => (peer.error = error.code ?? 'unknown'));
  socket.on('close', () => (peer.closed = true));
  peers.push(peer);
  return peer;
}

function text({ heard }: Peer): string {
  return Buffer.concat(heard).toString();
}

async function connected(): Promise<Peer> {
  const peer = dial();
  peer.socket.write('0');
  await until(() => text(peer) === '0');
  peer.heard.length = 0;
  return peer;
}

describe('a fault proxy', () => {
  test('passes bytes both ways, many of them unchanged', async () => {
    const peer = dial();
    const block = Buffer.alloc(3_000_000, 'abcdefg');
    peer.socket.write(block);
    await until(() => peer.heard.reduce((sum, { length }) => sum + length, 0) === block.length);
    expect(Buffer.concat(peer.heard).equals(block)).toBe(true);
  });

  test('delays by the latency and keeps the order under jitter', async () => {
    const peer = await connected();
    proxy.set({ mode: 'latency', ms: 60, jitterMs: 50 }, 'up');
    const startedAt = performance.now();
    for (let i = 0; i < 20; i++) {
      peer.socket.write(`${i},`);
      await new Promise(setImmediate);
    }
    await until(() => text(peer).split(',').length === 21);
    expect(text(peer)).toBe(Array.from({ length: 20 }, (_, i) => `${i},`).join(''));
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(10);
  });

  test('lets no more pass than the rate', async () => {
    const peer = await connected();
    proxy.set({ mode: 'rate', bytesPerSecond: 100_000 }, 'down');
    const startedAt = performance.now();
    peer.socket.write(Buffer.alloc(30_000));
    await until(() => text(peer).length === 30_000);
    expect(performance.now() - startedAt).toBeGreaterThan(150);
  });

  test('swallows everything as a black hole, and gives it back later', async () => {
    const peer = await connected();
    proxy.set({ mode: 'blackhole' }, 'down');
    peer.socket.write('a');
    const other = dial();
    other.socket.write('b');
    await until(() => echoed.length === 2);
    await until(() => echoed.every(({ bytesWritten }) => bytesWritten > 0));
    expect([text(peer), text(other)]).toEqual(['', '']);
    proxy.set({ mode: 'pass' });
    await until(() => text(peer) === 'a' && text(other) === 'b');
  });

  test('freezes what is open while new connections pass', async () => {
    const peer = await connected();
    expect(proxy.freeze()).toBe(1);
    proxy.set({ mode: 'pass' });
    peer.socket.write('a');
    const other = await connected();
    other.socket.write('b');
    await until(() => text(other) === 'b');
    expect(text(peer)).toBe('');
  });

  test('takes connections and never dials the target when its door is a black hole', async () => {
    await proxy.door('blackhole');
    const peer = dial();
    await until(() => proxy.connections === 1);
    peer.socket.write('a');
    expect(echoed).toHaveLength(0);
    await proxy.door('open');
    await connected();
  });

  test('refuses new connections while those that are open go on, and opens at the same port again', async () => {
    const peer = await connected();
    await proxy.door('refuse');
    const refused = dial();
    await until(() => refused.error !== null);
    expect(refused.error).toBe('ECONNREFUSED');
    peer.socket.write('a');
    await until(() => text(peer) === 'a');
    await proxy.door('open');
    await connected();
  });

  test('resets connections, or a share of them', async () => {
    const all = await Promise.all([connected(), connected(), connected(), connected()]);
    expect(proxy.reset(0)).toBe(0);
    expect(proxy.reset()).toBe(4);
    await until(() => all.every(({ error }) => error === 'ECONNRESET'));
    await until(() => proxy.connections === 0);
  });

  test('half-closes one direction while the other goes on', async () => {
    const peer = await connected();
    proxy.halfClose('up');
    await until(() => text(peer) === 'bye');
  });

  test('slices into pieces', async () => {
    const peer = await connected();
    const sizes: number[] = [];
    echoed[0]?.on('data', ({ length }: Buffer) => sizes.push(length));
    proxy.set({ mode: 'slice', bytes: 3, pauseMs: 5 }, 'up');
    peer.socket.write('abcdefgh');
    await until(() => text(peer) === 'abcdefgh');
    expect(sizes.length).toBeGreaterThan(1);
  });

  test('passes a command and drops its reply', async () => {
    const peer = await connected();
    proxy.dropReplyAfter('XADD');
    peer.socket.write('GET');
    await until(() => text(peer) === 'GET');
    const before = echoed[0]?.bytesRead ?? 0;
    peer.socket.write('XADD 1');
    await until(() => peer.closed);
    expect(text(peer)).toBe('GET');
    expect(peer.error).toBe('ECONNRESET');
    expect((echoed[0]?.bytesRead ?? 0) - before).toBe(6);
    expect(proxy.cuts).toBe(1);
    // Only once.
    const next = await connected();
    next.socket.write('XADD 2');
    await until(() => text(next) === 'XADD 2');
  });

  test('corrupts exactly one byte', async () => {
    const peer = await connected();
    proxy.set({ mode: 'corrupt', at: 4 }, 'down');
    peer.socket.write('abc');
    await until(() => text(peer).length >= 3);
    peer.socket.write('def');
    await until(() => Buffer.concat(peer.heard).length === 6);
    expect([...Buffer.concat(peer.heard)]).toEqual([97, 98, 99, 100, 101 ^ 0xff, 102]);
  });

  test('goes past targets that refuse', async () => {
    proxy.retarget([{ host: '127.0.0.1', port: await freePort() }, target]);
    await Promise.all([connected(), connected(), connected()]);
    expect(echoed).toHaveLength(3);
  });

  test('resets whoever connects when no target is there', async () => {
    proxy.retarget([{ host: '127.0.0.1', port: await freePort() }]);
    const peer = dial();
    await until(() => peer.closed);
    expect(proxy.connections).toBe(0);
  });
});
