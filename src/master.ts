// The primary: forks, supervises, rolls and drains the workers, and holds the embedded store.
import cluster, { type Worker } from 'node:cluster';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { NodeMetrics } from './admin/node-metrics.js';
import { type AdminServer, startAdminServer } from './admin/server.js';
import { TestSums } from './admin/test-summary.js';
import { type Config, ownEnvironment, serializeConfig, WORKER_ENV } from './config.js';
import { handOnFrom } from './handovers.js';
import { createLog } from './log.js';
import type { Code } from './protocol/codes.js';
import type { ClientId, WorkerId } from './protocol/ids.js';
import { PublicPort } from './public-port.js';
import { Questions } from './questions.js';
import { StoreServer } from './relay/store-link.js';
import { MemoryStore } from './session/store/memory-store.js';
import type { Revocation, SessionPlace } from './session/store/store.js';
import { Shares } from './shares.js';
import { StartError } from './start-error.js';
import { backoffMs, type Fate, nextFate } from './supervision.js';
import { VERSION } from './version.js';
import { WebhookProcess } from './webhook-process.js';
import { DOUBT_MS, parseToPrimary, type ToWorker } from './worker/control.js';
import { EXIT_BAD_PLUGIN, EXIT_CANNOT_LISTEN, EXIT_EVICTING_REDIS } from './worker/exit-codes.js';
import type { ServerAnswer, ServerCall } from './relay/server-call.js';

/** What a worker runs: the command line, which sees that it is one. */
const WORKER_ENTRY = fileURLToPath(new URL('./cli.js', import.meta.url));
/** How long a worker may take from fork to listening, ms. */
const START_TIMEOUT_MS = 20_000;
/** How often the watchdog looks, ms. */
const WATCH_INTERVAL_MS = 1000;
/** Pause between two lines on the same lack, ms. */
const UNDELIVERED_LOG_MS = 10_000;
/** How often workers are told what connection test pages found, ms. */
const TESTS_INTERVAL_MS = 1000;
/** The process of webhooks among those that count; workers begin with 1. */
const WEBHOOKS_NUMBER = 0;

interface Forked {
  id: WorkerId;
  process: Worker;
  state: 'starting' | 'ready' | 'draining';
  startedAt: number;
  heardAt: number;
}

/** How the primary lives in its process. */
export interface Surroundings {
  /** Take signals as a command does: SIGTERM drains and exits, SIGHUP rolls. */
  signals: boolean;
  /** Flags of Node for the workers. */
  execArgv: readonly string[];
  /** Told where the workers crash in a loop after the start. */
  hopeless: (error: StartError) => void;
}

/** Of the command line: the process is the gateway's own. */
const OWN_PROCESS: Surroundings = {
  signals: true,
  execArgv: process.execArgv,
  hopeless: () => process.exit(1),
};

/** A gateway that runs on this machine. */
export interface Primary {
  /** Port of the gateway, once the first worker listens. */
  readonly port: number;
  readonly adminPort: number | null;
  readonly node: string;
  /** The workers as they are now. */
  workers(): { id: WorkerId; pid: number; state: string }[];
  /** Replaces the workers one by one, as SIGHUP does. */
  roll(): Promise<void>;
  /** Moves the clients away and ends all workers, as SIGTERM does. */
  drain(): Promise<void>;
  /** Has a worker do what a server asks for; the workers take turns. */
  call(calls: ServerCall[], extraMs?: number): Promise<ServerAnswer[]>;
  /** Null where the store cannot be reached now. */
  locate(client: ClientId): Promise<SessionPlace[] | null>;
  /** Resolves with why not; null where it is done. */
  revoke(revocation: Revocation): Promise<Code | null>;
}

/**
 * Starts the gateway on this machine; resolves when every worker listens.
 * @throws StartError where a port cannot be used, or the workers crash in a loop
 */
