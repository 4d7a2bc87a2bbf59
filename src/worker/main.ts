// Entry of a worker process: settings from the primary, messages to and from it, and how the process ends.
import { deserializeConfig, WORKER_ENV } from '../config.js';
import type { WorkerId } from '../protocol/ids.js';
import type { ToPrimary, ToWorker } from './control.js';
import { runWorker } from './worker.js';

export async function startWorker(env: NodeJS.ProcessEnv): Promise<void> {
  const send = (message: ToPrimary): void => {
    if (process.connected) process.send?.(message);
  };
  // The primary decides about signals: Ctrl-C reaches the whole process group.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  process.on('SIGHUP', () => undefined);
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
  process.on('message', (message) => {
    // Written by the primary, which started this process.
    worker.receive(message as ToWorker);
  });
}
