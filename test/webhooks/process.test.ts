// The primary's side of the process that sends webhooks, at the end of the gateway; the process itself is made up.
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { pino } from 'pino';

class Child extends EventEmitter {
  readonly kill = jest.fn();
  readonly send = jest.fn();
}
const children: Child[] = [];
jest.unstable_mockModule('node:child_process', () => ({
  fork: () => {
    const child = new Child();
    children.push(child);
    return child;
  },
}));
const { WebhookProcess } = await import('../../src/webhook-process.js');

beforeEach(() => void jest.useFakeTimers());
afterEach(() => {
  children.length = 0;
  jest.useRealTimers();
});

function start(waiting: number) {
  let output = '';
  const process = new WebhookProcess({
    env: {},
    execArgv: [],
    log: pino({}, { write: (text: string) => void (output += text) }),
    told: () => undefined,
    ended: () => undefined,
    waiting: () => waiting,
  });
  const [child] = children;
  if (child === undefined) throw new Error('nothing was started');
  return { process, child, output: () => output };
}
const GIVEN_UP = '"events":3,"reason":"shutdown"';

test('a process that finished said itself what it gave up', async () => {
  const { process, child, output } = start(3);
  const stopped = process.stop(true);
  child.emit('close', 0, null);
  await stopped;
  expect(child.send.mock.calls[0]?.[0]).toMatchObject({ type: 'stop', mustFinish: true });
  expect(output()).not.toContain(GIVEN_UP);
});

test('what waits is said where the process has crashed and waits to be started again', async () => {
  const { process, child, output } = start(3);
  child.emit('close', 1, null);
  await process.stop(true);
  expect(output()).toContain(GIVEN_UP);
  await jest.advanceTimersByTimeAsync(600_000);
  expect(children).toHaveLength(1);
});

test('nothing is said to be given up where the queue goes on without this node', async () => {
  const { process, child, output } = start(3);
  child.emit('close', 1, null);
  await process.stop(false);
  expect(output()).not.toContain(GIVEN_UP);
});

test('a process that has ended, and is not closed yet, ends the waiting when it is', async () => {
  const { process, child } = start(0);
  child.emit('exit', 1, null);
  const stopped = process.stop(true);
  child.emit('close', 1, null);
  await stopped;
});

test('a process that does not even end when it is killed is not waited for', async () => {
  const { process, child, output } = start(3);
  const stopped = process.stop(true);
  await jest.advanceTimersByTimeAsync(6_000);
  expect(child.kill).toHaveBeenCalledWith('SIGKILL');
  await jest.advanceTimersByTimeAsync(500);
  await stopped;
  expect(output()).toContain(GIVEN_UP);
});
