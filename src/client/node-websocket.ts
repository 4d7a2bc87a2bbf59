// Finds the WebSocket class of `ws` where the platform has none (Node 20); left out of the browser bundle.
import { GatewayError } from '../protocol/errors.js';
import type { WebSocketClass } from './websocket-class.js';

export async function loadNodeWebSocket(): Promise<WebSocketClass> {
  try {
    return (await import('ws')).WebSocket;
  } catch (cause) {
    throw new GatewayError('unavailable', 'No WebSocket class here: pass one as options.WebSocket.', {
      cause,
    });
  }
}
