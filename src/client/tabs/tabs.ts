// `shareTabs: true`: all tabs of an origin that are the same client at the same gateway have one session, and one connection, together.
import { type Environment, REAL_ENVIRONMENT } from '../environment.js';
import type { SharedTabsOptions } from '../options.js';
import { VERSION } from '../version.js';
import type { WebSocketClass, WebSocketLike } from '../websocket-class.js';
import { HubPlace, type WorkerLink, workerLink } from './hub-place.js';
import { browserPlatform, type TabsPlatform } from './platform.js';
import { Seat, type SeatOptions } from './seat.js';
import { TabSocket } from './tab-socket.js';

const BEARER = 'bearer.';

/** The client's settings, as far as sharing looks at them. */
export type SharedSettings = Omit<SeatOptions, 'platform' | 'environment' | 'socketClass'> & {
  readonly codec: 'msgpack' | 'json';
  readonly WebSocket?: WebSocketClass;
  shareTabs?: boolean | SharedTabsOptions;
};

/** What a test brings in place of the browser. */
export interface Surroundings {
  /** Null where the browser lacks something of it. */
  platform?: TabsPlatform | null;
  /** Of what is beneath the client. */
  environment?: Environment;
  /** Null where there are no workers. */
  openWorker?: (url: string | URL | true) => WorkerLink | null;
}

/**
 * The class for the connections of one client. Where tabs cannot share, it is what `plain` makes, and `settings.shareTabs` is false from then on.
 * @param plain the class for the next connection to the gateway
 */
export function shared(
  settings: SharedSettings,
  plain: () => WebSocketClass,
  {
    platform = browserPlatform(),
    environment = REAL_ENVIRONMENT,
    openWorker = workerLink,
  }: Surroundings = {},
): () => WebSocketClass {
  if (platform === null || settings.codec === 'json') {
    settings.shareTabs = false;
    return plain;
  }
  const { acceptTimeoutMs, connectTimeoutMs, offlineQueueLimitBytes, agent, transports } = settings;
  const { worker = false } = typeof settings.shareTabs === 'object' ? settings.shareTabs : {};
  const seat = new Seat(
    {
      platform,
      environment,
      socketClass: plain,
      acceptTimeoutMs,
      connectTimeoutMs,
      offlineQueueLimitBytes,
      agent,
      transports,
    },
    // A class that the application gave cannot go to a worker.
    new HubPlace(
      () => (worker === false || settings.WebSocket ? null : openWorker(worker)),
      platform,
      environment,
    ),
  );
  // As in a sandboxed frame, or where the user blocks storage: only asking tells.
  let isRefused = false;
  const refused = (cause: unknown): void => {
    isRefused = true;
    console.warn('signalbox: this browser refuses shareTabs here, each tab has a session of its own.', cause);
  };
  // What `new` gives is not its own: either of two classes.
  function SharedSocket(url: string, protocols: string[]): WebSocketLike {
    const token = protocols.find((one) => one.startsWith(BEARER))?.slice(BEARER.length) ?? '';
    const owner = ownerOf(token);
    if (owner !== null && !isRefused)
      return new TabSocket(
        seat,
        // What tabs say to each other is of one version.
        `signalbox ${VERSION} ${JSON.stringify([url, ...owner])}`,
        url,
        token,
        refused,
      );
    // Refused, or a token that says not whose it is: the gateway decides, and nobody shares what it gives.
    settings.shareTabs = false;
    const PlainSocket = plain();
    return new PlainSocket(url, protocols);
  }
  return () => SharedSocket as unknown as WebSocketClass;
}

/** Issuer and subject of an access token; null where it has no subject. */
function ownerOf(token: string): [issuer: string, subject: string] | null {
  try {
    const [, body = ''] = token.split('.');
    const bytes = Uint8Array.from(atob(body.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
    const { iss, sub } = JSON.parse(new TextDecoder().decode(bytes)) as { iss?: unknown; sub?: unknown };
    return typeof sub === 'string' ? [typeof iss === 'string' ? iss : '', sub] : null;
  } catch {
    return null;
  }
}