export async function startPrimary(config: Config, surroundings = OWN_PROCESS): Promise<Primary> {
  const supervisor = new Supervisor(config, surroundings);
  await supervisor.start();
  return supervisor;
}

class Supervisor implements Primary {
  readonly node: string;
  adminPort: number | null = null;
  private readonly publicPort: PublicPort;
  private readonly log: Logger;
  /** Of the node's sockets; made when nothing stands in the way of the start any more. */
  private directory = '';
  private readonly forked = new Map<number, Forked>();
  private readonly questions = new Questions({
    ready: () => [...this.forked.values()].filter(({ state }) => state === 'ready'),
    counting: () => [...this.forked.values()].filter(({ state }) => state !== 'starting'),
    tell: (forked, message) => {
      this.tell(forked, message);
    },
  });
  private readonly nodeMetrics = new NodeMetrics();
  private readonly tests = new TestSums();
  private readonly shares = new Shares<Forked>((forked, accept, order) => {
    this.tell(forked, { type: 'accept', accept, order });
  });
  /** What they tell the workers is at most so old. */
  private testsTimer: NodeJS.Timeout | null = null;
  private readonly store: { memory: MemoryStore; server: StoreServer } | null;
  private readonly timers = new Set<NodeJS.Timeout>();
  private admin: AdminServer | null = null;
  private webhooks: WebhookProcess | null = null;
  /** The worker whose successor a roll has forked already. */
  private replacing: Forked | null = null;
  private watchedAt = performance.now();
  /** When a worker last found that the store may have lost what it had accepted, monotonic ms. */
  private doubtedAt = -Infinity;
  /** When the log last said that a worker could not receive a connection, monotonic ms. */
  private undeliveredAt = -Infinity;
  private lastNumber = 0;
  private fate: Fate = { failures: 0 };
  private draining: Promise<void> | null = null;
  private onReady: (() => void) | null = null;
  private isStarted = false;
  /** One roll after the other, the first when the start is done. */
  private rolling: Promise<void> = Promise.resolve();
  /** Whoever waits for the start is told; later nobody waits, and only the exit code tells. */
  private onHopeless: (error: StartError) => void;
  private readonly received = (worker: Worker, message: unknown): void => {
    this.receive(worker, message);
  };
  private readonly exited = (worker: Worker, code: number | null, signal: string | null): void => {
    this.buried(worker, code, signal);
  };
  /** The process ends without a drain (`process.exit` of a program): the workers would only find their primary gone. */
  private readonly abandoned = (): void => {
    for (const { process: worker } of this.forked.values()) worker.process.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  };
  /** Later than its exit: only now all that it said has been read. */
  private readonly disconnected = ({ id }: Worker): void => {
    this.nodeMetrics.end(id);
  };

  constructor(
    private readonly config: Config,
    private readonly surroundings: Surroundings,
  ) {
    this.onHopeless = surroundings.hopeless;
    this.publicPort = new PublicPort(config.server.port);
    this.node = config.server.nodeName ?? randomBytes(4).toString('hex');
    this.log = createLog(config, { node: this.node });
    this.store = config.store.redisUrl === null ? this.createStore() : null;
  }

  get port(): number {
    return this.publicPort.number;
  }

  workers(): { id: WorkerId; pid: number; state: string }[] {
    return [...this.forked.values()].map(({ id, process: worker, state }) => ({
      id,
      pid: worker.process.pid ?? 0,
      state,
    }));
  }

