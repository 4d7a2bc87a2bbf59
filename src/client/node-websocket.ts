// What carries a connection in Node: TCP for a URL that says so, else the platform's WebSocket or, in Node 20, that of `ws`.
// In the browser's bundle only the platform's WebSocket is left of it.
import { provideMasking } from '../protocol/masking.js';
import type { WebSocketClass, WebSocketLike } from './websocket-class.js';

export async function platformWebSocket(): Promise<WebSocketClass> {
  const { TcpSocket } = await import('./tcp-socket.js');
  const Class = typeof WebSocket === 'function' ? WebSocket : await loadWebSocket();
  // A constructor that returns an object makes that one.
  const choose = function (url: string, protocols: string[]): WebSocketLike {
    return /^tcps?:/.test(url) ? new TcpSocket(url, protocols) : new Class(url, protocols);
  };
  return choose as unknown as WebSocketClass;
}

/** @throws TypeError where there is none: no try can help */
async function loadWebSocket(): Promise<WebSocketClass> {
  try {
    const takeBack = provideMasking((await import('node:http')).default);
    const { WebSocket: Plain } = await import('ws').finally(takeBack);
    const { WsSocket } = await import('./ws-socket.js');
    return class extends WsSocket {
      constructor(url: string, protocols: string[]) {
        super(Plain, url, protocols);
      }
    };
  } catch (cause) {
    throw new TypeError('No WebSocket class here: pass one as options.WebSocket.', { cause });
  }
}
