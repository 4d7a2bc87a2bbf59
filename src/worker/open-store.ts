// The store of a worker: the primary's memory over a socket, or Redis, over which other nodes are reached too.
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import type { Metrics } from '../metrics.js';
import { GatewayError } from '../protocol/errors.js';
import type { WorkerId } from '../protocol/ids.js';
import type { NodeRelay } from '../relay/node-relay.js';
import { RedisBridge } from '../relay/redis-bridge.js';
import { nodeOf } from '../relay/relay.js';
import { RemoteStore } from '../relay/store-link.js';
import type { RedisStore } from '../session/store/redis-store.js';
import type { Store, StoreListener } from '../session/store/store.js';
import { EXIT_EVICTING_REDIS } from './exit-codes.js';

export interface OpenStoreOptions {
  config: Config;
  worker: WorkerId;
  /** Path of the embedded store's socket. */
  storePath: string;
  relay: NodeRelay;
  metrics: Metrics;
  log: Logger;
  listener: StoreListener;
}

/** Ends the process where there is no store to be had: the primary tries again. */
export async function openStore(options: OpenStoreOptions): Promise<Store> {
  const { config, worker, storePath, listener, log } = options;
  const { redisUrl } = config.store;
  if (redisUrl === null) {
    return new RemoteStore(storePath, worker, listener, () => {
      log.fatal('the link to the primary is gone');
      process.exit(1);
    });
  }
  const store = await connectRedis(redisUrl, options);
  await bridgeNodes(store, options);
  return store;
}

async function connectRedis(url: string, options: OpenStoreOptions): Promise<RedisStore> {
  const { config, worker, listener, metrics, log } = options;
  // Loaded only where it is used: without Redis a worker saves the client library's memory.
  const { EvictionError } = await import('../session/store/eviction-policy.js');
  const { RedisStore } = await import('../session/store/redis-store.js');
  return RedisStore.connect({
    url,
    prefix: config.store.redisPrefix,
    worker,
    settings: config.store.settings,
    requireNoEviction: config.store.requireNoEviction,
    waitReplicas: config.store.waitReplicas,
    debounceMs: config.webhooks?.rules.debounceMs ?? null,
    listener,
    log,
    count: (kind: string) => {
      metrics.storeErrors.inc({ kind });
    },
  }).catch((error: unknown) => {
    if (error instanceof EvictionError) {
      log.fatal({ reason: error.message }, 'REDIS_REQUIRE_NOEVICTION forbids this Redis');
      process.exit(EXIT_EVICTING_REDIS);
    }
    if (!(error instanceof GatewayError)) throw error;
    log.error({ reason: error.message }, 'the worker cannot start: it ends, and the primary tries again');
    process.exit(1);
  });
}

async function bridgeNodes(store: RedisStore, options: OpenStoreOptions): Promise<void> {
  const { config, worker, relay, metrics } = options;
  const bridge = new RedisBridge({
    pubSub: store.pubSub,
    prefix: config.store.redisPrefix,
    worker,
    node: nodeOf(worker),
    receive: (bytes) => {
      relay.receive(bytes, 'redis');
    },
    countLost: (envelopes) => {
      metrics.relayed.add('redis failed', envelopes);
    },
    unreachable: (envelope) => {
      relay.unreachable(envelope);
    },
  });
  await bridge.open();
  relay.useBridge(bridge);
}
