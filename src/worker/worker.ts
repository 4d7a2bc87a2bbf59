// A worker: the composition root of the process that holds connections.
import type { Server } from 'node:http';
import type { Server as TcpServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import { createLog } from '../log.js';
import { Metrics } from '../metrics.js';
import type { SessionId, WorkerId } from '../protocol/ids.js';
import { createJsonCodec } from '../protocol/json-codec.js';
import { msgpackCodec } from '../protocol/msgpack-codec.js';
import { SUBPROTOCOLS } from '../protocol/subprotocol.js';
import { CountedReads } from '../relay/counted-reads.js';
import { Delivery } from '../relay/delivery.js';
import { Feeds } from '../relay/feeds.js';
import { NodeRelay } from '../relay/node-relay.js';
import { PresenceFeed } from '../relay/presence-feed.js';
import { RouteCache } from '../relay/route-cache.js';
import { Router, type RouterOptions } from '../relay/router.js';
import { Services } from '../relay/services.js';
import { Streams } from '../relay/streams.js';
import type { PluginHost } from '../plugin/plugin-host.js';
import { Topics } from '../relay/topics.js';
import { WaitingCounts } from '../relay/waiting-counts.js';
import { type Authenticator, createAuthenticator } from '../session/authenticator.js';
import { Endings } from '../session/endings.js';
import { Leavings } from '../session/leavings.js';
import { FanOut } from '../session/fan-out.js';
import { RandomPool } from '../session/random-pool.js';
import { TurnBroker } from '../session/turn-broker.js';
import { Refusals } from '../session/refusals.js';
import { SessionRegistry } from '../session/registry.js';
import { Revocations, REVOCATIONS_POLL_MS } from '../session/revocations.js';
import { signToken } from '../session/sign-token.js';
import type { Store } from '../session/store/store.js';
import { Throttle } from '../session/throttle.js';
import { TimerWheel } from '../session/wheel.js';
import { inflatePayload } from '../session/zlib-compressor.js';
import { Admission } from './admission.js';
import { Chores } from './chores.js';
import type { ToPrimary, ToWorker } from './control.js';
import { Errands } from './errands.js';
import { EXIT_CANNOT_LISTEN } from './exit-codes.js';
import { Gateway } from './gateway.js';
import { Heartbeat } from './heartbeat.js';
import { HttpConnections } from './http-connections.js';
import { HttpDoor } from './http-door.js';
import { createHttpServer, LISTEN_BACKLOG } from './http-server.js';
import { Incoming } from './incoming.js';
import { KeepAlive } from './keep-alive.js';
import { MemoryGuard, usedShareOfHeap } from './memory-guard.js';
import { openStore } from './open-store.js';
import { loadPlugins, makePlugins } from './worker-plugins.js';
import { Orders, tellMetrics } from './orders.js';
import { ServerCalls } from './server-calls.js';
import { Playground } from './playground.js';
import { StaticFiles } from './static-files.js';
import { TcpDoor } from './tcp-door.js';
import { TestDoor } from './test-door.js';
import { TestGuests } from './test-guests.js';
import { Tickets } from './tickets.js';
import { Turnstile } from './turnstile.js';
import { Verbs } from './verbs.js';
import { WebSocketDoor } from './websocket-door.js';
import { TurnCheck } from './turn-check.js';

export interface WorkerSettings {
  config: Config;
  worker: WorkerId;
  version: string;
  /** Directory of the node's sockets. */
  directory: string;
  /** Path of the embedded store's socket. */
  storePath: string;
}

type Tell = (message: ToPrimary) => Promise<void>;

/** Of the time that a drain may take, the share for the clients; in the rest the worker closes what it holds. */
const DRAIN_CLIENTS_SHARE = 0.8;

/** How often it is asked anew where the providers of called or followed services are, ms: a store tells of changes for WATCH_MS. */
const SERVICES_REFRESH_MS = 20_000;

/** Life of a guest's token, s; the page asks for a newer one in time. */
const GUEST_TOKEN_LIFE_S = 3600;

/** Runs the worker until it is drained. Messages from the primary come in by the returned object. */
export async function runWorker(
  settings: WorkerSettings,
  tell: Tell,
): Promise<{ receive(message: ToWorker): void }> {
  const incoming = new Incoming();
  const base = await layBase(settings, incoming, tell);
  const { config, worker, store, registry, relay, metrics, wheel, memory, plugins } = base;

  const revocations = new Revocations(store);
  const authenticator = checkTokens(base, revocations);
  const service = createService(base, authenticator);
  const { gateway, admission, endings, leavings, throttle, fanOut } = service;
  const testDoor = config.testPage ? createTestDoor(base, service, authenticator, tell) : null;
  const { server, turnstile } = createServer(base, service, testDoor);

  const keepAlive = new KeepAlive(worker, store, registry);
  incoming.begin({ ...service, metrics, keepAlive });
  await relay.open();

  const chores = new Chores();
  chores.every(1000, () => {
    void tell({ type: 'alive' });
    metrics.loopLag.observe(wheel.takeWorstLagMs() / 1000);
    memory.look();
    throttle.prune();
    admission.prune();
    testDoor?.prune();
    fanOut.prune();
    return undefined;
  });
  chores.every(1000, () => store.sweep());
  chores.every(1000, () => endings.retry());
  chores.every(1000, () => leavings.retry());
  chores.every(REVOCATIONS_POLL_MS, async () => {
    if (await revocations.poll()) gateway.endRevoked((identity) => revocations.isRevoked(identity));
  });
  chores.every(config.store.settings.workerLeaseMs / 3, () => store.renew(worker, []));
  chores.every(SERVICES_REFRESH_MS, () => {
    service.services.refresh();
    service.topics.refresh();
    return undefined;
  });
  chores.every(KeepAlive.STEP_MS, () => keepAlive.step());
  await store.renew(worker, []);
  await revocations.poll();

  const calls = new ServerCalls({
    ...service,
    store,
    log: base.log,
    session: new RandomPool().text(16) as SessionId,
  });
  if (plugins !== null) await loadPlugins(plugins, { ...service, calls, log: base.log });

  const tcpServer = service.tcpDoor.createServer();
  await listenTcp(tcpServer, base);
  listen(server, base, tell);
  const drain = async (delayMs: number): Promise<void> => {
    if (gateway.draining) return;
    gateway.refuseNewcomers();
    base.log.info('draining');
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    server.close();
    tcpServer?.close();
    server.closeIdleConnections();
    await gateway.sendAway((config.server.drainTimeoutMs - delayMs) * DRAIN_CLIENTS_SHARE);
    await plugins?.close();
    service.door.close();
    turnstile.close();
    chores.close();
    await store.retire(worker).catch(() => undefined);
    await relay.close();
    await store.close();
    authenticator.close();
    base.turnCheck.close();
    wheel.close();
    await tellMetrics(0, metrics, tell);
    base.log.info('drained');
    process.exit(0);
  };
  return new Orders({ store, relay, metrics, gateway, testDoor, calls, tell, drain });
}

/** What every part of the worker stands on. */
interface Base {
  config: Config;
  worker: WorkerId;
  version: string;
  log: Logger;
  metrics: Metrics;
  wheel: TimerWheel;
  registry: SessionRegistry;
  relay: NodeRelay;
  store: Store;
  memory: MemoryGuard;
  turnCheck: TurnCheck;
  /** Null where there are none. */
  plugins: PluginHost | null;
}

async function layBase(settings: WorkerSettings, incoming: Incoming, tell: Tell): Promise<Base> {
  const { config, worker, version, directory, storePath } = settings;
  const metrics = new Metrics();
  const log = createLog(config, { worker }, (lines) => {
    metrics.logLinesDropped.inc(lines);
  });
  const relay = new NodeRelay({
    worker,
    directory,
    listener: (envelope) => {
      incoming.envelope(envelope);
    },
    count: (path, outcome, envelopes) => {
      metrics.relayed.add(`${path} ${outcome}`, envelopes);
    },
  });
  const store = await openStore({
    config,
    worker,
    storePath,
    relay,
    metrics,
    log,
    listener: (event) => {
      incoming.event(event);
      if (event.type !== 'doubt') return;
      metrics.doubts.inc();
      // Its younger siblings know only how the store is now.
      void tell({ type: 'doubt' });
    },
  });
  const [wheel, registry] = [new TimerWheel(), new SessionRegistry()];
  const memory = guardMemory(config, metrics, log, tell);
  const turnCheck = new TurnCheck(config.turn.servers, config.turn.checkMs);
  const common = { config, worker, log, metrics, wheel, registry };
  const plugins = await makePlugins(common);
  return { ...common, version, relay, store, memory, turnCheck, plugins };
}

function guardMemory({ server }: Config, metrics: Metrics, log: Logger, tell: Tell): MemoryGuard {
  return new MemoryGuard({
    shedAbove: server.heapShedPercent / 100,
    recycleAbove: server.heapRecyclePercent / 100,
    used: () => usedShareOfHeap(server.workerMaxSemiSpaceMb),
    recycle: () => {
      log.warn('the heap is nearly used up: the worker asks to be replaced');
      metrics.recycled.inc();
      void tell({ type: 'recycle' });
    },
  });
}

function checkTokens({ config, metrics, log }: Base, revocations: Revocations): Authenticator {
  return createAuthenticator(config.tokens, {
    refused: (reason) => {
      metrics.tokensRefused.inc({ reason });
    },
    isRevoked: (identity) => revocations.isRevoked(identity),
    keysFailed: (error) => {
      log.warn({ err: error }, 'the key set of JWKS_URL could not be fetched; known keys stay in use');
    },
  });
}

interface Service {
  feeds: Feeds;
  reads: CountedReads;
  presence: PresenceFeed;
  routes: RouteCache;
  router: Router;
  services: Services;
  topics: Topics;
  verbs: Verbs;
  endings: Endings;
  leavings: Leavings;
  throttle: Throttle;
  fanOut: FanOut;
  gateway: Gateway;
  admission: Admission;
  errands: Errands;
  door: WebSocketDoor;
  httpDoor: HttpDoor;
  tcpDoor: TcpDoor;
}

/** All that serves sessions, from what they read and where they send to the door by which they come. */
function createService(base: Base, authenticator: Authenticator): Service {
  const { config, metrics, registry, relay, store, wheel, worker } = base;
  const { limits, sessions, tokens } = config;
  const reads = new CountedReads(store);
  const feeds = createFeeds(base, reads);
  const refusals = new Refusals(limits.errorsPerMinuteLimit, (code) => {
    metrics.refusals.inc({ code });
  });
  const routes = new RouteCache(store, worker);
  const streams = createStreams(base, routes, refusals);
  const fanOut = new FanOut(limits.fanOut, () => {
    metrics.throttled.inc({ scope: 'fan_out' });
  });
  const waiting = new WaitingCounts();
  const router = createRouter(base, {
    routes,
    refusals,
    fanOut,
    streams,
    waiting,
    move: (session, room, joins) => verbs.move(session, room, joins),
  });
  const services = createServices(base, { router, refusals, waiting });
  const topics = new Topics(base);
  const leavings = new Leavings(store, (session) => registry.get(session.ref.session) === session);
  const turn = new TurnBroker(config.iceServers, config.turn, base.turnCheck);
  const verbs: Verbs = new Verbs({
    ...base,
    turn,
    router,
    streams,
    services,
    topics,
    feeds,
    authenticator,
    refusals,
    leavings,
    roomsLimit: limits.roomsPerSessionLimit,
    heartbeat: new Heartbeat({
      wheel,
      pingIntervalMs: sessions.pingIntervalMs,
      pongTimeoutMs: sessions.pongTimeoutMs,
    }),
    expiryWarningMs: tokens.expiryWarningMs,
    expiryGraceMs: tokens.expiryGraceMs,
    onPeerReport: (report) => metrics.peers.count(report),
  });
  const endings = new Endings(store, () => {
    metrics.storeErrors.inc({ kind: 'detach' });
  });
  const throttle = new Throttle(limits.rates, (scope) => {
    metrics.throttled.inc({ scope });
  });
  const admission = new Admission({
    config,
    isDraining: () => gateway.draining,
    isShedding: () => base.memory.sheds,
  });
  const random = new RandomPool();
  const served = base.plugins?.gate(verbs) ?? verbs;
  const gateway: Gateway = new Gateway({
    ...base,
    endings,
    feeds,
    streams,
    services,
    topics,
    verbs,
    served,
    throttle,
    authenticator,
    random,
    turn,
    left: ({ address }) => {
      admission.exit(address);
    },
  });
  const codecs = {
    [SUBPROTOCOLS.msgpack]: msgpackCodec,
    [SUBPROTOCOLS.json]: createJsonCodec({ inflate: inflatePayload }),
  };
  const connections = new HttpConnections(wheel);
  const { httpSilenceLimitMs: silenceLimitMs } = sessions;
  const errands = new Errands({ worker, relay, connections, wheel, random, silenceLimitMs });
  const doors = { config, gateway, metrics, codecs, admission };
  const door = new WebSocketDoor({ ...doors, reads });
  const tickets = new Tickets({ store, authenticator, random });
  const httpDoor = new HttpDoor({ ...doors, log: base.log, connections, errands, tickets, wheel });
  const tcpDoor = new TcpDoor({ ...doors, authenticator, wheel });
  const presence = new PresenceFeed(registry, wheel);
  const delivering = { feeds, reads, presence, routes, router, services, topics, verbs, errands, fanOut };
  return { ...delivering, endings, leavings, throttle, gateway, admission, door, httpDoor, tcpDoor };
}

function createFeeds({ registry, metrics }: Base, reads: CountedReads): Feeds {
  return new Feeds({
    store: reads,
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
}

function createStreams({ config, metrics, ...base }: Base, routes: RouteCache, refusals: Refusals): Streams {
  const streams = new Streams({
    ...base,
    routes,
    refusals,
    streamsPerSessionLimit: config.limits.streamsPerSessionLimit,
    countCut: (code) => {
      metrics.streamCuts.inc({ code });
    },
    countDropped: (reason) => {
      metrics.dropped.inc({ reason });
    },
  });
  metrics.countStreams(() => streams.size);
  return streams;
}

function createRouter(
  base: Base,
  parts: Pick<RouterOptions, 'routes' | 'refusals' | 'fanOut' | 'streams' | 'waiting' | 'move'>,
): Router {
  const { registry, metrics } = base;
  const { requestsPendingLimit, requestsPendingLimitBytes } = base.config.limits;
  const delivery = new Delivery(registry, msgpackCodec, (outcome, receivers) => {
    metrics.deliveries.add(outcome, receivers);
  });
  return new Router({
    ...base,
    ...parts,
    delivery,
    requestsPendingLimit,
    requestsPendingLimitBytes,
    countDropped: (reason) => {
      metrics.dropped.inc({ reason });
    },
  });
}

function createServices(
  base: Base,
  parts: { router: Router; refusals: Refusals; waiting: WaitingCounts },
): Services {
  const { requestsPendingLimit, requestsPendingLimitBytes, callsServedLimit } = base.config.limits;
  const { router, ...others } = parts;
  return new Services({
    ...base,
    ...others,
    msgpack: msgpackCodec,
    requestsPendingLimit,
    requestsPendingLimitBytes,
    callsServedLimit,
    answer: (asked, answer) => {
      router.answer(asked, answer);
    },
    count: (outcome) => {
      base.metrics.serviceCalls.add(outcome);
    },
  });
}

/** Of the built files. */
function rootDirectory(): string {
  return fileURLToPath(new URL('..', import.meta.url));
}

function createTestDoor(
  { config, metrics }: Base,
  { admission }: Service,
  authenticator: Authenticator,
  tell: Tell,
): TestDoor {
  const { tokens } = config;
  const secret = tokens.keys.kind === 'secret' ? (tokens.keys.secrets[0] ?? '') : '';
  return new TestDoor({
    config,
    webDirectory: join(rootDirectory(), 'web'),
    guests: new TestGuests({ sign: (request) => signToken(tokens, request), secret }),
    authenticator,
    admission,
    tested: (report) => {
      metrics.countTest(report);
      void tell({ type: 'tested', report });
    },
    count: (outcome) => {
      metrics.testReports.add(outcome);
    },
  });
}

function createServer(
  { config, metrics, store }: Base,
  { gateway, door, httpDoor }: Service,
  testDoor: TestDoor | null,
): { server: Server; turnstile: Turnstile } {
  const here = rootDirectory();
  const { development, tokens } = config;
  const ttlS = Math.min(GUEST_TOKEN_LIFE_S, tokens.maxLifeS);
  const playground = development
    ? new Playground(join(here, 'web'), (client) => signToken(tokens, { sub: client, ttlS, perm: '*' }))
    : null;
  const server = createHttpServer({
    config,
    files: new StaticFiles(join(here, 'browser')),
    playground,
    door: httpDoor,
    testDoor,
    isReady: () => store.ready && !gateway.draining,
    upgrade: (request, socket, head) => {
      door.upgrade(request, socket, head);
    },
    countBadRequest: () => {
      metrics.handshakes.add('bad_request');
    },
  });
  const turnstile = Turnstile.before(server, {
    overflow: () => {
      metrics.handshakes.add('waiting_limit');
    },
  });
  return { server, turnstile };
}

/** Before the public port, so that a worker that is ready is so on both. */
async function listenTcp(server: TcpServer | null, { config, log }: Base): Promise<void> {
  const { tcp } = config;
  if (server === null || tcp === null) return;
  const { host, scheduling } = config.server;
  const options = { port: tcp.port, host, backlog: LISTEN_BACKLOG, reusePort: scheduling === 'reuseport' };
  server.on('error', (error) => {
    log.fatal({ reason: error.message }, 'cannot listen on TCP_PORT');
    process.exit(EXIT_CANNOT_LISTEN);
  });
  await new Promise<void>((resolve) => server.listen(options, resolve));
}

function listen(server: Server, { config, log }: Base, tell: Tell): void {
  const { port, host, scheduling } = config.server;
  // In a variable of its own: @types/node 20 does not know reusePort yet.
  const options = { port, host, backlog: LISTEN_BACKLOG, reusePort: scheduling === 'reuseport' };
  server.listen(options, () => {
    const address = server.address();
    void tell({
      type: 'ready',
      port: typeof address === 'object' && address !== null ? address.port : port,
    });
  });
  server.on('error', (error) => {
    // No stack: nothing of ours is in it, and the reason is all that helps.
    log.fatal({ reason: error.message }, 'cannot listen');
    process.exit(EXIT_CANNOT_LISTEN);
  });
}
