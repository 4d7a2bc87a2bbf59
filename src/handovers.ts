// Connections that were handed to a worker which has not taken them: when it dies, or has no descriptor left for one, they go to another.
import type { ChildProcess } from 'node:child_process';
import type { Worker } from 'node:cluster';

/** How long a worker without a free descriptor is left alone, ms: without a pause the same connection would go to and fro. */
const PAUSE_MS = 100;

export interface HandoverOptions {
  /** Whether a worker is there that could take a connection. */
  isAnyoneThere: () => boolean;
  /** The worker could not receive a connection: it has no file descriptor left. */
  undelivered: () => void;
}

/**
 * With `SCHED_RR` Node's primary waits for a worker's word on each connection. From a worker that is dead it waits for ever, with
 * the connection open, so that its client waits too; and while one is on its way the end of a worker is never told as `disconnect`.
 * Nor does a worker say anything of a connection whose descriptor did not reach it (unix(7): out of descriptors the kernel drops it, and
 * Node's `NODE_HANDLE_NACK` is heard by nobody): from then on it got no connection any more.
 * Here both are made to say what Node expects of a worker that shuts down: not taken, give it to another.
 */
export function handOnFrom(worker: Worker, { isAnyoneThere, undelivered }: HandoverOptions): void {
  const { process: child } = worker;
  const waiting = new Map<number, unknown>();
  /** Handles on their way, of which the worker's end of the pipe tells in this order whether they came; null for what is no connection. */
  const underWay: (number | null)[] = [];
  let isTold = false;
  watchSends(child, (number, handle) => {
    underWay.push(number);
    if (number !== null) waiting.set(number, handle);
  });
  const refuse = (number: number): void => {
    child.emit('internalMessage', { cmd: 'NODE_CLUSTER', ack: number, accepted: false });
  };
  child.on('internalMessage', (message: unknown) => {
    const number = numberIn(message, 'ack');
    if (number !== null) waiting.delete(number);
    const came = arrivalIn(message);
    if (came === null) return;
    const arrived = underWay.shift();
    if (came || arrived === undefined || arrived === null) return;
    undelivered();
    setTimeout(() => {
      // Where the worker has died meanwhile that is said below.
      if (waiting.has(arrived)) refuse(arrived);
    }, PAUSE_MS);
  });
  child.once('disconnect', () => {
    isTold = true;
  });
  // Later than its exit: only now all that it said has been read, and what is waiting here it has not touched.
  child.once('close', () => {
    // First, or Node takes the dead one for free again.
    if (!isTold) child.emit('disconnect');
    for (const [number, handle] of waiting) {
      if (isAnyoneThere()) refuse(number);
      else close(handle);
    }
    waiting.clear();
  });
}

/** Node's own calls are seen here: it sends a connection as an internal message with its handle. `sent` gets the number of a connection. */
function watchSends(child: ChildProcess, sent: (number: number | null, handle: unknown) => void): void {
  const send: unknown = Reflect.get(child, 'send');
  if (typeof send !== 'function') return;
  Object.assign(child, {
    send: (...args: unknown[]): boolean => {
      const [message, handle] = args;
      if (typeof handle === 'object' && handle !== null) {
        const isConnection = Reflect.get(Object(message), 'act') === 'newconn';
        sent(isConnection ? numberIn(message, 'seq') : null, handle);
      }
      return Reflect.apply(send, child, args) === true;
    },
  });
}

/** Whether a handle came, where the message says so. */
function arrivalIn(message: unknown): boolean | null {
  const command: unknown =
    typeof message === 'object' && message !== null ? Reflect.get(message, 'cmd') : undefined;
  return command === 'NODE_HANDLE_ACK' ? true : command === 'NODE_HANDLE_NACK' ? false : null;
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
