// Entry of a worker process: settings from the primary, messages to and from it, and how the process ends.
import { deserializeConfig, WORKER_ENV } from '../config.js';
import type { WorkerId } from '../protocol/ids.js';
import type { ToPrimary, ToWorker } from './control.js';
import { runWorker } from './worker.js';

export async function startWorker(env: NodeJS.ProcessEnv): Promise<void> {
  const send = (message: ToPrimary): Promise<void> =>
    new Promise((resolve) => {
      // Resolves also where nobody listens any more: there is nobody left to tell.
      if (!process.connected) resolve();
      else
        process.send?.(message, () => {
          resolve();
        });
    });
  // The primary decides about signals: Ctrl-C reaches the whole process group.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  process.on('SIGHUP', () => undefined);
  // Listens before it starts: a drain, or the list of siblings, may come while the worker still connects to its store.
  const early: ToWorker[] = [];
  let receive = (message: ToWorker): void => {
    early.push(message);
  };
  process.on('message', (message) => {
    // Written by the primary, which started this process.
    receive(message as ToWorker);
  });
  const worker = await runWorker(
    {
      config: deserializeConfig(env[WORKER_ENV.config] ?? ''),
      worker: (env[WORKER_ENV.worker] ?? '') as WorkerId,
      version: env[WORKER_ENV.version] ?? '',
      directory: env[WORKER_ENV.directory] ?? '',
      storePath: env[WORKER_ENV.storePath] ?? '',
    },
    send,
  );
  receive = (message) => {
    worker.receive(message);
  };
  for (const message of early) receive(message);
}
