// What every part of a worker stands on: its settings, log and numbers, its store, and its way to the others.
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import { createLog } from '../log.js';
import { Metrics } from '../metrics.js';
import type { WorkerId } from '../protocol/ids.js';
import { NodeRelay } from '../relay/node-relay.js';
import type { PluginHost } from '../plugin/plugin-host.js';
import { SessionRegistry } from '../session/registry.js';
import type { Store } from '../session/store/store.js';
import { TimerWheel } from '../session/wheel.js';
import type { ToPrimary } from './control.js';
import type { Incoming } from './incoming.js';
import { MemoryGuard, usedShareOfHeap } from './memory-guard.js';
import { openStore } from './open-store.js';
import { makePlugins } from './worker-plugins.js';
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

/** Tells the primary. */
export type Tell = (message: ToPrimary) => Promise<void>;

/** What every part of the worker stands on. */
export interface Base {
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

export async function layBase(settings: WorkerSettings, incoming: Incoming, tell: Tell): Promise<Base> {
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
  const turnCheck = checkTurn(config, metrics, log);
  const common = { config, worker, log, metrics, wheel, registry };
  const plugins = await makePlugins(common);
  return { ...common, version, relay, store, memory, turnCheck, plugins };
}

function checkTurn({ turn }: Config, metrics: Metrics, log: Logger): TurnCheck {
  const turnCheck = new TurnCheck(turn.servers, turn.checkMs, ({ host }, isAlive) => {
    if (isAlive) log.info({ host }, 'a TURN server answers again');
    else log.warn({ host }, 'a TURN server does not answer: it is left out where another one does');
  });
  metrics.watchTurnServers(() => turnCheck.urls());
  return turnCheck;
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