  async start(): Promise<void> {
    const { server } = this.config;
    // First: where its port is taken nothing else has been begun, so nothing is left behind.
    this.admin = await startAdminServer(this.config, {
      metrics: () => this.metrics(),
      locate: (client) => this.locate(client),
      revoke: (revocation) => this.revoke(revocation),
      workers: () => this.workers(),
      tests: () => this.tests.summary(),
      call: (calls, extraMs) => this.call(calls, extraMs),
    });
    this.adminPort = this.admin?.port ?? null;
    this.directory = mkdtempSync(join(tmpdir(), 'signalbox-'));
    // With one worker there is nothing to hand out in turn: it takes its connections itself, for some 200 µs less each.
    const inTurn = server.scheduling === 'rr' && server.workers > 1;
    cluster.schedulingPolicy = inTurn ? cluster.SCHED_RR : cluster.SCHED_NONE;
    cluster.setupPrimary({
      // Every connection that is handed over takes three small messages: as JSON some 70 µs less than with `advanced`.
      serialization: 'json',
      // Not the program that this may be part of, nor what that was started with.
      exec: WORKER_ENTRY,
      args: [],
      execArgv: [...this.surroundings.execArgv, ...memoryFlags(this.config)],
    });
    process.on('exit', this.abandoned);
    cluster.on('message', this.received);
    cluster.on('exit', this.exited);
    cluster.on('disconnect', this.disconnected);
    // From the first fork on: a signal during the start must not leave workers behind.
    if (this.surroundings.signals) this.takeSignals();
    this.watchedAt = performance.now();
    await this.store?.server.listen(this.storePath);
    this.timers.add(
      setInterval(() => {
        this.watch();
      }, WATCH_INTERVAL_MS),
    );
    if (this.store !== null) this.timers.add(setInterval(() => void this.store?.memory.sweep(), 100));
    if (this.config.webhooks !== null) this.webhooks = this.startWebhooks();
    const listening = new Promise<void>((resolve, reject) => {
      let waiting = server.workers;
      this.onReady = () => {
        if (--waiting === 0) resolve();
      };
      this.onHopeless = reject;
      for (let i = 0; i < server.workers; i++) this.fork();
    });
    this.rolling = listening.catch(() => undefined);
    await listening;
    this.isStarted = true;
    this.onReady = null;
    this.onHopeless = this.surroundings.hopeless;
    this.log.info(
      { port: this.port, adminPort: this.adminPort, workers: server.workers },
      'signalbox is ready',
    );
  }

  private takeSignals(): void {
    process.on('SIGTERM', () => void this.drainAndExit());
    process.on('SIGINT', () => void this.drainAndExit());
    process.on('SIGHUP', () => {
      this.readKeysAgain();
      this.rolling = this.rolling.then(() => this.roll());
    });
  }

  private readKeysAgain(): void {
    try {
      this.admin?.reload();
    } catch (error) {
      this.log.error(
        { reason: error instanceof Error ? error.message : '' },
        'API_KEYS_FILE cannot be read: the keys stay',
      );
    }
  }

  /** Replaces the workers one by one. */
  async roll(): Promise<void> {
    this.log.info('rolling the workers');
    for (const old of [...this.forked.values()].filter(({ state }) => state === 'ready'))
      await this.replace(old);
    this.log.info('rolled');
  }

  /** The new worker listens before the old one drains. */
  private async replace(old: Forked): Promise<void> {
    if (this.draining !== null) return;
    // It may have died or been replaced since: what took its place is new already.
    if (this.forked.get(old.process.id) !== old || old.state !== 'ready') return;
    this.replacing = old;
    await new Promise<void>((resolve) => {
      // Not only this one: should it die before it listens, it is another that takes its place.
      this.onReady = () => {
        resolve();
      };
      this.fork();
    });
    this.onReady = null;
    this.replacing = null;
    await this.drainWorker(old);
  }

  /** Idempotent: a second call waits for the same drain. */
  drain(): Promise<void> {
    this.draining ??= this.drainAll();
    return this.draining;
  }

  private get storePath(): string {
    return join(this.directory, 'store.sock');
  }

  private createStore(): { memory: MemoryStore; server: StoreServer } {
    const memory = new MemoryStore({
      settings: this.config.store.settings,
      deliver: (worker, event) => {
        server.deliver(worker, event);
      },
      webhooks: this.config.webhooks?.rules ?? null,
    });
    const server = new StoreServer(
      memory,
      () => {
        this.log.warn('a worker sent something that is no store call');
      },
      (error) => {
        this.log.error({ err: error }, 'a store call failed');
      },
      memory.webhooks,
    );
    return { memory, server };
  }

