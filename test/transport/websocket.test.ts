// A WebSocket as a connection, over a real pair of sockets: pauses of its reading.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { WebSocket, WebSocketServer } from 'ws';
import { createJsonCodec } from '../../src/protocol/json-codec.js';
import { TickFlusher } from '../../src/transport/tick-flusher.js';
import { WebSocketConnection } from '../../src/transport/websocket.js';

describe('a connection that is paused', () => {
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
    connection = new WebSocketConnection(ws, socket, new TickFlusher(), createJsonCodec(), '127.0.0.1');
    connection.open({ frame: () => undefined, closed: () => undefined });
    jest.useFakeTimers();
  });
  afterEach(async () => {
    jest.useRealTimers();
    theirs.terminate();
    ours.terminate();
    http.close();
    await once(http, 'close');
  });
  const pausedAfter = (ms: number): boolean => {
    jest.advanceTimersByTime(ms);
    return ours.isPaused;
  };

  test('reads again when its time is over', () => {
    connection.pause(100);
    expect([pausedAfter(99), pausedAfter(1)]).toEqual([true, false]);
  });

  test('waits longer when a longer pause comes in the middle of it', () => {
    connection.pause(100);
    jest.advanceTimersByTime(50);
    connection.pause(1000);
    expect([pausedAfter(999), pausedAfter(1)]).toEqual([true, false]);
  });

  test('waits no less long when a shorter pause comes in the middle of it', () => {
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
