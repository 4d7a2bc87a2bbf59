// The SDK's WebSocket in Node 20 against a real server of `ws`: what it writes, in which pieces, in memory that is used again.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, Socket } from 'node:net';
import { Writable } from 'node:stream';
import { afterEach, expect, jest, test } from '@jest/globals';
import { WebSocket, WebSocketServer } from 'ws';
import { MaskedWriter } from '../../src/client/masked-writer.js';
import { WsSocket } from '../../src/client/ws-socket.js';
import { freePort } from '../free-port.js';
import { until } from '../gateway-process.js';

const KIB = 1024;
const closers: (() => void)[] = [];
afterEach(() => {
  jest.restoreAllMocks();
  for (const close of closers.splice(0)) close();
});

interface Opened {
  socket: WsSocket;
  /** The server's end of it. */
  other: WebSocket;
  heard: (string | Buffer)[];
}

async function open(): Promise<Opened> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: true });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const coming = once(server, 'connection');
  const socket = new WsSocket(WebSocket, `ws://127.0.0.1:${String(port)}/`, ['one', 'two']);
  closers.push(() => {
    socket.terminate();
    for (const each of server.clients) each.terminate();
    server.close();
  });
  await new Promise((resolve) => (socket.onopen = resolve));
  const [other] = (await coming) as [WebSocket];
  const heard: (string | Buffer)[] = [];
  other.on('message', (data: Buffer, isBinary) => heard.push(isBinary ? data : data.toString()));
  return { socket, other, heard };
}

const bytesOf = (length: number, fill: number): Uint8Array<ArrayBuffer> => new Uint8Array(length).fill(fill);

/** Its kind, and a hash of it: jest looks at large arrays byte by byte. */
const digestOf = (data: string | Uint8Array): string =>
  `${typeof data} ${createHash('sha256').update(data).digest('hex')}`;