  private startWebhooks(): WebhookProcess {
    return new WebhookProcess({
      env: { ...ownEnvironment(), ...this.envOf(`${this.node}.webhooks` as WorkerId) },
      execArgv: this.surroundings.execArgv,
      log: this.log,
      told: (values) => {
        this.nodeMetrics.tell(WEBHOOKS_NUMBER, values);
      },
      ended: () => {
        this.nodeMetrics.end(WEBHOOKS_NUMBER);
      },
      waiting: () => this.store?.memory.webhooks?.waiting ?? 0,
    });
  }

  /** What a process of this node is told at its start. */
  private envOf(id: WorkerId): Record<string, string> {
    return {
      [WORKER_ENV.config]: serializeConfig({
        ...this.config,
        server: { ...this.config.server, port: this.publicPort.asked },
      }),
      [WORKER_ENV.worker]: id,
      [WORKER_ENV.version]: VERSION,
      [WORKER_ENV.directory]: this.directory,
      [WORKER_ENV.storePath]: this.storePath,
    };
  }

  private fork(): Forked {
    const id = `${this.node}.${String(++this.lastNumber)}` as WorkerId;
    const worker = cluster.fork(this.envOf(id));
    handOnFrom(worker, {
      isAnyoneThere: () => [...this.forked.values()].some(({ state }) => state === 'ready'),
      undelivered: () => {
        this.tellUndelivered(id);
      },
    });
    const now = performance.now();
    const forked: Forked = { id, process: worker, state: 'starting', startedAt: now, heardAt: now };
    this.forked.set(worker.id, forked);
    return forked;
  }

  private tellUndelivered(worker: WorkerId): void {
    const now = performance.now();
    if (now - this.undeliveredAt < UNDELIVERED_LOG_MS) return;
    this.undeliveredAt = now;
    this.log.error(
      { worker },
      'a worker has no file descriptor left for a connection: raise its limit (ulimit -n)',
    );
  }

  private receive(worker: Worker, value: unknown): void {
    const forked = this.forked.get(worker.id);
    const message = parseToPrimary(value);
    if (message?.type === 'metrics') this.nodeMetrics.tell(worker.id, message.values);
    if (forked === undefined || message === null) return;
    forked.heardAt = performance.now();
    switch (message.type) {
      case 'ready':
        if (!this.publicPort.opened(message.port)) {
          this.log.warn({ worker: forked.id }, 'replacing a worker that was given another port');
          this.forkAgain(forked);
          return;
        }
        forked.state = 'ready';
        this.tellSiblings();
        this.tellDoubt(forked);
        if (this.config.testPage) this.tell(forked, { type: 'tests', summary: this.tests.summary() });
        this.onReady?.();
        return;
      case 'alive':
        return;
      case 'load':
        if (forked.state === 'ready') this.shares.heard(forked, message.connections, message.done);
        return;
      case 'recycle':
        this.log.warn({ worker: forked.id }, 'replacing a worker whose heap is nearly used up');
        this.rolling = this.rolling.then(() => this.replace(forked));
        return;
      case 'doubt':
        this.doubt(forked);
        return;
      case 'tested':
        this.tests.add(message.report);
        this.tellTests();
        return;
      case 'metrics':
      case 'revoked':
      case 'located':
      case 'called':
        this.questions.answered(message);
        return;
      default:
        message satisfies never;
    }
  }

  /** One that holds nobody yet has another one in its place, at once and without counting as a failure. */
  private forkAgain(young: Forked): void {
    this.forked.delete(young.process.id);
    this.retire(young.id);
    young.process.process.kill('SIGKILL');
    this.fork();
  }

