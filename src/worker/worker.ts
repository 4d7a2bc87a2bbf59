// A worker: the composition root of the process that holds connections.
import type { Server } from 'node:http';
import type { Server as TcpServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SessionId } from '../protocol/ids.js';
import type { Config } from '../config.js';
import { type Authenticator, createAuthenticator } from '../session/authenticator.js';
import { RandomPool } from '../session/random-pool.js';
import { Revocations, REVOCATIONS_POLL_MS } from '../session/revocations.js';
import { signToken } from '../session/sign-token.js';
import { Chores } from './chores.js';
import type { ToWorker } from './control.js';
import { Doorstep } from './doorstep.js';
import { EXIT_CANNOT_LISTEN } from './exit-codes.js';
import { createHttpServer, LISTEN_BACKLOG } from './http-server.js';
import { Incoming } from './incoming.js';
import { KeepAlive } from './keep-alive.js';
import { Listener } from './listener.js';
import { loadPlugins } from './worker-plugins.js';
import { Orders, tellMetrics } from './orders.js';
import { ServerCalls } from './server-calls.js';
import { Playground } from './playground.js';
import { StaticFiles } from './static-files.js';
import { TestDoor } from './test-door.js';
import { TestGuests } from './test-guests.js';
import { Turnstile } from './turnstile.js';
import { type Base, layBase, type Tell, type WorkerSettings } from './base.js';
import { createService, type Service } from './service.js';

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
  const { server, turnstile, doorstep } = createServer(base, service, testDoor);

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
  chores.every(service.pairs.stepMs, () => service.pairs.step());
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
  const listener = listen(server, base, tell, () => admission.connections);
  if (acceptsItself(config))
    chores.every(Listener.STEP_MS, () => {
      listener.step();
      return undefined;
    });
  const drain = async (delayMs: number): Promise<void> => {
    if (gateway.draining) return;
    gateway.refuseNewcomers();
    base.log.info('draining');
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    listener.close();
    tcpServer?.close();
    server.closeIdleConnections();
    await gateway.sendAway((config.server.drainTimeoutMs - delayMs) * DRAIN_CLIENTS_SHARE);
    await plugins?.close();
    service.door.close();
    turnstile.close();
    doorstep.close();
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
  const accept = (accept: boolean, order: number): void => {
    listener.accept(accept, order);
  };
  return new Orders({ store, relay, metrics, gateway, testDoor, calls, tell, drain, accept });
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
): { server: Server; turnstile: Turnstile; doorstep: Doorstep } {
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
  const doorstep = Doorstep.before(server, config.tls === null ? 'connection' : 'secureConnection', {
    headerLimitBytes: config.server.headerLimitBytes,
    upgrade: (request, socket, head) => {
      door.upgrade(request, socket, head);
    },
  });
  const turnstile = Turnstile.before(server, {
    overflow: () => {
      metrics.handshakes.add('waiting_limit');
    },
  });
  return { server, turnstile, doorstep };
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

/** Whether whichever worker is first takes a connection: then those that are ahead rest for a while. */
function acceptsItself({ server }: Config): boolean {
  return server.scheduling === 'none' && server.workers > 1;
}

function listen(server: Server, { config, log }: Base, tell: Tell, connections: () => number): Listener {
  const { port, host, scheduling } = config.server;
  // In a variable of its own: @types/node 20 does not know reusePort yet.
  const options = { port, host, backlog: LISTEN_BACKLOG, reusePort: scheduling === 'reuseport' };
  const listener = new Listener(server, {
    options,
    connections,
    tell: (connections, done) => {
      void tell({ type: 'load', connections, done });
    },
  });
  server.on('error', (error) => {
    // No stack: nothing of ours is in it, and the reason is all that helps.
    log.fatal({ reason: error.message }, 'cannot listen');
    process.exit(EXIT_CANNOT_LISTEN);
  });
  listener.open(() => {
    const address = server.address();
    void tell({
      type: 'ready',
      port: typeof address === 'object' && address !== null ? address.port : port,
    });
  });
  return listener;
}
