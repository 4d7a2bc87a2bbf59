// Chooses what carries the next connection: a WebSocket, as long as nothing else is asked for and it comes through.
import { loadNodeWebSocket } from './node-websocket.js';
import type { Settings } from './options.js';
import type { WebSocketClass } from './websocket-class.js';

/**
 * @param failures since a connection was stable
 * Rejects with `unavailable` where there is no WebSocket.
 */
export async function findWebSocket(settings: Settings, failures: number): Promise<WebSocketClass> {
  const { WebSocket: injected, transports } = settings;
  const find = async (): Promise<WebSocketClass> =>
    injected ?? (typeof WebSocket === 'function' ? WebSocket : loadNodeWebSocket());
  if (transports ?? (failures > 0 && !injected)) {
    try {
      return (await import('./ways.js')).chooseWay(settings, find);
    } catch {
      // Not to be had now: a WebSocket may come through all the same.
    }
  }
  return find();
}
