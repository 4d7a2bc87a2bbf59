// The delay line of the network fuzz, on real sockets.
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { UdpProxy } from './udp-proxy.js';

const HOST = '127.0.0.1';
let proxy: UdpProxy;
let server: Socket;
let ports: Set<number>;
const clients: Socket[] = [];

async function socket(address = HOST): Promise<Socket> {
  const made = createSocket('udp4').bind(0, address);
  await once(made, 'listening');
  clients.push(made);
  return made;
}

async function heard(from: Socket, count: number): Promise<string[]> {
  const got: string[] = [];
  for await (const [datagram] of iterate(from)) if (got.push(String(datagram)) === count) break;
  return got;
}

async function* iterate(from: Socket): AsyncGenerator<[Buffer]> {
  const waiting: Buffer[] = [];
  let wake = (): void => {};
  from.on('message', (datagram) => {
    waiting.push(datagram);
    wake();
  });
  for (;;) {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) yield [next];
    await new Promise<void>((resolve) => (wake = resolve));
  }
}

beforeEach(async () => {
  ports = new Set();
  server = await socket();
  server.on('message', (datagram, { port, address }) => {
    ports.add(port);
    server.send(`back ${String(datagram)}`, port, address);
  });
  proxy = await UdpProxy.start({ address: HOST, port: server.address().port }, { address: HOST, port: 0 });
});
afterEach(() => {
  proxy.close();
  for (const made of clients.splice(0)) made.close();
});

test('each sender has its own port towards the target, and gets what is sent there', async () => {
  const [one, other] = [await socket(), await socket()];
  const answers = [heard(one, 2), heard(other, 1)];
  one.send('1', proxy.port, HOST);
  one.send('2', proxy.port, HOST);
  other.send('3', proxy.port, HOST);
  expect(await Promise.all(answers)).toEqual([['back 1', 'back 2'], ['back 3']]);
  expect(ports.size).toBe(2);
  expect(proxy.flows).toBe(2);
});

test('datagrams of one address are late in both directions and keep their order, also when the delay shrinks', async () => {
  const [slow, fast] = [await socket('127.0.0.2'), await socket()];
  proxy.delay('127.0.0.2', 60);
  const answers = heard(slow, 3);
  const startedAt = performance.now();
  slow.send('1', proxy.port, HOST);
  slow.send('2', proxy.port, HOST);
  fast.send('x', proxy.port, HOST);
  // Before the slow ones are there, which were sent first.
  expect(await heard(fast, 1)).toEqual(['back x']);
  expect(ports.size).toBe(1);
  proxy.delay('127.0.0.2', 0);
  slow.send('3', proxy.port, HOST);
  expect(await answers).toEqual(['back 1', 'back 2', 'back 3']);
  expect(performance.now() - startedAt).toBeGreaterThan(59);
});
