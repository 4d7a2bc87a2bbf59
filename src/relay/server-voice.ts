// The verbs of servers for programs: with data of any kind, as `createGateway` and plugins have them.
import { GatewayError } from '../protocol/errors.js';
import {
  type Address,
  type ClientId,
  isClientId,
  isRoomName,
  parseAddress,
  type RoomName,
} from '../protocol/ids.js';
import { REQUEST_TIMEOUT_LIMIT_MS } from '../protocol/limits.js';
import { asJson, decodePayload, encodePayload } from '../protocol/payload.js';
import { inflatePayload } from '../session/zlib-compressor.js';
import type { ServerCaller } from './server-call.js';
import {
  type PageCall,
  type SendResult,
  type ServerSource,
  ServerVerbs,
  type Stored,
  type WirePayload,
} from './server-verbs.js';
import { fromWire, toWire } from './wire-payload.js';

/** How long a client may take to answer where nobody says, ms. */
const REQUEST_TIMEOUT_MS = 10_000;

/** How a message of the program is sent. */
export interface EmitOptions {
  /** At most once and never stored: nobody hears whether it came. */
  volatile?: boolean;
  /** The same key with the same target is the same message: it is stored once. */
  idempotencyKey?: string;
}

/** Every call rejects with a `GatewayError` whose `code` says why not. */
export class ServerVoice {
  readonly #verbs: ServerVerbs;
  readonly #frameLimitBytes: number;

  /** @internal */
  constructor(source: ServerSource, caller: ServerCaller, frameLimitBytes: number) {
    this.#verbs = new ServerVerbs(source, caller);
    this.#frameLimitBytes = frameLimitBytes;
  }

  /** A message to a client, a session (`client#session`), or several; resolves with who got it. Rejects where nobody did. */
  send(
    to: string | readonly string[],
    event: string,
    data?: unknown,
    options: EmitOptions & { ttlMs?: number; offline?: 'keep' } = {},
  ): Promise<SendResult> {
    const targets = typeof to === 'string' ? [to] : to;
    return this.trying(() => this.#verbs.send({ ...options, to: targets, event, payload: this.#wire(data) }));
  }

  /** A message to a room, but to the clients of `except`. Resolves with its place in the log; null for a volatile one. */
  publish(
    room: string,
    event: string,
    data?: unknown,
    options: EmitOptions & { except?: readonly string[] } = {},
  ): Promise<Stored | null> {
    return this.trying(() => this.#verbs.publish({ ...options, room, event, payload: this.#wire(data) }));
  }

  /** A volatile message to every session of every client, but to those of `except`. */
  broadcast(event: string, data?: unknown, { except }: { except?: readonly string[] } = {}): Promise<void> {
    return this.trying(() => this.#verbs.broadcast(event, this.#wire(data), except));
  }

  /** Asks one session of a client. Resolves with its answer; rejects with `timeout`, `no_handler`, `not_found`, … */
  request(
    to: string,
    event: string,
    data?: unknown,
    { timeoutMs = REQUEST_TIMEOUT_MS }: { timeoutMs?: number } = {},
  ): Promise<unknown> {
    if (!(timeoutMs > 0 && timeoutMs <= REQUEST_TIMEOUT_LIMIT_MS))
      throw new TypeError(`timeoutMs is 1 to ${String(REQUEST_TIMEOUT_LIMIT_MS)}.`);
    return this.trying(async () => {
      const answer = await this.#verbs.request(to, event, this.#wire(data), Math.ceil(timeoutMs));
      return decodePayload(fromWire(answer), { inflate: inflatePayload });
    });
  }

  /** Has the connected sessions of a client (or one, as `client#session`) join a room that their tokens permit. Resolves with their number. */
  join(target: string, room: string): Promise<number> {
    return this.trying(async () => {
      const { client, session } = addressOf(target);
      return (await this.#verbs.join(client, roomOf(room), session)).sessions;
    });
  }

  /** Has them leave it. */
  leave(target: string, room: string): Promise<number> {
    return this.trying(async () => {
      const { client, session } = addressOf(target);
      return (await this.#verbs.leave(client, roomOf(room), session)).sessions;
    });
  }

  /** Has them leave all their rooms. */
  leaveAll(target: string): Promise<number> {
    return this.trying(async () => {
      const { client, session } = addressOf(target);
      return (await this.#verbs.leave(client, null, session)).sessions;
    });
  }

  /** A page of the clients in a room, and how many there are. */
  members(room: string, page: PageCall = {}): ReturnType<ServerVerbs['members']> {
    return this.trying(() => this.#verbs.members(room, page));
  }

  /** How many clients are in a room. */
  count(room: string): Promise<number> {
    return this.trying(() => this.#verbs.count(room));
  }

  /** A page of the clients that are online. */
  clients(page: PageCall & { prefix?: string } = {}): ReturnType<ServerVerbs['clients']> {
    return this.trying(() => this.#verbs.clients(page));
  }

  /** Whether a client has a connected session, or had one a moment ago. */
  isOnline(client: string): Promise<boolean> {
    return this.trying(() => this.#verbs.isOnline(client));
  }

  /** Ends the sessions of a client (or one, as `client#session`) for good; with `comeBack` their connections only. Resolves with their number. */
  disconnect(target: string, { comeBack = false }: { comeBack?: boolean } = {}): Promise<number> {
    return this.trying(async () => {
      const { client, session } = addressOf(target);
      return (await this.#verbs.disconnect(client, { session, comeBack })).sessions;
    });
  }

  #wire(data: unknown): WirePayload {
    const payload = encodePayload(data, asJson);
    if (payload.data.length > this.#frameLimitBytes)
      throw new GatewayError('too_big', `Data has at most ${String(this.#frameLimitBytes)} bytes.`);
    return toWire(payload);
  }

  /** What is wrong with the arguments, or with the moment, rejects too. */
  protected async trying<Result>(run: () => Promise<Result>): Promise<Result> {
    return await run();
  }
}

/** @throws TypeError for what is none */
export function clientOf(name: string): ClientId {
  if (!isClientId(name)) throw new TypeError(`${JSON.stringify(name)} is no client id.`);
  return name;
}

function roomOf(name: string): RoomName {
  if (!isRoomName(name)) throw new TypeError(`${JSON.stringify(name)} is no name of a room.`);
  return name;
}

function addressOf(target: string): Address {
  const address = parseAddress(target);
  if (address === null) throw new TypeError(`${JSON.stringify(target)} is no client and no client#session.`);
  return address;
}