test('messages of any length arrive as they were sent, in their order', async () => {
  const { socket, heard } = await open();
  expect(socket.protocol).toBe('one');
  const lengths = [0, 1, 3, 125, 126, 127, 255, 256, 257, 65_535, 65_536, 16 * KIB, 80 * KIB, 300 * KIB];
  const sent = lengths.flatMap((length, at) => [bytesOf(length, at + 1), `Grüße ${'ß'.repeat(length)}`]);
  for (const each of sent) socket.send(each);
  await until(() => heard.length === sent.length);
  expect(heard.map(digestOf)).toEqual(sent.map(digestOf));
  // Each in a tick of its own, too.
  for (const each of sent) {
    socket.send(each);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until(() => heard.length === 2 * sent.length);
  expect(heard.slice(sent.length).map(digestOf)).toEqual(sent.map(digestOf));
});

test('small messages of a tick leave in one write, and count as buffered until then', async () => {
  const { socket, heard } = await open();
  const write = jest.spyOn(Socket.prototype, 'write');
  for (let at = 0; at < 10; at++) socket.send(bytesOf(100, at));
  expect(socket.bufferedAmount).toBeGreaterThanOrEqual(1000);
  await until(() => heard.length === 10);
  const own = write.mock.calls.filter(([bytes]) => bytes.length >= 100);
  // Ten headers of two bytes and masks of four.
  expect(own.map(([bytes]) => bytes.length)).toEqual([1060]);
  expect(socket.bufferedAmount).toBe(0);
});

test('memory is not used again before the kernel has what is in it', async () => {
  const { socket, other, heard } = await open();
  other.pause();
  let count = 0;
  // More than the buffers of both sockets take, whatever those are here.
  while (socket.bufferedAmount < 2 * KIB * KIB && count < 10_000) {
    for (let i = 0; i < 2; i++) socket.send(bytesOf(32 * KIB, count++ & 0xff));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(socket.bufferedAmount).toBeGreaterThan(KIB * KIB);
  other.resume();
  await until(() => heard.length === count);
  const wrong = heard.flatMap((data, at) =>
    Buffer.from(bytesOf(32 * KIB, at & 0xff)).equals(Buffer.from(data)) ? [] : [at],
  );
  expect(wrong).toEqual([]);
});

test('memory is used again while much is written, and given back when nothing is', () => {
  jest.useFakeTimers({ doNotFake: ['nextTick'] });
  try {
    const taken: (() => void)[] = [];
    const buffers: ArrayBufferLike[] = [];
    const socket = {
      destroyed: false,
      writable: true,
      once: () => socket,
      cork: () => undefined,
      uncork: () => undefined,
      write: (bytes: Uint8Array, done?: () => void) => {
        buffers.push(bytes.buffer);
        if (done !== undefined) taken.push(done);
        return true;
      },
    };
    const writer = new MaskedWriter(socket as unknown as Socket);
    const write = (): ArrayBufferLike | undefined => {
      writer.send(bytesOf(64 * KIB, 1));
      writer.flush();
      return buffers.at(-1);
    };
    const first = write();
    expect(write()).not.toBe(first);
    for (const done of taken.splice(0)) done();
    const again = [write(), write()];
    expect(again).toContain(first);
    expect(again[0]).not.toBe(again[1]);
    for (const done of taken.splice(0)) done();
    jest.advanceTimersByTime(5_000);
    expect(jest.getTimerCount()).toBe(0);
    expect(again).not.toContain(write());
  } finally {
    jest.useRealTimers();
  }
});

test('each message has a mask of its own', async () => {
  const { socket, heard } = await open();
  const write = jest.spyOn(Socket.prototype, 'write');
  const masks = new Set<string>();
  for (let at = 0; at < 2000; at++) {
    socket.send(bytesOf(200, 0));
    await Promise.resolve();
  }
  await until(() => heard.length === 2000);
  for (const [bytes] of write.mock.calls) {
    const all = Buffer.from(bytes as Uint8Array);
    // 0x82, 126 with the bit of the mask, two bytes of length, four of the mask.
    for (let at = 0; at + 208 <= all.length; at += 208) masks.add(all.toString('hex', at + 4, at + 8));
  }
  expect(masks.size).toBeGreaterThan(1990);
});

test('text comes as text, bytes as bytes, and a close with its number', async () => {
  const { socket, other } = await open();
  const got: unknown[] = [];
  socket.onmessage = ({ data }) => got.push(data);
  const closed = new Promise((resolve) => (socket.onclose = ({ code }) => resolve(code)));
  other.send('Grüße');
  other.send(Buffer.from([1, 2]));
  other.ping();
  await once(other, 'pong');
  other.close(4001);
  expect(await closed).toBe(4001);
  expect(got).toEqual(['Grüße', Buffer.from([1, 2])]);
  // Nobody hears it any more.
  socket.send('late');
});

test('what was sent goes ahead of the goodbye', async () => {
  const { socket, other, heard } = await open();
  const closed = once(other, 'close');
  socket.send('last');
  socket.close(4000);
  const [code] = (await closed) as [number];
  expect([code, heard]).toEqual([4000, ['last']]);
});

test('what is left of a tick is not written to a socket that has ended in it', async () => {
  const errors: unknown[] = [];
  const socket = new Writable({
    write: (_bytes, _encoding, done) => {
      done();
    },
  });
  socket.on('error', (error) => errors.push(error));
  const writer = new MaskedWriter(socket);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  writer.send('late');
  socket.end();
  await closed;
  expect([errors, writer.pendingBytes]).toEqual([[], 0]);
});

test('a refused handshake, and nobody who listens, end with 1006 after an error', async () => {
  const server = createServer((_request, response) => response.writeHead(403).end()).listen(0, '127.0.0.1');
  closers.push(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  for (const at of [port, await freePort()]) {
    const socket = new WsSocket(WebSocket, `ws://127.0.0.1:${String(at)}/`, []);
    const errors: unknown[] = [];
    socket.onerror = (error) => errors.push(error);
    expect(await new Promise((resolve) => (socket.onclose = ({ code }) => resolve(code)))).toBe(1006);
    expect(errors).toHaveLength(1);
  }
  expect(() => new WsSocket(WebSocket, 'ws://a/', ['no subprotocol'])).toThrow(SyntaxError);
});
