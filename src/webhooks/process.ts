// Entry of the process that sends webhooks: beside the primary, so that no worker's end and no slow application touches the other.
import { type Config, deserializeConfig, WORKER_ENV } from '../config.js';
import { createLog } from '../log.js';
import { SignedPoster } from '../plugins/signed-post.js';
import type { WorkerId } from '../protocol/ids.js';
import { RemoteStore } from '../relay/store-link.js';
import type { WebhookQueue } from '../session/store/webhook-queue.js';
import { WebhookMetrics } from './webhook-metrics.js';
import { WebhookSender } from './webhook-sender.js';

/** How often the primary is told the numbers, which is the sign of life too, ms. */
const TELL_MS = 1_000;

export type ToWebhookProcess = { type: 'stop'; mustFinish: boolean; timeMs: number };
export type FromWebhookProcess = { type: 'metrics'; values: object[] };

export async function startWebhooks(env: NodeJS.ProcessEnv): Promise<void> {
  const text = env[WORKER_ENV.config];
  const name = env[WORKER_ENV.worker];
  if (text === undefined || name === undefined || process.send === undefined)
    throw new Error('This is run by the gateway itself.');
  // The primary decides about signals: Ctrl-C reaches the whole process group.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => undefined);
  // What waits is in the store of the primary or in Redis: without the one or the other there is nothing to do here.
  process.on('disconnect', () => process.exit(1));
  const config = deserializeConfig(text);
  const { webhooks } = config;
  if (webhooks === null) throw new Error('There are no webhooks.');
  const log = createLog(config, { worker: name });
  const metrics = new WebhookMetrics();
  const poster = new SignedPoster(webhooks.target);
  const sender = new WebhookSender({
    queue: await openQueue(config, name, env[WORKER_ENV.storePath] ?? '').catch((error: unknown) => {
      log.error({ err: error }, 'webhooks wait: their process cannot start, and is tried again');
      process.exit(1);
    }),
    // Unlike another one of this name that the primary took for dead.
    name: `${name}.${String(process.pid)}`,
    settings: webhooks,
    post: (body, timeoutMs) => poster.tell(body, timeoutMs),
    metrics,
    log,
  });
  const tell = async (): Promise<void> => {
    const message: FromWebhookProcess = {
      type: 'metrics',
      values: await metrics.registry.getMetricsAsJSON(),
    };
    if (!process.connected) return;
    // Resolves when it is written: who exits sooner may lose it.
    await new Promise<void>((resolve) => {
      process.send?.(message, () => {
        resolve();
      });
    });
  };
  process.on('message', (message) => {
    // Written by the primary, which started this process.
    const { mustFinish, timeMs } = message as ToWebhookProcess;
    void sender
      .stop(mustFinish, timeMs)
      .then(tell)
      .then(() => process.exit(0));
  });
  sender.start();
  setInterval(() => void tell(), TELL_MS);
}

async function openQueue(config: Config, name: string, storePath: string): Promise<WebhookQueue> {
  const { redisUrl, redisPrefix } = config.store;
  if (redisUrl === null || config.webhooks === null)
    return new RemoteStore(
      storePath,
      name as WorkerId,
      () => undefined,
      () => process.exit(1),
    );
  const { RedisConnection } = await import('../session/store/redis-connection.js');
  const { RedisWebhooks } = await import('../session/store/redis-webhooks.js');
  const { rules } = config.webhooks;
  const redis = await RedisConnection.open({
    url: redisUrl,
    debounceMs: rules.debounceMs,
    count: () => undefined,
    reconnected: () => undefined,
    evicted: () => undefined,
    succeeded: () => undefined,
  });
  return new RedisWebhooks({ redis, prefix: redisPrefix, rules });
}
