// Chooses the WebSocket class: the injected one, the platform's, or (Node 20) that of `ws`.
import { GatewayError } from '../protocol/errors.js';
import { loadNodeWebSocket } from './node-websocket.js';
import type { WebSocketClass } from './websocket-class.js';

export async function findWebSocket(injected: WebSocketClass | undefined): Promise<WebSocketClass> {
  if (injected !== undefined) return injected;
  if (typeof globalThis.WebSocket === 'function') return globalThis.WebSocket;
  const found = await loadNodeWebSocket();
  if (found !== null) return found;
  throw new GatewayError('unavailable', 'No WebSocket class here: pass one as options.WebSocket.');
}
