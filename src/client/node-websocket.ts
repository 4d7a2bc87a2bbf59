// The platform's WebSocket class, or that of `ws` where it has none (Node 20); in the browser bundle only the former is left.
import { GatewayError } from '../protocol/errors.js';
import type { WebSocketClass } from './websocket-class.js';

export async function platformWebSocket(): Promise<WebSocketClass> {
  if (typeof WebSocket === 'function') return WebSocket;
  try {
    return (await import('ws')).WebSocket;
  } catch (cause) {
    throw new GatewayError('unavailable', 'No WebSocket class here: pass one as options.WebSocket.', {
      cause,
    });
  }
}
