// What `io()` takes: the options of Socket.IO's client that mean something here, and the SDK's own.
import type { ClientOptions } from '../options.js';

/** The access token, as Socket.IO's `auth`: an object, or a function that hands one on. Read for each connection that needs a token. */
export type SocketAuth = { token: string } | ((done: (auth: { token: string }) => void) => void);

/** Options of `io()`. Any other name is refused with a `TypeError`: it would silently do nothing. */
export interface SocketOptions {
  /** The access token; the gateway reads who this client is from it. */
  auth: SocketAuth;
  /**
   * The client id of your backend: `emit` goes to it, and besides rooms only it is heard. Without it every client that may send to this one
   * is heard, and `emit` works with `to()` only.
   */
  server?: string;
  /** Connect at once; default true. */
  autoConnect?: boolean;
  /** In order of preference; default `websocket`, then `polling` (an event stream with POSTs, then long polls). */
  transports?: readonly ('websocket' | 'polling')[];
  /** How long an `emit` with an acknowledgement and without `timeout()` waits for it, ms; default and at most 120 000. */
  ackTimeout?: number;
  /** Longest time of one try to connect, ms; default 15 000. */
  timeout?: number;
  /** Shortest wait between tries, ms; default 500. */
  reconnectionDelay?: number;
  /** Longest wait between tries, ms; default 30 000. */
  reconnectionDelayMax?: number;
  /** Options of the SDK's client that have no counterpart in Socket.IO. */
  client?: Omit<ClientOptions, 'token' | 'transports'>;
}

const KNOWN = new Set<string>([
  'auth',
  'server',
  'autoConnect',
  'transports',
  'ackTimeout',
  'timeout',
  'reconnectionDelay',
  'reconnectionDelayMax',
  'client',
] satisfies (keyof SocketOptions)[]);

/** Longest wait for an acknowledgement, ms: that of any request. */
const ACK_LIMIT_MS = 120_000;

/** @throws TypeError for an option that would do nothing */
export function clientOptionsOf(options: SocketOptions, token: () => Promise<string>): ClientOptions {
  const unknown = Object.keys(options).find((name) => !KNOWN.has(name));
  if (unknown !== undefined) {
    throw new TypeError(
      `signalbox/socket.io has no option ${unknown}; docs/from-socket.io.md says what to use.`,
    );
  }
  const { transports, reconnectionDelay, reconnectionDelayMax, timeout, ackTimeout = ACK_LIMIT_MS } = options;
  return {
    requestTimeoutMs: ackTimeout,
    ...options.client,
    token,
    ...(timeout === undefined ? {} : { connectTimeoutMs: timeout }),
    ...(transports === undefined ? {} : { transports: transports.flatMap(transportsOf) }),
    backoff: {
      ...options.client?.backoff,
      ...(reconnectionDelay === undefined ? {} : { minMs: reconnectionDelay }),
      ...(reconnectionDelayMax === undefined ? {} : { maxMs: reconnectionDelayMax }),
    },
  };
}

function transportsOf(name: 'websocket' | 'polling'): ('websocket' | 'sse' | 'poll')[] {
  return name === 'websocket' ? ['websocket'] : ['sse', 'poll'];
}

/** @throws TypeError where there is no token in it */
export function tokenOf(auth: SocketAuth): Promise<string> {
  return new Promise((resolve, reject) => {
    const take = (given: { token: string }): void => {
      if (typeof given.token === 'string') resolve(given.token);
      else reject(new TypeError('auth.token is the access token, a string.'));
    };
    if (typeof auth === 'function') auth(take);
    else take(auth);
  });
}
