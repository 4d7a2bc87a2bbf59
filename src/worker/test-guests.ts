// The guests of the connection test page: tokens that are good for the page and nothing else.
import { createHash, createHmac } from 'node:crypto';
import { GUEST_PREFIX } from '../protocol/ids.js';

/** Where the open pages find each other. */
export const TEST_ROOM = '~test';
/** A page that stays open asks again; whoever leaves takes little along. */
const TOKEN_LIFE_S = 600;
/** What a page keeps for itself, so that nobody else gets a token with its id: 128 random bits or more, base64url. */
const KEY = /^[A-Za-z0-9_-]{22,64}$/;
const DAY_MS = 86_400_000;

export interface TestGuestsOptions {
  sign: (request: { sub: string; ttlS: number; perm: unknown }) => string;
  /** For tags of addresses; the same in every worker of the deployment. */
  secret: string;
  now?: () => number;
}

export interface Guest {
  token: string;
  client: string;
  room: string;
  /** Pages with the same tag come from the same public address; it cannot be turned back, and is another one tomorrow. */
  network: string;
}

export class TestGuests {
  constructor(private readonly options: TestGuestsOptions) {}

  /** Null where the key is none. */
  admit(key: unknown, address: string): Guest | null {
    if (typeof key !== 'string' || !KEY.test(key)) return null;
    const client = `${GUEST_PREFIX}${createHash('sha256').update(key).digest('hex').slice(0, 16)}`;
    const perm = {
      send: [`${GUEST_PREFIX}*`],
      rooms: { join: [TEST_ROOM], publish: [TEST_ROOM], presence: [TEST_ROOM] },
      turn: true,
    };
    const token = this.options.sign({ sub: client, ttlS: TOKEN_LIFE_S, perm });
    return { token, client, room: TEST_ROOM, network: this.networkOf(address) };
  }

  private networkOf(address: string): string {
    const { secret, now = Date.now } = this.options;
    const day = Math.floor(now() / DAY_MS);
    return createHmac('sha256', secret)
      .update(`test page, day ${String(day)}, ${address}`)
      .digest('base64url')
      .slice(0, 12);
  }
}
