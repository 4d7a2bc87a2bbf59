// The plugins of this worker and what they stand on; their code is loaded only where there are some.
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import type { Metrics } from '../metrics.js';
import type { PluginHost } from '../plugin/plugin-host.js';
import type { WorkerId } from '../protocol/ids.js';
import { nodeOf } from '../relay/relay.js';
import type { SessionRegistry } from '../session/registry.js';
import type { TimerWheel } from '../session/wheel.js';
import type { Admission } from './admission.js';
import { EXIT_BAD_PLUGIN } from './exit-codes.js';
import type { Gateway } from './gateway.js';
import type { ServerCalls } from './server-calls.js';

export interface PluginGround {
  config: Config;
  worker: WorkerId;
  log: Logger;
  metrics: Metrics;
  wheel: TimerWheel;
  registry: SessionRegistry;
}

/** Null where there are none. They are loaded later, when all that they may use stands. */
export async function makePlugins(ground: PluginGround): Promise<PluginHost | null> {
  const { config, worker, metrics } = ground;
  if (config.plugins.length === 0) return null;
  const { PluginHost } = await import('../plugin/plugin-host.js');
  return new PluginHost({
    ...ground,
    entries: config.plugins,
    node: nodeOf(worker),
    frameLimitBytes: config.limits.frameLimitBytes,
    count: (plugin, fault) => {
      metrics.pluginFaults.inc({ plugin, fault });
    },
  });
}

/** Ends the process where one cannot be loaded: it would be missing, and may be the one that says who may do what. */
export async function loadPlugins(
  plugins: PluginHost,
  {
    gateway,
    admission,
    calls,
    log,
  }: { gateway: Gateway; admission: Admission; calls: ServerCalls; log: Logger },
): Promise<void> {
  try {
    await plugins.load({
      call: (made) => Promise.all(made.map((call) => calls.make(call))),
      accept: (connection, identity) => {
        admission.enter(connection.address);
        return gateway.accept(connection, identity);
      },
    });
  } catch (error) {
    log.fatal({ err: error }, error instanceof Error ? error.message : 'a plugin cannot be loaded');
    process.exit(EXIT_BAD_PLUGIN);
  }
}
