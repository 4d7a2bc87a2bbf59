// The options of a client, their defaults, and what is refused at once.
import { decodePayload } from '../protocol/payload.js';
import type { Serializers } from '../protocol/serializers.js';
import type { BackoffRange } from './backoff.js';
import type { LoadingPayload } from './payload-encoder.js';
import type { ReadPayload } from './payloads.js';
import { VERSION } from './version.js';
import type { Ways } from './remembered-ways.js';
import type { Transport, WebSocketClass } from './websocket-class.js';

/** What a call does while there is no connection: wait its turn, or fail with `offline`. */
export type WhenOffline = 'queue' | 'fail';

/** What holds the connection of shared tabs. */
export interface SharedTabsOptions {
  /**
   * URL of a SharedWorker's script, of the page's own origin: a copy of `tabs-worker.js`, or one line that loads it,
   * `importScripts('https://gateway.example/tabs-worker.js')`; or `true` for the file beside the SDK, where that is of this origin. Where no
   * worker can be had one of the tabs holds the connection. Default `false`: always one of the tabs.
   */
  worker?: string | URL | boolean;
}

/** Options of `new Client(url, options)`; only `token` is required. */
export interface ClientOptions {
  /**
   * The access token, or a function that gets one: called when a connection needs a token and the last one is used up,
   * and when the gateway says that it expires. A fixed string cannot be refreshed: the client stops when it expires.
   */
  token: string | (() => string | Promise<string>);
  /** How frames are written; `msgpack` (default) is binary and smaller, `json` can be read in a browser's network panel. */
  codec?: 'msgpack' | 'json';
  /** Formats and types of the application's own, from `signalbox/serializers`; without them data travel as MessagePack. */
  serializers?: Serializers;
  /**
   * Ways to the gateway, in order of preference: `websocket`, `sse` (events down, POSTs up) and `poll`. Default all of them: where no
   * WebSocket comes through, the next is tried; what worked is remembered for a while, and a better one is tried again.
   * With `WebSocket` given and not this, only that.
   */
  transports?: readonly Transport[];
  /** The WebSocket class to use; default the platform's, in Node 20 that of `ws`. */
  WebSocket?: WebSocketClass;
  /** Default of the same option of each call; default `queue`, for volatile messages `fail`. */
  whenOffline?: WhenOffline;
  /** Most payload bytes that wait to be written; beyond it calls fail with `queue_full`. Default 1 MiB. */
  offlineQueueLimitBytes?: number;
  /** Most calls that wait to be written; beyond it calls fail with `queue_full`. Default 1000. */
  offlineQueueLimitMessages?: number;
  /** Default time-out of a request, ms, its time in the queue included. Default 10 000. */
  requestTimeoutMs?: number;
  /**
   * How long a message that the gateway cannot take now is sent again and again, ms of connection since it was first written;
   * then its call rejects with `unavailable` or `unknown_outcome`. Default 30 000.
   */
  acceptTimeoutMs?: number;
  /** Longest time from the start of one try (getting a token included) to the welcome, ms. Default 15 000. */
  connectTimeoutMs?: number;
  /** Range of the waits between tries. Default 500 ms to 30 000 ms. */
  backoff?: Partial<BackoffRange>;
  /** Payloads of at least so many bytes are deflated where that makes them smaller. Default 1024; `Infinity` for never. */
  compressAboveBytes?: number;
  /**
   * In browsers: the WebSocket, and encoding, decoding, compressing and inflating large payloads, in a worker. Worth it for payloads
   * of 10 KiB and more (docs/client.md has figures). Where no worker can be started, and with `codec: 'json'` or `WebSocket`, it
   * changes nothing.
   */
  offload?: boolean;
  /**
   * Experimental. In browsers: one session and one connection for all tabs of the origin that are the same client at the same URL
   * (docs/client.md says what changes, and the limits). One of the tabs holds it, or a SharedWorker where `{ worker }` asks for one. Where tabs
   * cannot share, and with `codec: 'json'`, each has its own: `client.isShared` tells.
   */
  shareTabs?: boolean | SharedTabsOptions;
  /** Send the text of any error that a request handler throws to whoever asked. Default false: only that of a `GatewayError`. */
  exposeErrors?: boolean;
  /** Name of this client's software in the gateway's log; default the SDK's own. */
  agent?: string;
}

export type Settings = Required<
  Omit<ClientOptions, 'WebSocket' | 'backoff' | 'transports' | 'offload' | 'shareTabs' | 'serializers'>
> & {
  serializers?: Serializers;
  WebSocket?: WebSocketClass;
  transports?: readonly Transport[];
  offload?: boolean;
  /** False where it was asked for and cannot be. */
  shareTabs?: boolean | SharedTabsOptions;
  /** What arrives: `decodePayload`, an application's serializers, or a worker that has read it already. */
  read: ReadPayload;
  /** Has data encoded elsewhere; null where that would be no gain. */
  encodeAway?: (data: unknown) => LoadingPayload | null;
  /** Made when the first WebSocket fails, or at once where `transports` is given. */
  ways?: Ways;
  backoff: BackoffRange;
};

const DEFAULTS = {
  codec: 'msgpack',
  whenOffline: 'queue',
  offlineQueueLimitBytes: 1024 * 1024,
  offlineQueueLimitMessages: 1000,
  requestTimeoutMs: 10_000,
  acceptTimeoutMs: 30_000,
  connectTimeoutMs: 15_000,
  compressAboveBytes: 1024,
  exposeErrors: false,
  agent: `signalbox-js/${VERSION}`,
} as const satisfies Partial<ClientOptions>;

/** @throws TypeError for options that can never work */
export function settingsOf(options: ClientOptions): Settings {
  // What is given as undefined is not given.
  const given = Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as unknown as ClientOptions;
  const settings = {
    ...DEFAULTS,
    ...given,
    backoff: { minMs: 500, maxMs: 30_000, ...options.backoff },
    read: given.serializers?.decode ?? decodePayload,
  };
  if (typeof settings.token !== 'string' && typeof settings.token !== 'function') {
    throw new TypeError('options.token is a string or a function.');
  }
  const codec: string = settings.codec;
  if (codec !== 'msgpack' && codec !== 'json') throw new TypeError("options.codec is 'msgpack' or 'json'.");
  return settings;
}

/** `ws://host`, `wss://`, `http://`, `https://`, with the path `/v1/connect` unless the URL has one; in Node `tcp://`, `tcps://`. @throws TypeError */
export function connectUrl(text: string): string {
  const url = new URL(text.replace(/^http/i, 'ws'));
  if (!/^(ws|tcp)s?:/.test(url.href)) throw new TypeError(`Not a gateway's URL: ${text}`);
  if (url.pathname === '/') url.pathname = '/v1/connect';
  url.hash = '';
  return url.href;
}