  /** Once for all that comes within a second. */
  private tellTests(): void {
    this.testsTimer ??= setTimeout(() => {
      this.testsTimer = null;
      const summary = this.tests.summary();
      for (const forked of this.forked.values()) this.tell(forked, { type: 'tests', summary });
    }, TESTS_INTERVAL_MS).unref();
  }

  /** Each worker sees for itself that its store is another than before, but not those that have begun since. */
  private doubt(by: Forked): void {
    this.doubtedAt = performance.now();
    for (const forked of this.forked.values()) {
      const isYoung = this.doubtedAt - forked.startedAt < DOUBT_MS;
      if (forked !== by && isYoung && forked.state === 'ready') this.tellDoubt(forked);
    }
  }

  private tellDoubt(forked: Forked): void {
    const agoMs = performance.now() - this.doubtedAt;
    if (agoMs < DOUBT_MS) this.tell(forked, { type: 'doubt', agoMs });
  }

  private buried(worker: Worker, code: number | null, signal: string | null): void {
    const forked = this.forked.get(worker.id);
    if (forked === undefined) return;
    this.forked.delete(worker.id);
    this.shares.gone(forked);
    this.retire(forked.id);
    this.tellSiblings();
    if (this.draining !== null) return;
    const others = [...this.forked.values()];
    if (others.every(({ state }) => state === 'starting') && this.publicPort.closed())
      for (const young of others) this.forkAgain(young);
    if (forked.state === 'draining') return;
    this.log.error({ worker: forked.id, code, signal }, 'a worker ended');
    if (this.replacing === forked) return;
    const hopeless = this.hopelessEnd(code);
    this.fate = nextFate(this.fate, performance.now() - forked.startedAt);
    const { crashLoopLimit } = this.config.server;
    if (hopeless !== null || (crashLoopLimit > 0 && this.fate.failures >= crashLoopLimit)) {
      const error =
        hopeless ??
        new StartError(
          `The workers crash in a loop (CRASH_LOOP_LIMIT is ${String(crashLoopLimit)}): the log tells why.`,
        );
      this.log.fatal({ failures: this.fate.failures }, error.message);
      void this.drain().then(() => {
        this.onHopeless(error);
      });
      return;
    }
    const timer = setTimeout(
      () => {
        this.timers.delete(timer);
        if (this.draining === null) this.fork();
      },
      backoffMs(this.fate.failures, Math.random()),
    );
    this.timers.add(timer);
  }

  /** The reason why forking a worker again would not help. */
  private hopelessEnd(code: number | null): StartError | null {
    const { host, port } = this.config.server;
    if (code === EXIT_CANNOT_LISTEN) return StartError.port('PORT', host, port);
    // Once it has loaded somewhere the others go on with theirs, and it is tried again.
    if (code === EXIT_BAD_PLUGIN && !this.isStarted)
      return new StartError('A plugin cannot be loaded (PLUGINS): the log tells which, and why.');
    if (code !== EXIT_EVICTING_REDIS) return null;
    return new StartError(
      'Redis may evict what it has accepted, which REDIS_REQUIRE_NOEVICTION forbids: CONFIG SET maxmemory-policy noeviction on every node, and in its configuration file.',
    );
  }

  /** Its sessions wait from now on: the embedded store knows at once, Redis by way of a sibling (else by the lease). */
  private retire(worker: WorkerId): void {
    void this.store?.memory.retire(worker);
    const sibling = [...this.forked.values()].find(({ state }) => state === 'ready');
    if (this.store === null && sibling !== undefined) this.tell(sibling, { type: 'retire', worker });
  }

