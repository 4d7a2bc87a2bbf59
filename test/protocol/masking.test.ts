// Masks of WebSocket frames by words: the same bytes as one by one, wherever they lie, and `ws` takes it.
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { applyMask, type Masking, provideMasking } from '../../src/protocol/masking.js';

const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 37) & 0xff);
const oneByOne = (bytes: Uint8Array, mask: Uint8Array): Uint8Array =>
  bytes.map((byte, i) => byte ^ (mask[i % 4] ?? 0));
const masks = fc.uint8Array({ minLength: 4, maxLength: 4 });

test('a mask by words is that by bytes, at every place of the memory and for every length', () => {
  fc.assert(
    fc.property(
      masks,
      fc.integer({ min: 0, max: 9 }),
      fc.integer({ min: 0, max: 9 }),
      fc.oneof(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 240, max: 1_200 })),
      (mask, offset, from, length) => {
        const memory = bytesOf(offset + from + length + 5);
        const expected = memory.slice();
        expected.set(oneByOne(memory.subarray(offset + from, offset + from + length), mask), offset + from);
        applyMask(memory.subarray(offset), mask, from, length);
        expect(memory).toEqual(expected);
      },
    ),
  );
});

test('what is provided masks into other memory and unmasks in place, and what Node has of its own stays', () => {
  const masking: Required<Masking> = { ...empty() };
  const [source, mask] = [bytesOf(1000), Uint8Array.of(1, 200, 3, 77)];
  const output = new Uint8Array(1014).fill(9);
  masking.websocketMask(source, mask, output, 14, 990);
  expect(output).toEqual(
    Uint8Array.from([
      ...new Array<number>(14).fill(9),
      ...oneByOne(source.subarray(0, 990), mask),
      ...new Array<number>(10).fill(9),
    ]),
  );
  const masked = oneByOne(source, mask);
  masking.websocketUnmask(masked, mask);
  expect(masked).toEqual(source);
  const lent: object = {};
  provideMasking(lent)();
  expect(lent).toEqual({});
  const frozen = Object.freeze({});
  expect(() => {
    provideMasking(frozen)();
  }).not.toThrow();
  const native = { websocketMask: jest.fn(), websocketUnmask: jest.fn() };
  const before = { ...native };
  provideMasking(native)();
  expect(native).toEqual(before);
});

function empty(): Required<Masking> {
  const masking: Masking = {};
  provideMasking(masking);
  return masking as Required<Masking>;
}

test('ws masks and unmasks with it where it was there before', async () => {
  const masking = http as object as Masking;
  const had = { ...masking };
  const { websocketMask, websocketUnmask } = empty();
  const counted = {
    websocketMask: jest.fn(websocketMask),
    websocketUnmask: jest.fn(websocketUnmask),
  };
  Object.assign(http, counted);
  const { WebSocket, WebSocketServer } = await import('ws');
  Object.assign(http, { websocketMask: had.websocketMask, websocketUnmask: had.websocketUnmask });
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  server.on('connection', (socket) => {
    socket.on('message', (data) => {
      socket.send(data as Buffer);
    });
  });
  const client = new WebSocket(`ws://127.0.0.1:${String((server.address() as AddressInfo).port)}`);
  await once(client, 'open');
  const sent = Buffer.from(bytesOf(70_000));
  client.send(sent);
  const [echo] = (await once(client, 'message')) as [Buffer];
  expect(echo.equals(sent)).toBe(true);
  expect(counted.websocketMask).toHaveBeenCalledTimes(1);
  expect(counted.websocketUnmask).toHaveBeenCalledTimes(1);
  client.terminate();
  server.close();
  await once(server, 'close');
});
