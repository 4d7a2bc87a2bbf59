// A pool over threads that do what a test says: where none can be had any more, and where one ends while others are being set up.
import { afterAll, afterEach, expect, test } from '@jest/globals';
import type { ThreadAnswer, ThreadTask } from '../../../src/client/offload/thread-body.js';

class ScriptedThread {
  onmessage: ((event: { data: ThreadAnswer }) => void) | null = null;
  onerror: ((event: { message: string; preventDefault(): void }) => void) | null = null;
  readonly tasks: ThreadTask[] = [];

  constructor() {
    if (threads.length >= most) throw new Error('no more threads');
    threads.push(this);
  }

  postMessage(task: ThreadTask): void {
    this.tasks.push(task);
  }

  /** Whatever it was asked. */
  answerAll(): void {
    for (const [, number] of this.tasks.splice(0)) this.onmessage?.({ data: ['done', number, 'done'] });
  }

  terminate(): void {}
}

const threads: ScriptedThread[] = [];
let most = Infinity;

// As in browsers, before the pool looks for it.
const own = Object.getOwnPropertyDescriptor(globalThis, 'Worker');
Object.defineProperty(globalThis, 'Worker', { value: ScriptedThread, configurable: true });
const { OffloadPool } = await import('../../../src/client/offload/offload.js');

afterEach(() => {
  threads.length = 0;
  most = Infinity;
});
afterAll(() => {
  if (own === undefined) Reflect.deleteProperty(globalThis, 'Worker');
  else Object.defineProperty(globalThis, 'Worker', own);
});

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'done',
    (error: unknown) => (error as { code?: unknown }).code,
  );
/** Everything that waits for nothing else has happened. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('where no further thread can be started, calls wait for those that there are', async () => {
  most = 1;
  const pool = new OffloadPool({ threads: 4 });
  const calls = ['a', 'b', 'c'].map((name) => pool.call(name));
  expect([pool.threads, pool.waiting]).toEqual([1, 2]);
  for (let n = 0; n < 3; n++) {
    threads[0]?.answerAll();
    await settled();
  }
  expect(await Promise.all(calls)).toEqual(['done', 'done', 'done']);
  pool.terminate();
});

test('a call that times out takes no step with it that its thread was to do', async () => {
  const pool = new OffloadPool({ threads: 2 });
  const calls = [pool.call('quick'), pool.call('slow', [], { timeoutMs: 1 })];
  const loaded = codeOf(pool.loadScripts('a.js'));
  expect(await codeOf(calls[1] as Promise<unknown>)).toBe('timeout');
  threads[0]?.answerAll();
  expect([await loaded, await calls[0], pool.threads]).toEqual(['done', 'done', 1]);
  const next = [pool.call('one'), pool.call('two')];
  // The successor of the one that was ended.
  expect(threads[2]?.tasks.map(([kind]) => kind)).toEqual(['load', 'call']);
  for (const thread of threads) thread.answerAll();
  await Promise.all(next);
  pool.terminate();
});

test('where the only thread is ended meanwhile, its successor tells whether the step can be done', async () => {
  const pool = new OffloadPool({ threads: 1 });
  const loaded = codeOf(pool.loadScripts('a.js'));
  expect(await codeOf(pool.call('slow', [], { timeoutMs: 1 }))).toBe('timeout');
  await settled();
  expect([threads.length, threads[1]?.tasks.map(([kind]) => kind)]).toEqual([2, ['load']]);
  threads[1]?.answerAll();
  expect(await loaded).toBe('done');
  pool.terminate();
});

test('a thread that dies takes no step with it; a step of which the only thread dies is refused', async () => {
  const pool = new OffloadPool({ threads: 1 });
  const call = pool.call('first');
  threads[0]?.answerAll();
  await call;
  const loaded = codeOf(pool.loadScripts('a.js'));
  threads[0]?.onerror?.({ message: 'no', preventDefault: () => {} });
  await settled();
  threads[1]?.onerror?.({ message: 'no', preventDefault: () => {} });
  expect([await loaded, threads.length]).toEqual(['unavailable', 2]);
  const next = pool.call('second');
  expect(threads[2]?.tasks.map(([kind]) => kind)).toEqual(['call']);
  threads[2]?.answerAll();
  await next;
  pool.terminate();
});
