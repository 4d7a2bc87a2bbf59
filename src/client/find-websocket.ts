// Chooses what carries the next connection: a WebSocket, as long as nothing else is asked for and it comes through.
import type { Lazy } from './lazy.js';
import { platformWebSocket } from './node-websocket.js';
import type { Settings } from './options.js';
import type * as waysCode from './ways.js';
import type { WebSocketClass } from './websocket-class.js';

/**
 * @param failures since a connection was stable
 * Rejects with a TypeError where there is no WebSocket.
 */
export async function findWebSocket(
  settings: Settings,
  failures: number,
  ways: Lazy<typeof waysCode>,
): Promise<WebSocketClass> {
  const { WebSocket: injected, transports, shareTabs } = settings;
  const found = injected ?? (await platformWebSocket());
  return (transports ?? (shareTabs || ((failures || settings.offload) && !injected)))
    ? ways.load().then(
        (code) => code.choose(settings, found),
        (error: unknown) => {
          if (shareTabs) throw error;
          // A WebSocket may come through all the same.
          return found;
        },
      )
    : found;
}
