// Threads of the platform: Web Workers where there are some, in Node worker threads. The browser's bundle has another file here.
import { availableParallelism } from 'node:os';
import { type Transferable as Moved, Worker as NodeWorker } from 'node:worker_threads';
import { threadBody, type ThreadAnswer } from './thread-body.js';
import { spawnInBrowser, type SpawnThread } from './thread-port.js';

const IN_NODE = `
const { parentPort } = require('node:worker_threads');
// Scripts of the web would take this for a module of Node, and leave nothing in the global scope.
delete globalThis.module;
delete globalThis.exports;
const platform = {
  post: (answer, transfer) => parentPort.postMessage(answer, transfer),
  listen: (take) => parentPort.on('message', take),
  load: async (url) => {
    const text = /^https?:/.test(url)
      ? await fetch(url).then((response) => {
          if (!response.ok) throw new Error(url + ' answers ' + response.status);
          return response.text();
        })
      : require('node:fs').readFileSync(url.startsWith('file:') ? new URL(url) : url, 'utf8');
    require('node:vm').runInThisContext(text, { filename: url });
  },
};
`;

/** Nothing there forbids a text as program, so that a file is never needed. */
const spawnInNode: SpawnThread = (_url, events) => {
  const worker = new NodeWorker(`${IN_NODE}(${threadBody.toString()})(platform);`, { eval: true });
  let isGone = false;
  const gone = (error: unknown): void => {
    if (isGone) return;
    isGone = true;
    void worker.terminate();
    events.onGone(error);
  };
  worker.on('message', (answer: ThreadAnswer) => {
    if (!isGone) events.onAnswer(answer);
  });
  worker.on('error', gone);
  worker.on('messageerror', gone);
  worker.on('exit', (code) => gone(new Error(`The thread ended with ${String(code)}.`)));
  return {
    post: (task, transfer) => worker.postMessage(task, transfer as unknown as Moved[]),
    hold: (isAwaited) => (isAwaited ? worker.ref() : worker.unref()),
    end: () => {
      isGone = true;
      void worker.terminate();
    },
  };
};

const hasWebWorkers = typeof Worker === 'function';
export const spawnThread: SpawnThread = hasWebWorkers ? spawnInBrowser : spawnInNode;
export const coreCount = (): number =>
  hasWebWorkers ? navigator.hardwareConcurrency : availableParallelism();
