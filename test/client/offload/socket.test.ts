// The page's half of `offload: true`, with workers that do what a test says: who compresses, and what becomes of a worker that never comes.
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { offloaded, type OffloadSettings, type SocketReport } from '../../../src/client/offload-socket.js';
import { decodePayload } from '../../../src/protocol/payload.js';
import type { WebSocketClass, WebSocketLike } from '../../../src/client/websocket-class.js';
import { type ScriptedWorker, useScriptedWorkers, workers } from './scripted-worker.js';

const URL_OF_GATEWAY = 'ws://127.0.0.1:1';
const THRESHOLD_BYTES = 1024;

class PlainSocket implements WebSocketLike {
  binaryType = '';
  bufferedAmount = 0;
  protocol = 'plain.v1';
  onopen: WebSocketLike['onopen'] = null;
  onmessage: WebSocketLike['onmessage'] = null;
  onclose: WebSocketLike['onclose'] = null;
  onerror: WebSocketLike['onerror'] = null;

  constructor() {
    plains.push(this);
  }

  send(): void {}
  close(): void {}
}

const plains: PlainSocket[] = [];
let settings: OffloadSettings;
let Socket: WebSocketClass;

useScriptedWorkers();

beforeEach(() => {
  jest.useFakeTimers();
  settings = { offload: true, codec: 'msgpack', compressAboveBytes: THRESHOLD_BYTES, read: decodePayload };
  Socket = offloaded(settings, PlainSocket);
});
afterEach(() => {
  plains.length = 0;
  jest.useRealTimers();
  jest.restoreAllMocks();
});

const WELCOMED: SocketReport[] = [['ready'], ['open', 'signalbox.v1.hello'], ['message', new ArrayBuffer(1)]];

function open(): [socket: WebSocketLike, worker: ScriptedWorker] {
  const socket = new Socket(URL_OF_GATEWAY, ['a']);
  return [socket, workers.at(-1) as ScriptedWorker];
}

test('the subprotocol that the gateway took is told before it opens', () => {
  const [socket, worker] = open();
  const seen: unknown[] = [];
  socket.onopen = () => seen.push(socket.protocol);
  worker.report(['ready'], ['open', 'signalbox.v1.hello']);
  expect(seen).toEqual(['signalbox.v1.hello']);
});

test('a socket that is opened while the one before it still closes compresses, and so does the page after both', () => {
  const [first, firstWorker] = open();
  firstWorker.report(...WELCOMED);
  expect(settings.compressAboveBytes).toBe(Infinity);
  first.close();
  expect(settings.compressAboveBytes).toBe(THRESHOLD_BYTES);
  const [, secondWorker] = open();
  secondWorker.report(...WELCOMED);
  // Heard too late to matter.
  firstWorker.report(['message', new ArrayBuffer(1)]);
  expect(secondWorker.tasks).toEqual([['open', URL_OF_GATEWAY, ['a'], THRESHOLD_BYTES]]);
  jest.advanceTimersByTime(2_000);
  expect([firstWorker.isTerminated, settings.compressAboveBytes]).toEqual([true, Infinity]);
  secondWorker.report(['close', 1006]);
  expect(settings.compressAboveBytes).toBe(THRESHOLD_BYTES);
});

test('a socket that only looks whether it opens leaves it to the page to compress', () => {
  const [, worker] = open();
  worker.report(['ready'], ['open', '']);
  expect(settings.compressAboveBytes).toBe(THRESHOLD_BYTES);
});

test('a worker that never answers is given up, once and for all', () => {
  const [socket, worker] = open();
  const seen: unknown[] = [];
  socket.onopen = () => seen.push(socket.protocol);
  jest.advanceTimersByTime(3_000);
  expect([worker.isTerminated, plains.length]).toEqual([true, 1]);
  plains[0]?.onopen?.({});
  expect(seen).toEqual(['plain.v1']);
  open();
  expect([workers.length, plains.length]).toEqual([1, 2]);
});

test('two sockets whose workers fail both go on without', () => {
  open();
  open();
  for (const worker of workers) worker.onerror?.({ preventDefault: () => {} });
  expect(plains.length).toBe(2);
});

test('one that answered in time is not given up', () => {
  const [, worker] = open();
  worker.report(['ready']);
  jest.advanceTimersByTime(10_000);
  expect([worker.isTerminated, plains.length]).toEqual([false, 0]);
});

test('the URL that a worker of another origin needs is revoked when it runs', () => {
  Object.defineProperty(globalThis, 'location', { value: { origin: 'https://app.example' } });
  const revoke = jest.spyOn(URL, 'revokeObjectURL');
  const [, worker] = open();
  expect([String(worker.url).startsWith('blob:'), revoke.mock.calls]).toEqual([true, []]);
  worker.report(['ready']);
  expect(revoke.mock.calls).toEqual([[worker.url]]);
});

/** Enough to be encoded by the worker. */
const LARGE = Array<number>(1_000).fill(1);

test('a frame that carries what the worker encodes counts with it until the socket has taken both', () => {
  const [socket, worker] = open();
  expect(settings.encodeAway?.(LARGE)).toBeNull();
  worker.report(...WELCOMED);
  const loading = settings.encodeAway?.(LARGE);
  const bytes = loading?.bytes ?? 0;
  loading?.carry?.(() => socket.send(new Uint8Array(10)));
  socket.send(new Uint8Array(20));
  expect(worker.tasks.slice(1)).toEqual([
    ['encode', 1, [JSON.stringify(LARGE)]],
    ['send', new Uint8Array(10), 10 + bytes, 1],
    ['send', new Uint8Array(20), 20, null],
  ]);
  expect(socket.bufferedAmount).toBe(30 + bytes);
  worker.report(['flow', 10 + bytes, 5], ['flow', 20, 5]);
  expect(socket.bufferedAmount).toBe(5);
});

test('a worker whose connection ended finishes what it encodes, and no longer than 30 s', async () => {
  const ready: unknown[] = [];
  const [, first] = open();
  first.report(...WELCOMED);
  settings.encodeAway?.(LARGE)?.ready.then((payload) => ready.push(payload.encoding), ready.push.bind(ready));
  first.report(['close', 1006]);
  expect([first.isTerminated, settings.encodeAway?.(LARGE)]).toEqual([false, null]);
  first.report(['encoded', 1, 1, new ArrayBuffer(1)]);
  expect(first.isTerminated).toBe(true);
  const [, second] = open();
  second.report(...WELCOMED);
  settings
    .encodeAway?.(LARGE)
    ?.ready.catch((error: unknown) => ready.push((error as { code?: string }).code));
  second.report(['close', 1006]);
  jest.advanceTimersByTime(29_999);
  expect(second.isTerminated).toBe(false);
  jest.advanceTimersByTime(1);
  expect(second.isTerminated).toBe(true);
  await Promise.resolve();
  await Promise.resolve();
  expect(ready).toEqual([1, 'unavailable']);
});
