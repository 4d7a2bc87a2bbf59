// Finds the WebSocket class of `ws` where the platform has none (Node 20); left out of the browser bundle.
import type { WebSocketClass } from './websocket-class.js';

/** @throws TypeError where there is none: no try can help */
export async function loadNodeWebSocket(): Promise<WebSocketClass> {
  try {
    return (await import('ws')).WebSocket;
  } catch (cause) {
    throw new TypeError('No WebSocket class here: pass one as options.WebSocket.', { cause });
  }
}
