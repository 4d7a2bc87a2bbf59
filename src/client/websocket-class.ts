// What the SDK needs of a WebSocket: the browser's, Node's, that of `ws`, or one to inject.

// Method types are compared in both directions: each implementation has event classes of its own.
type On<Event> = { call(event: Event): void }['call'] | null;

/** As much of a WebSocket as the SDK needs: the platform's, that of `ws`, or a class of your own. */
export interface WebSocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  /**
   * Once it is open, the subprotocol that the gateway took. What passes the offered ones on has to have it: by it the SDK knows
   * whether the gateway has read its hello already, and a second one ends the connection.
   */
  readonly protocol?: string | undefined;
  onopen: On<unknown>;
  onmessage: On<{ data: unknown }>;
  onclose: On<{ code: number }>;
  onerror: On<unknown>;
  /** Text or bytes, as one message. */
  send(data: string | Uint8Array<ArrayBuffer>): void;
  /** Begins the closing handshake. */
  close(code?: number): void;
  /** Of `ws`: ends the TCP connection without a closing handshake. */
  terminate?(): void;
}
/**
 * What a dropped socket is closed with, where it cannot be ended without a closing handshake: a close frame without a code that
 * arrives after all would end the session.
 */
export const DROPPED = 4000;
/** A class of such sockets, for the option `WebSocket`. */
export type WebSocketClass = new (url: string, protocols: string[]) => WebSocketLike;

/** A way to the gateway: a WebSocket; events of a response that never ends, with POSTs up; polls, with POSTs up. */
export type Transport = 'websocket' | 'sse' | 'poll';
