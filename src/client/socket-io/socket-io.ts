/**
 * The door for code written for Socket.IO's client: what `signalbox/socket.io` and the browser's `/socket-io.js` export.
 * @module socket.io
 */
import { Socket } from './socket.js';
import type { SocketOptions } from './socket-options.js';

export { Emission } from './emission.js';
export type { Handler } from './handlers.js';
export { fromName, toName } from './names.js';
export { type DisconnectDetails, type DisconnectReason, Socket, type SocketEvents } from './socket.js';
export type { SocketAuth, SocketOptions } from './socket-options.js';

/**
 * A socket to a gateway, connecting unless `autoConnect` is false. Each call makes one; there is no shared manager.
 * @param url of the gateway; in a page its own origin unless given
 * @throws TypeError for an option that would do nothing, and for a URL with a path: there are no namespaces
 */
export function io(url: string, options: SocketOptions): Socket;
export function io(options: SocketOptions): Socket;
export function io(first: string | SocketOptions, second?: SocketOptions): Socket {
  const url = typeof first === 'string' ? first : globalThis.location.origin;
  const options = typeof first === 'string' ? second : first;
  if (options === undefined) throw new TypeError('io() needs auth: { token }.');
  if (new URL(url).pathname.length > 1)
    throw new TypeError(`There are no namespaces: ${url}; docs/from-socket.io.md says what to use.`);
  return new Socket(url, options);
}
