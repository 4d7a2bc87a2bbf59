// Connections that were handed to a worker which has not taken them yet: when it dies, another worker gets them.
import type { ChildProcess } from 'node:child_process';
import type { Worker } from 'node:cluster';

/**
 * With `SCHED_RR` Node's primary waits for a worker's word on each connection. From a worker that is dead it waits for ever, with
 * the connection open, so that its client waits too; and while one is on its way the end of a worker is never told as `disconnect`.
 * Here the dead are made to say what Node expects of a worker that shuts down: not taken, give it to another.
 */
export function handOnFrom(worker: Worker, isAnyoneThere: () => boolean): void {
  const { process: child } = worker;
  const waiting = new Map<number, unknown>();
  let isTold = false;
  watchSends(child, waiting);
  child.on('internalMessage', (message: unknown) => {
    const number = numberIn(message, 'ack');
    if (number !== null) waiting.delete(number);
  });
  child.once('disconnect', () => {
    isTold = true;
  });
  // Later than its exit: only now all that it said has been read, and what is waiting here it has not touched.
  child.once('close', () => {
    // First, or Node takes the dead one for free again.
    if (!isTold) child.emit('disconnect');
    for (const [number, handle] of waiting) {
      if (isAnyoneThere())
        child.emit('internalMessage', { cmd: 'NODE_CLUSTER', ack: number, accepted: false });
      else close(handle);
    }
    waiting.clear();
  });
}

/** Node's own calls are seen here: it sends a connection as an internal message with its handle. */
function watchSends(child: ChildProcess, waiting: Map<number, unknown>): void {
  const send: unknown = Reflect.get(child, 'send');
  if (typeof send !== 'function') return;
  Object.assign(child, {
    send: (...args: unknown[]): boolean => {
      const [message, handle] = args;
      const number = numberIn(message, 'seq');
      if (number !== null && Reflect.get(Object(message), 'act') === 'newconn') waiting.set(number, handle);
      return Reflect.apply(send, child, args) === true;
    },
  });
}

function numberIn(message: unknown, name: string): number | null {
  const value: unknown =
    typeof message === 'object' && message !== null ? Reflect.get(message, name) : undefined;
  return typeof value === 'number' ? value : null;
}

function close(handle: unknown): void {
  const method: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'close') : null;
  if (typeof method === 'function') Reflect.apply(method, handle, []);
}
