// Finds the WebSocket class of `ws` where the platform has none (Node 20); left out of the browser bundle.
import type { WebSocketClass } from './websocket-class.js';

export async function loadNodeWebSocket(): Promise<WebSocketClass | null> {
  try {
    return (await import('ws')).WebSocket;
  } catch {
    return null;
  }
}
