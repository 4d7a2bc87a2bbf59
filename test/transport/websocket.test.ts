// A WebSocket as a connection, over a real pair of sockets: frames as they arrive, pauses of its reading.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { WebSocket, WebSocketServer } from 'ws';
import type { SplitFrame } from '../../src/protocol/frame.js';
import { createJsonCodec } from '../../src/protocol/json-codec.js';
import { wholeFrame } from '../../src/session/connection.js';
import { TickFlusher } from '../../src/transport/tick-flusher.js';
import { Framer } from '../../src/transport/websocket-frames.js';
import { WebSocketConnection } from '../../src/transport/websocket.js';
import { until } from '../client/fixture.js';

const splitAt = (bytes: Buffer, at: number): SplitFrame => ({
  head: bytes.subarray(0, at),
  body: bytes.subarray(at),
});

describe('a connection', () => {
  const http = createServer();
  const server = new WebSocketServer({ server: http });
  let theirs: WebSocket;
  let ours: WebSocket;
  let connection: WebSocketConnection;
  beforeEach(async () => {
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    const accepted = once(server, 'connection') as Promise<[WebSocket, { socket: never }]>;
    theirs = new WebSocket(`ws://127.0.0.1:${String((http.address() as AddressInfo).port)}`);
    const [[ws, { socket }]] = await Promise.all([accepted, once(theirs, 'open')]);
    ours = ws;
    connection = new WebSocketConnection(
      ws,
      socket,
      new TickFlusher(),
      new Framer(),
      createJsonCodec(),
      '127.0.0.1',
      false,
    );
    connection.open({ frame: () => undefined, closed: () => undefined });
  });
  afterEach(async () => {
    jest.useRealTimers();
    theirs.terminate();
    ours.terminate();
    http.close();
    await once(http, 'close');
  });
  const SIZES = [0, 1, 125, 126, 127, 16_384, 16_385, 65_535, 65_536, 200_000];
  test.each([
    ['bytes of every header length', SIZES.map((size) => Buffer.alloc(size, size % 251))],
    ['texts of more bytes than characters', SIZES.map((size) => 'ö'.repeat(size / 2))],
    ['frames in two pieces', SIZES.map((size) => splitAt(Buffer.alloc(size, size % 251), size / 3))],
    ['large and small in turn', [1, 70_000, 2, 3, 20_000, 4].map((size) => Buffer.alloc(size, 7))],
  ])('sends %s of one tick whole and in order', async (_, messages) => {
    const heard: (Buffer | string)[] = [];
    theirs.on('message', (data: Buffer, isBinary: boolean) => {
      heard.push(isBinary ? data : data.toString());
    });
    const whole = messages.map(wholeFrame);
    const bytes = whole.map((message) => Buffer.byteLength(message));
    for (const message of messages) connection.send(message);
    expect(connection.queuedBytes).toBeGreaterThan(bytes.reduce((sum, each) => sum + each, 0));
    while (heard.length < messages.length) await once(theirs, 'message');
    expect(heard).toEqual(whole);
  });

  describe('with frames that can wait', () => {
    let writes: number;
    beforeEach(() => {
      const socket = socketOf(ours);
      const write = socket.write.bind(socket);
      writes = 0;
      socket.write = ((chunk: Uint8Array) => {
        writes++;
        return write(chunk);
      }) as typeof socket.write;
    });
    const tick = () => new Promise((resolve) => setImmediate(resolve));

    test('sends them with the next one that cannot, in order', async () => {
      const heard: string[] = [];
      theirs.on('message', (data: Buffer) => heard.push(data.toString()));
      jest.useFakeTimers({ doNotFake: ['setImmediate'] });
      connection.send('first', true);
      connection.send('second', true);
      await tick();
      expect(writes).toBe(0);
      expect(connection.queuedBytes).toBeGreaterThan(0);
      connection.send('third');
      while (heard.length < 3) await once(theirs, 'message');
      expect([heard, writes]).toEqual([['first', 'second', 'third'], 1]);
      // Their own time comes, and there is nothing left to do.
      jest.advanceTimersByTime(10);
      expect([writes, connection.queuedBytes]).toEqual([1, 0]);
    });

    test('sends them within milliseconds where nothing else follows', () => {
      jest.useFakeTimers({ doNotFake: ['setImmediate'] });
      connection.send('alone', true);
      jest.advanceTimersByTime(1);
      expect(writes).toBe(0);
      jest.advanceTimersByTime(1);
      expect(writes).toBe(1);
      connection.send('again', true);
      jest.advanceTimersByTime(2);
      expect(writes).toBe(2);
    });

    test('sends them before it closes', async () => {
      const heard: string[] = [];
      theirs.on('message', (data: Buffer) => heard.push(data.toString()));
      connection.send('last words', true);
      connection.close('restart');
      const [code] = (await once(theirs, 'close')) as [number];
      expect([heard, code]).toEqual([['last words'], 1012]);
    });
  });

  describe('whose handshake is held back', () => {
    let held: WebSocketConnection;
    let written: jest.Mock<() => void>;
    beforeEach(() => {
      const socket = socketOf(ours);
      socket.cork();
      held = new WebSocketConnection(
        ours,
        socket,
        new TickFlusher(),
        new Framer(),
        createJsonCodec(),
        '127.0.0.1',
        true,
      );
      held.open({ frame: () => undefined, closed: () => undefined });
      written = jest.fn();
      socket.write(Buffer.from(wsText('answer')), written);
    });

    test('lets it out with its first message', async () => {
      const heard: string[] = [];
      theirs.on('message', (data: Buffer) => heard.push(data.toString()));
      await new Promise((resolve) => setImmediate(resolve));
      expect(written).not.toHaveBeenCalled();
      held.send('first');
      while (heard.length < 2) await once(theirs, 'message');
      expect(heard).toEqual(['answer', 'first']);
    });

    test('lets it out where it is closed instead', async () => {
      held.close('overloaded');
      expect(await once(theirs, 'close')).toEqual([1013, Buffer.from('overloaded')]);
      expect(written).toHaveBeenCalled();
    });

    test('lets it out where the client has broken the protocol before its first message', async () => {
      const closed = once(theirs, 'close');
      // A frame that is not masked.
      socketOf(theirs).write(Buffer.from(wsText('x')));
      await until(() => ours.readyState !== WebSocket.OPEN);
      expect(held.send('first')).toBe(false);
      expect((await closed)[0]).toBe(1002);
    });
  });

  test('whose handshake is held back tells the client at once that it has broken the protocol', async () => {
    const socket = socketOf(ours);
    socket.cork();
    const { flusher, framer } = { flusher: new TickFlusher(), framer: new Framer() };
    const held = new WebSocketConnection(ours, socket, flusher, framer, createJsonCodec(), '127.0.0.1', true);
    held.open({ frame: () => undefined, closed: () => undefined });
    const closed = once(theirs, 'close');
    socketOf(theirs).write(Buffer.from(wsText('x')));
    expect((await closed)[0]).toBe(1002);
  }, 3000);

  test('sends what was said in its last tick before it closes', async () => {
    const heard: string[] = [];
    theirs.on('message', (data: Buffer) => heard.push(data.toString()));
    connection.send('last words');
    connection.close('restart');
    const [code] = (await once(theirs, 'close')) as [number];
    expect([heard, code, connection.send('too late')]).toEqual([['last words'], 1012, false]);
  });

  test('takes no more once the other side has closed', async () => {
    theirs.close(1000);
    connection.send('on its way');
    await once(ours, 'close');
    expect(connection.send('too late')).toBe(false);
  });

  const pausedAfter = (ms: number): boolean => {
    jest.advanceTimersByTime(ms);
    return ours.isPaused;
  };

  test('reads again when its time is over', () => {
    jest.useFakeTimers();
    connection.pause(100);
    expect([pausedAfter(99), pausedAfter(1)]).toEqual([true, false]);
  });

  test('waits longer when a longer pause comes in the middle of it', () => {
    jest.useFakeTimers();
    connection.pause(100);
    jest.advanceTimersByTime(50);
    connection.pause(1000);
    expect([pausedAfter(999), pausedAfter(1)]).toEqual([true, false]);
  });

  test('waits no less long when a shorter pause comes in the middle of it', () => {
    jest.useFakeTimers();
    connection.pause(1000);
    connection.pause(10);
    expect([pausedAfter(999), pausedAfter(1)]).toEqual([true, false]);
  });

  test('reads at once when it closes, to see the answer of the other side, and is not paused again', () => {
    connection.pause(1000);
    connection.close('rate_limited');
    expect(ours.isPaused).toBe(false);
    connection.pause(1000);
    expect(ours.isPaused).toBe(false);
  });
});

/** A short text as a server writes it. */
function wsText(text: string): number[] {
  return [0x81, text.length, ...Buffer.from(text)];
}

function socketOf(ws: WebSocket): Duplex {
  const socket: unknown = Reflect.get(ws, '_socket');
  if (!(socket instanceof Duplex)) throw new TypeError('no socket');
  return socket;
}
