// Chooses the WebSocket class: the injected one, the platform's, or (Node 20) that of `ws`.
import { loadNodeWebSocket } from './node-websocket.js';
import type { WebSocketClass } from './websocket-class.js';

/** Rejects with a TypeError where there is none. */
export async function findWebSocket(injected: WebSocketClass | undefined): Promise<WebSocketClass> {
  if (injected !== undefined) return injected;
  return typeof WebSocket === 'function' ? WebSocket : loadNodeWebSocket();
}
