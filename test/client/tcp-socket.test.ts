// The SDK's TCP socket against a real one: what it writes, in which pieces, and that nothing of it is lost at the end.
import { once } from 'node:events';
import { createServer, type AddressInfo, Socket } from 'node:net';
import { afterEach, expect, jest, test } from '@jest/globals';
import { TcpSocket } from '../../src/client/tcp-socket.js';
import { RecordReader } from '../../src/protocol/records.js';

const KIB = 1024;
const closers: (() => void)[] = [];
afterEach(() => {
  jest.restoreAllMocks();
  for (const close of closers.splice(0)) close();
});

interface Heard {
  records: Buffer[];
  /** The number that the client ended with. */
  ended: Promise<number>;
}

/** A connected socket, and what the other side has read. */
async function open(): Promise<{ socket: TcpSocket; heard: Heard }> {
  let end = (_number: number): void => undefined;
  const heard: Heard = { records: [], ended: new Promise((resolve) => (end = resolve)) };
  const server = createServer((other) => {
    const reader = new RecordReader(16 * KIB * KIB, {
      record: (bytes) => heard.records.push(Buffer.from(bytes)),
      close: end,
      tooBig: () => other.destroy(),
    });
    other.on('data', (chunk) => {
      reader.push(chunk);
    });
    closers.push(() => other.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = new TcpSocket(`tcp://127.0.0.1:${String(port)}`, ['signalbox.v1.msgpack']);
  closers.push(() => {
    socket.terminate();
    server.close();
  });
  await new Promise((resolve) => (socket.onopen = resolve));
  return { socket, heard };
}

const bytesOf = (length: number, fill: number): Buffer => Buffer.alloc(length, fill);

test('frames of one tick leave in one write', async () => {
  const { socket, heard } = await open();
  const write = jest.spyOn(Socket.prototype, 'write');
  const frames = Array.from({ length: 10 }, (_, at) => bytesOf(100 + at, at));
  for (const frame of frames) socket.send(frame);
  const sum = frames.reduce((bytes, { length }) => bytes + 4 + length, 0);
  expect(socket.bufferedAmount).toBe(sum);
  socket.close();
  expect(await heard.ended).toBe(1000);
  // The other one of the two is the end.
  expect(write.mock.calls.filter(([bytes]) => bytes.length === sum)).toHaveLength(1);
  expect(heard.records).toEqual(frames);
});

test('frames of a tick and of later ones come in order, large ones in the memory that they have', async () => {
  const { socket, heard } = await open();
  const write = jest.spyOn(Socket.prototype, 'write');
  const frames = [1, 100 * KIB, 2, 3, 17 * KIB, 16 * KIB, 40 * KIB].map((length, at) => bytesOf(length, at));
  for (const frame of frames) socket.send(frame);
  await new Promise((resolve) => setImmediate(resolve));
  const written = write.mock.calls.map(([bytes]) => bytes as unknown);
  for (const frame of frames) expect(written.includes(frame)).toBe(frame.length > 16 * KIB);
  socket.send('text, ä');
  socket.close(3001);
  expect(await heard.ended).toBe(3001);
  const sent = [...frames, Buffer.from('text, ä')];
  expect(heard.records.map(({ length }) => length)).toEqual(sent.map(({ length }) => length));
  expect(Buffer.concat(heard.records).equals(Buffer.concat(sent))).toBe(true);
});

test('what is sent after the end goes nowhere', async () => {
  const { socket, heard } = await open();
  socket.send(bytesOf(1, 1));
  socket.close();
  socket.send(bytesOf(1, 2));
  await heard.ended;
  expect(heard.records).toEqual([bytesOf(1, 1)]);
});
