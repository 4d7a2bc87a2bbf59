// The page's half of `offload: true`, with workers that do what a test says: who compresses, and what becomes of a worker that never comes.
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import {
  offloaded,
  type OffloadSettings,
  type SocketReport,
  type SocketTask,
} from '../../../src/client/offload-socket.js';
import { decodePayload } from '../../../src/protocol/payload.js';
import type { WebSocketClass, WebSocketLike } from '../../../src/client/websocket-class.js';

const URL_OF_GATEWAY = 'ws://127.0.0.1:1';
const THRESHOLD_BYTES = 1024;

class ScriptedWorker {
  onmessage: ((event: { data: SocketReport }) => void) | null = null;
  onerror: ((event: { preventDefault(): void }) => void) | null = null;
  readonly tasks: SocketTask[] = [];
  isTerminated = false;

  constructor(readonly url: string | URL) {
    workers.push(this);
  }

  postMessage(task: SocketTask): void {
    this.tasks.push(task);
  }

  terminate(): void {
    this.isTerminated = true;
  }

  report(...reports: SocketReport[]): void {
    for (const data of reports) this.onmessage?.({ data });
  }
}

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

const workers: ScriptedWorker[] = [];
const plains: PlainSocket[] = [];
let settings: OffloadSettings;
let Socket: WebSocketClass;

/** What Node has none of, or another one. */
const STRANGE = { Worker: ScriptedWorker, location: { origin: 'null' } };
const own = Object.keys(STRANGE).map(
  (name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const,
);

beforeEach(() => {
  jest.useFakeTimers();
  for (const [name, value] of Object.entries(STRANGE))
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  settings = { offload: true, codec: 'msgpack', compressAboveBytes: THRESHOLD_BYTES, read: decodePayload };
  Socket = offloaded(settings, PlainSocket);
});
afterEach(() => {
  workers.length = plains.length = 0;
  jest.useRealTimers();
  jest.restoreAllMocks();
  for (const [name, descriptor] of own)
    if (descriptor === undefined) Reflect.deleteProperty(globalThis, name);
    else Object.defineProperty(globalThis, name, descriptor);
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
