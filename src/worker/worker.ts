// A worker: the composition root of the process that holds connections.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config.js';
import { signToken } from '../session/sign-token.js';
import { createLog } from '../log.js';
import { Metrics } from '../metrics.js';
import type { WorkerId } from '../protocol/ids.js';
import { GatewayError } from '../protocol/errors.js';
import { createJsonCodec } from '../protocol/json-codec.js';
import { msgpackCodec } from '../protocol/msgpack-codec.js';
import { SUBPROTOCOLS } from '../protocol/subprotocol.js';
import { Delivery } from '../relay/delivery.js';
import { Feeds } from '../relay/feeds.js';
import { NodeRelay } from '../relay/node-relay.js';
import { PresenceFeed } from '../relay/presence-feed.js';
import { RedisBridge } from '../relay/redis-bridge.js';
import { nodeOf } from '../relay/relay.js';
import { RouteCache } from '../relay/route-cache.js';
import { Router } from '../relay/router.js';
import { RemoteStore } from '../relay/store-link.js';
import { createAuthenticator } from '../session/authenticator.js';
import { Revocations, REVOCATIONS_POLL_MS } from '../session/revocations.js';
import { RandomPool } from '../session/random-pool.js';
import { Refusals } from '../session/refusals.js';
import { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import type { Store, StoreEvent } from '../session/store/store.js';
import { Throttle } from '../session/throttle.js';
import { TimerWheel } from '../session/wheel.js';
import { inflatePayload } from '../session/zlib-compressor.js';
import type { ToPrimary, ToWorker } from './control.js';
import { Gateway } from './gateway.js';
import { Heartbeat } from './heartbeat.js';
import { createHttpServer, LISTEN_BACKLOG } from './http-server.js';
import { MemoryGuard, usedShareOfHeap } from './memory-guard.js';
import { StaticFiles } from './static-files.js';
import { Verbs } from './verbs.js';
import { WebSocketDoor } from './websocket-door.js';

export interface WorkerSettings {
  config: Config;
  worker: WorkerId;
  version: string;
  /** Directory of the node's sockets. */
  directory: string;
  /** Path of the embedded store's socket. */
  storePath: string;
}

/** Runs the worker until it is drained. Messages from the primary come in by the returned function. */
export async function runWorker(
  settings: WorkerSettings,
  tell: (message: ToPrimary) => Promise<void>,
): Promise<{ receive(message: ToWorker): void }> {
  const { config, worker, version, directory } = settings;
  const metrics = new Metrics();
  const log = createLog(config, { worker }, (lines) => {
    metrics.logLinesDropped.inc(lines);
  });
  const wheel = new TimerWheel();
  const registry = new SessionRegistry();
  const delivery = new Delivery(registry, msgpackCodec, (outcome, receivers) => {
    metrics.deliveries.add(outcome, receivers);
  });
  const feeds = new Feeds({
    get store() {
      return store;
    },
    registry,
    msgpack: msgpackCodec,
    count: (outcome, receivers) => {
      metrics.deliveries.add(outcome, receivers);
    },
    countRead: (reason) => {
      metrics.logReads.add(reason);
    },
    countGap: (reason) => {
      metrics.gaps.inc({ reason });
    },
  });
  const presence = new PresenceFeed(registry, wheel);
  const authenticator = createAuthenticator(config.tokens, {
    refused: (reason) => {
      metrics.tokensRefused.inc({ reason });
    },
    isRevoked: (identity) => revocations.isRevoked(identity),
    keysFailed: (error) => {
      log.warn({ err: error }, 'the key set of JWKS_URL could not be fetched; known keys stay in use');
    },
  });

  // Nothing is meant for a worker that holds nobody yet, and its parts may not stand.
  let live = false;
  const relay = new NodeRelay({
    worker,
    directory,
    listener: (envelope) => {
      if (live) router.receive(envelope);
    },
    count: (path, outcome, envelopes) => {
      metrics.relayed.add(`${path} ${outcome}`, envelopes);
    },
  });

  let renewAll = (): void => undefined;
  const onStoreEvent = (event: StoreEvent): void => {
    if (!live) return;
    switch (event.type) {
      case 'entry':
        metrics.entries.add(event.channel.kind);
        feeds.entry(event);
        return;
      case 'route':
        routes.forget(event.client);
        return;
      case 'fence':
        gateway.fence(event);
        return;
      case 'presence':
        presence.add(event);
        return;
      case 'reset':
        routes.clear();
        renewAll();
        void feeds.resync();
        return;
      default:
        event satisfies never;
    }
  };
  const store = await openStore(settings, relay, onStoreEvent, metrics, log);
  const revocations = new Revocations(store);
  const routes = new RouteCache(store, worker);
  const refusals = new Refusals(config.limits.errorsPerMinuteLimit, (code) => {
    metrics.refusals.inc({ code });
  });
  const router = new Router({
    worker,
    store,
    registry,
    relay,
    routes,
    delivery,
    wheel,
    refusals,
    requestsPendingLimit: config.limits.requestsPendingLimit,
    requestsPendingLimitBytes: config.limits.requestsPendingLimitBytes,
    countDropped: (reason) => {
      metrics.dropped.inc({ reason });
    },
  });
  const verbs = new Verbs({
    worker,
    store,
    router,
    registry,
    feeds,
    wheel,
    authenticator,
    refusals,
    roomsLimit: config.limits.roomsPerSessionLimit,
    heartbeat: new Heartbeat({
      wheel,
      pingIntervalMs: config.sessions.pingIntervalMs,
      pongTimeoutMs: config.sessions.pongTimeoutMs,
    }),
    expiryWarningMs: config.tokens.expiryWarningMs,
    expiryGraceMs: config.tokens.expiryGraceMs,
  });
  const throttle = new Throttle(config.limits.rates, (scope) => {
    metrics.throttled.inc({ scope });
  });
  const gateway = new Gateway({
    config,
    worker,
    version,
    store,
    registry,
    feeds,
    verbs,
    wheel,
    throttle,
    authenticator,
    random: new RandomPool(),
    metrics,
    log,
    left: ({ address }) => {
      door.exit(address);
    },
  });

  const memory = new MemoryGuard({
    shedAbove: config.server.heapShedPercent / 100,
    recycleAbove: config.server.heapRecyclePercent / 100,
    used: () => usedShareOfHeap(config.server.workerMaxSemiSpaceMb),
    recycle: () => {
      log.warn('the heap is nearly used up: the worker asks to be replaced');
      metrics.recycled.inc();
      void tell({ type: 'recycle' });
    },
  });
  let draining = false;
  const door = new WebSocketDoor({
    config,
    gateway,
    metrics,
    codecs: {
      [SUBPROTOCOLS.msgpack]: msgpackCodec,
      [SUBPROTOCOLS.json]: createJsonCodec({ inflate: inflatePayload }),
    },
    isDraining: () => draining,
    isShedding: () => memory.sheds,
  });
  const here = fileURLToPath(new URL('..', import.meta.url));
  const server = createHttpServer({
    config,
    files: new StaticFiles({
      browserDirectory: join(here, 'browser'),
      webDirectory: join(here, 'web'),
      guestToken: config.development
        ? (client) => signToken(config.tokens, { sub: client, ttlS: 3600, perm: '*' })
        : null,
    }),
    isReady: () => store.ready && !draining,
    upgrade: (request, socket, head) => {
      door.upgrade(request, socket, head);
    },
    countBadRequest: () => {
      metrics.handshakes.add('bad_request');
    },
  });

  live = true;
  await relay.open();
  const signs = keepAlive(settings, store, registry);
  renewAll = signs.renewAll;
  const chores = [
    every(1000, () => {
      void tell({ type: 'alive' });
      metrics.loopLag.observe(wheel.takeWorstLagMs() / 1000);
      memory.look();
      throttle.prune();
      door.prune();
      return undefined;
    }),
    every(1000, () => store.sweep()),
    every(REVOCATIONS_POLL_MS, async () => {
      if (await revocations.poll()) gateway.endRevoked((identity) => revocations.isRevoked(identity));
    }),
    ...signs.chores,
  ];
  await store.renew(worker, []);
  await revocations.poll();

  const tellMetrics = async (id: number): Promise<void> => {
    await tell({ type: 'metrics', id, values: await metrics.registry.getMetricsAsJSON() });
  };
  const drain = async (delayMs: number): Promise<void> => {
    if (draining) return;
    draining = true;
    log.info('draining');
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    server.close();
    server.closeIdleConnections();
    await gateway.drain((config.server.drainTimeoutMs - delayMs) * 0.8);
    for (const chore of chores) clearInterval(chore);
    await store.retire(worker).catch(() => undefined);
    await relay.close();
    await store.close();
    authenticator.close();
    wheel.close();
    await tellMetrics(0);
    log.info('drained');
    process.exit(0);
  };

  // In a variable of its own: @types/node 20 does not know reusePort yet.
  const listenOptions = {
    port: config.server.port,
    host: config.server.host,
    backlog: LISTEN_BACKLOG,
    reusePort: config.server.scheduling === 'reuseport',
  };
  server.listen(listenOptions, () => {
    const address = server.address();
    void tell({
      type: 'ready',
      port: typeof address === 'object' && address !== null ? address.port : config.server.port,
    });
  });
  server.on('error', (error) => {
    // No stack: nothing of ours is in it, and the reason is all that helps.
    log.fatal({ reason: error.message }, 'cannot listen');
    process.exit(EXIT_CANNOT_LISTEN);
  });

  return {
    receive(message) {
      switch (message.type) {
        case 'siblings':
          relay.setSiblings(message.workers);
          return;
        case 'drain':
          void drain(message.delayMs);
          return;
        case 'retire':
          store.retire(message.worker).catch(() => {
            metrics.storeErrors.inc({ kind: 'retire' });
          });
          return;
        case 'metrics':
          void tellMetrics(message.id);
          return;
        case 'locate':
          store.locate(message.client, null).then(
            (places) => {
              void tell({ type: 'located', id: message.id, places });
            },
            () => {
              void tell({ type: 'located', id: message.id, places: null });
            },
          );
          return;
        case 'revoke':
          store.revoke(message.revocation).then(
            () => {
              void tell({ type: 'revoked', id: message.id, done: true });
            },
            () => {
              void tell({ type: 'revoked', id: message.id, done: false });
            },
          );
          return;
        default:
          message satisfies never;
      }
    },
  };
}

/** The port is taken or forbidden: forking the worker again would not help. */
export const EXIT_CANNOT_LISTEN = 78;
/** Redis may evict, which REDIS_REQUIRE_NOEVICTION forbids. */
export const EXIT_EVICTING_REDIS = 79;

async function openStore(
  { config, worker, storePath }: WorkerSettings,
  relay: NodeRelay,
  listener: (event: StoreEvent) => void,
  metrics: Metrics,
  log: ReturnType<typeof createLog>,
): Promise<Store> {
  if (config.store.redisUrl === null)
    return new RemoteStore(storePath, worker, listener, () => {
      log.fatal('the link to the primary is gone');
      process.exit(1);
    });
  // Loaded only where it is used: without Redis a worker saves the client library's memory.
  const { EvictionError, RedisStore } = await import('../session/store/redis-store.js');
  const store = await RedisStore.connect({
    url: config.store.redisUrl,
    prefix: config.store.redisPrefix,
    worker,
    settings: config.store.settings,
    requireNoEviction: config.store.requireNoEviction,
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
  return store;
}

/** All sessions of a worker are renewed within SESSIONS_RENEW_STEPS × SESSIONS_RENEW_STEP_MS: five minutes. */
const SESSIONS_RENEW_STEP_MS = 5_000;
const SESSIONS_RENEW_STEPS = 60;
/** Sessions that are renewed at once, so that a whole worker's do not hit the store in one moment. */
const SESSIONS_RENEW_BATCH = 500;

/**
 * Signs of life: of the worker, and of its sessions a few at a time, so that no key of a live session expires.
 * `renewAll` asks for every session now: the store may have taken them for lost.
 */
function keepAlive(
  { config, worker }: WorkerSettings,
  store: Store,
  registry: SessionRegistry,
): { renewAll: () => void; chores: NodeJS.Timeout[] } {
  let queue: Session[] = [];
  let urgent = false;
  const renew = async (): Promise<void> => {
    if (queue.length === 0) queue = [...registry.all()];
    const step = urgent ? SESSIONS_RENEW_BATCH : Math.max(1, Math.ceil(registry.size / SESSIONS_RENEW_STEPS));
    const sessions = queue.slice(0, step);
    await store.renew(
      worker,
      sessions.map(({ ref }) => ref),
    );
    // Taken off only now: a renewal that failed is tried again.
    const renewed = new Set(sessions);
    queue = queue.filter((session) => !renewed.has(session));
    if (queue.length === 0) urgent = false;
  };
  let ticks = 0;
  return {
    renewAll: () => {
      queue = [...registry.all()];
      urgent = true;
    },
    chores: [
      every(config.store.settings.workerLeaseMs / 3, () => store.renew(worker, [])),
      every(250, () => (urgent || ++ticks % (SESSIONS_RENEW_STEP_MS / 250) === 0 ? renew() : undefined)),
    ],
  };
}

/** A chore whose failure is the store's trouble, which shows elsewhere; one run at a time. */
function every(ms: number, chore: () => Promise<unknown> | undefined): NodeJS.Timeout {
  let running = false;
  return setInterval(() => {
    if (running) return;
    const done = chore();
    if (done === undefined) return;
    running = true;
    done.then(
      () => {
        running = false;
      },
      () => {
        running = false;
      },
    );
  }, ms);
}
