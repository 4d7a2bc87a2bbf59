// One-time tickets: what a URL may carry instead of a token, for readers that can set no header (EventSource, curl).
import { createHash } from 'node:crypto';
import { ProtocolError } from '../protocol/errors.js';
import { type ClientId, isClientId, isRoomName, type RoomName } from '../protocol/ids.js';
import { HISTORY_LIMIT } from '../protocol/limits.js';
import type { Authenticator, Identity } from '../session/authenticator.js';
import { mayJoin, parsePermissions } from '../session/permissions.js';
import type { RandomPool } from '../session/random-pool.js';
import type { Store } from '../session/store/store.js';

/** From its issue to its use, ms: a page opens its stream at once, and what is in a URL ends up in logs. */
const LIFE_MS = 30_000;
/** 192 bits that nobody guesses. */
const TICKET_BYTES = 24;
/** Rooms of one ticket: what a session may ask for before its welcome has room for them. */
const ROOMS_LIMIT = 32;
const TICKET = /^[A-Za-z0-9_-]{32}$/;

/** What a ticket is good for: these rooms, read by this client. */
export interface Reading {
  identity: Identity;
  rooms: RoomName[];
  /** So many of the last messages of each room come first. */
  history: number;
}

interface Written {
  client: ClientId;
  expiresAtMs: number;
  issuedAtMs: number | null;
  tokenId: string | null;
  rooms: RoomName[];
  history: number;
}

export interface TicketsOptions {
  store: Pick<Store, 'keepTicket' | 'redeemTicket'>;
  authenticator: Pick<Authenticator, 'verify' | 'isWelcome'>;
  random: RandomPool;
}

export class Tickets {
  constructor(private readonly options: TicketsOptions) {}

  /**
   * @param asked `{ rooms, history? }`, as JSON came in
   * @throws ProtocolError `invalid_token`, `bad_parameter`, `forbidden`; GatewayError where the store or the keys cannot be had now
   */
  async issue(token: string | null, asked: unknown): Promise<{ ticket: string; expiresInMs: number }> {
    const { store, authenticator, random } = this.options;
    if (token === null) throw new ProtocolError('invalid_token');
    const identity = await authenticator.verify(token);
    const { rooms, history } = parseAsked(asked);
    if (!rooms.every((room) => mayJoin(identity.permissions, room))) throw new ProtocolError('forbidden');
    const { client, expiresAtMs, issuedAtMs, tokenId } = identity;
    const written: Written = { client, expiresAtMs, issuedAtMs, tokenId, rooms, history };
    const ticket = random.text(TICKET_BYTES);
    await store.keepTicket(hashOf(ticket), JSON.stringify(written), LIFE_MS);
    return { ticket, expiresInMs: LIFE_MS };
  }

  /** Uses a ticket up; null where it is none, or not any more. */
  async redeem(ticket: string): Promise<Reading | null> {
    const { store, authenticator } = this.options;
    if (!TICKET.test(ticket)) return null;
    const written = parseWritten(await store.redeemTicket(hashOf(ticket)));
    if (written === null) return null;
    const { rooms, history, ...claims } = written;
    // No more than the ticket says, whatever the token permitted.
    const identity = { ...claims, permissions: parsePermissions({ rooms: { join: rooms } }) };
    return authenticator.isWelcome(identity) ? { identity, rooms, history } : null;
  }
}

function parseAsked(asked: unknown): { rooms: RoomName[]; history: number } {
  if (typeof asked !== 'object' || asked === null || !('rooms' in asked) || !Array.isArray(asked.rooms))
    throw new ProtocolError('bad_parameter');
  const rooms = [...new Set(asked.rooms as unknown[])].filter(isRoomName);
  const history = 'history' in asked ? asked.history : 0;
  const isWrong = rooms.length !== asked.rooms.length || rooms.length === 0 || rooms.length > ROOMS_LIMIT;
  if (isWrong || typeof history !== 'number' || !Number.isInteger(history) || history < 0)
    throw new ProtocolError('bad_parameter');
  if (history > HISTORY_LIMIT) throw new ProtocolError('bad_parameter');
  return { rooms, history };
}

/** Written by a gateway of this deployment; but whoever reaches the store can write there too. */
function parseWritten(text: string | null): Written | null {
  if (text === null) return null;
  try {
    const written = JSON.parse(text) as Partial<Written> | null;
    const isWhole =
      isClientId(written?.client) &&
      typeof written.expiresAtMs === 'number' &&
      Array.isArray(written.rooms) &&
      written.rooms.every(isRoomName) &&
      typeof written.history === 'number';
    return isWhole ? (written as Written) : null;
  } catch {
    return null;
  }
}

function hashOf(ticket: string): string {
  return createHash('sha256').update(ticket).digest('base64url');
}
