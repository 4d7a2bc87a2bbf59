// The ICE servers of one client: everybody's, and with the permission `turn` TURN servers with credentials that expire.
import { createHmac } from 'node:crypto';
import type { Welcome } from '../protocol/frame.js';
import type { TurnServer, TurnSettings } from '../turn-settings.js';
import type { Identity } from './authenticator.js';

type IceServers = Welcome['iceServers'];

/** Credentials are renewed after this share of their life: enough is left for a restart that takes its time. */
const RENEW_AFTER = 0.75;

/** Whether a server answers, as far as somebody asked. */
export interface TurnHealth {
  isAlive(server: TurnServer): boolean;
}

export class TurnBroker {
  readonly #everybody: IceServers;
  readonly #settings: TurnSettings;
  readonly #health: TurnHealth;
  readonly #now: () => number;

  constructor(
    everybody: IceServers,
    settings: TurnSettings,
    health: TurnHealth,
    now: () => number = Date.now,
  ) {
    const { stunUrls } = settings;
    this.#everybody = stunUrls.length === 0 ? everybody : [...everybody, { urls: [...stunUrls] }];
    this.#settings = settings;
    this.#health = health;
    this.#now = now;
  }

  /** When credentials that are made now have to be renewed, ms; null where this client gets none. */
  renewalMs({ permissions }: Identity): number | null {
    const { servers, ttlS } = this.#settings;
    return permissions.turn && servers.length > 0 ? ttlS * 1000 * RENEW_AFTER : null;
  }

  /**
   * The TURN REST scheme (draft-uberti-behave-turn-rest-00, coturn's `use-auth-secret`): the name is when it expires and whose it is,
   * the password its HMAC-SHA1. Bound to the client, so that the server's quota per user is one per client.
   * One secret only: of two entries for one server Chromium 150 uses none (measured), so the servers know both while it is changed.
   */
  iceServers({ client, permissions }: Identity): IceServers {
    if (!permissions.turn) return this.#everybody;
    const { secret, ttlS } = this.#settings;
    const username = `${String(Math.floor(this.#now() / 1000) + ttlS)}:${client}`;
    const credential = createHmac('sha1', secret).update(username).digest('base64');
    return [
      ...this.#everybody,
      ...this.servers.map(({ urls }) => ({ urls: urls.map(({ url }) => url), username, credential })),
    ];
  }

  /** Those of this region that live; else those of all regions that live; else all, for a check may err. */
  get servers(): readonly TurnServer[] {
    const { servers, region } = this.#settings;
    const alive = servers.filter((server) => this.#health.isAlive(server));
    const near = alive.filter((server) => server.region === region);
    if (region !== null && near.length > 0) return near;
    return alive.length > 0 ? alive : servers;
  }
}