  /** Kills workers that gave no sign of life: a hung process would keep its clients for ever. */
  private watch(): void {
    const now = performance.now();
    const { watchdogTimeoutMs, drainTimeoutMs } = this.config.server;
    const late = now - this.watchedAt > WATCH_INTERVAL_MS * 2;
    this.watchedAt = now;
    if (late) {
      // The primary itself stood still (a frozen machine, a debugger): their signs of life are still to be read.
      for (const forked of this.forked.values()) forked.heardAt = now;
      return;
    }
    for (const { id, process: worker, state, heardAt } of this.forked.values()) {
      const limit =
        state === 'starting' ? START_TIMEOUT_MS : state === 'draining' ? drainTimeoutMs : watchdogTimeoutMs;
      if (now - heardAt <= limit) continue;
      this.log.error({ worker: id, silentMs: Math.round(now - heardAt) }, 'a worker hangs: killing it');
      worker.process.kill('SIGKILL');
    }
  }

  private tellSiblings(): void {
    const workers = [...this.forked.values()].filter(({ state }) => state !== 'starting').map(({ id }) => id);
    for (const forked of this.forked.values()) this.tell(forked, { type: 'siblings', workers });
  }

  private tell(forked: Forked, message: ToWorker): void {
    if (!forked.process.isConnected()) return;
    // With a callback a write to a worker that dies at this moment is told here; without, it would end the primary.
    forked.process.send(message, () => undefined);
  }

  private drainWorker(forked: Forked, delayMs = 0): Promise<void> {
    if (forked.process.isDead()) return Promise.resolve();
    const holdsNobody = forked.state === 'starting';
    forked.state = 'draining';
    this.shares.gone(forked);
    const { drainTimeoutMs } = this.config.server;
    return new Promise((resolve) => {
      const kill = setTimeout(() => {
        forked.process.process.kill('SIGKILL');
      }, drainTimeoutMs);
      forked.process.once('exit', () => {
        clearTimeout(kill);
        resolve();
      });
      // A worker that is still starting may not listen to us yet, and has no client to tell.
      if (holdsNobody) forked.process.process.kill('SIGKILL');
      else this.tell(forked, { type: 'drain', delayMs });
    });
  }

  private async drainAll(): Promise<void> {
    this.log.info('draining the node');
    for (const timer of this.timers) clearInterval(timer);
    const { drainDelayMs } = this.config.server;
    await Promise.all([...this.forked.values()].map((forked) => this.drainWorker(forked, drainDelayMs)));
    // With Redis the sessions go on elsewhere; here they end, and what was to be told is told now or never.
    if (this.webhooks !== null) this.store?.memory.endAll();
    await this.webhooks?.stop(this.store !== null);
    this.admin?.close();
    this.store?.server.close();
    await this.store?.memory.close();
    rmSync(this.directory, { recursive: true, force: true });
    process.off('exit', this.abandoned);
    cluster.off('message', this.received);
    cluster.off('exit', this.exited);
    cluster.off('disconnect', this.disconnected);
    this.log.info('drained');
  }

  /** Every further signal waits for the same drain: none cuts it short. */
  private async drainAndExit(): Promise<void> {
    await this.drain();
    process.exit(0);
  }

  private async metrics(): Promise<string> {
    await this.questions.metrics();
    return this.nodeMetrics.exposition();
  }

  locate(client: ClientId): Promise<SessionPlace[] | null> {
    return this.questions.locate(client);
  }

  call(calls: ServerCall[], extraMs = 0): Promise<ServerAnswer[]> {
    return this.questions.call(calls, extraMs);
  }

  revoke(revocation: Revocation): Promise<Code | null> {
    return this.questions.revoke(revocation);
  }
}

function memoryFlags({ server }: Config): string[] {
  const { workerMaxSemiSpaceMb: semi, workerInitialOldSpaceMb: initial, workerMaxOldSpaceMb: most } = server;
  // Far enough below the limit that a worker full of garbage is not taken for one that is short of memory.
  const first = most === null ? initial : Math.min(initial, Math.ceil(most / 4));
  const flags = [`--max-semi-space-size=${String(semi)}`];
  if (first > 0) flags.push(`--initial-old-space-size=${String(first)}`);
  if (most !== null) flags.push(`--max-old-space-size=${String(most)}`);
  return flags;
}
