// Workers that do what a test says, where Node has none.
import { afterEach, beforeEach } from '@jest/globals';
import type { SocketReport, SocketTask } from '../../../src/client/offload-socket.js';

export class ScriptedWorker {
  onmessage: ((event: { data: SocketReport }) => void) | null = null;
  onerror: ((event: { preventDefault(): void }) => void) | null = null;
  /** What it was told to do. */
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

/** Those of the present test. */
export const workers: ScriptedWorker[] = [];

/** What Node has none of, or another one. */
const STRANGE = { Worker: ScriptedWorker, location: { origin: 'null' } };
const own = Object.keys(STRANGE).map(
  (name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const,
);

export function useScriptedWorkers(): void {
  beforeEach(() => {
    for (const [name, value] of Object.entries(STRANGE))
      Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  });
  afterEach(() => {
    workers.length = 0;
    for (const [name, descriptor] of own)
      if (descriptor === undefined) Reflect.deleteProperty(globalThis, name);
      else Object.defineProperty(globalThis, name, descriptor);
  });
}
