// A gateway inside a program: started, asked and closed by it, with the verbs that servers have.
import cluster from 'node:cluster';
import { embeddedConfig, type GatewaySettings } from './embedded-settings.js';
import type { Config } from './config.js';
import { type Primary, startPrimary } from './master.js';
import { GatewayError } from './protocol/errors.js';
import {
  type Address,
  type ClientId,
  isClientId,
  isRoomName,
  parseAddress,
  type RoomName,
} from './protocol/ids.js';
import { asJson, decodePayload, encodePayload } from './protocol/payload.js';
import { REQUEST_TIMEOUT_LIMIT_MS } from './protocol/limits.js';
import {
  type PageCall,
  type SendResult,
  ServerVerbs,
  type Stored,
  type WirePayload,
} from './relay/server-verbs.js';
import { fromWire, toWire } from './relay/wire-payload.js';
import { signToken } from './session/sign-token.js';
import type { Revocation, SessionPlace } from './session/store/store.js';
import { inflatePayload } from './session/zlib-compressor.js';
import { StartError } from './start-error.js';

/** Life of a token where nobody says, s. */
const TOKEN_LIFE_S = 3600;
/** How long a client may take to answer where nobody says, ms. */
const REQUEST_TIMEOUT_MS = 10_000;

/** What a program says of its gateway beside the settings. */
export interface GatewayOptions {
  /** Told where the workers crash in a loop after the start: the gateway is closed then. Default: a warning of the process. */
  onFailure?: (error: StartError) => void;
  /** Who receivers see as the sender. Default `server`. */
  name?: string;
}

/** How a message of the program is sent. */
export interface EmitOptions {
  /** At most once and never stored: nobody hears whether it came. */
  volatile?: boolean;
  /** The same key with the same target is the same message: it is stored once. */
  idempotencyKey?: string;
}

/** At most one: the workers of a cluster, and the ports that they share, are the process's own. */
const running = new Set<Gateway>();

/**
 * Makes a gateway that runs when `listen()` is called; settings have the names and the checks of the environment's.
 * @throws ConfigError with every mistake
 */
export function createGateway(settings: GatewaySettings, options: GatewayOptions = {}): Gateway {
  return new Gateway(embeddedConfig(settings), options);
}

/** Every call rejects with a `GatewayError` whose `code` says why not. */
export class Gateway {
  readonly #config: Config;
  readonly #options: GatewayOptions;
  readonly #verbs: ServerVerbs;
  #primary: Primary | null = null;
  #starting: Promise<void> | null = null;
  #closing: Promise<void> | null = null;

  /** @internal made by `createGateway` */
  constructor(config: Config, options: GatewayOptions) {
    const { name = 'server' } = options;
    this.#config = config;
    this.#options = options;
    this.#verbs = new ServerVerbs(
      { call: (calls, extraMs) => this.#running.call(calls, extraMs) },
      { client: clientOf(name), perm: '*' },
    );
  }

  /** Resolves when every worker listens. Rejects with a `StartError` where a port is taken, the workers crash, or another gateway runs in this process. */
  listen(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /** Sends all clients away as SIGTERM does for a gateway of its own, within `DRAIN_TIMEOUT_MS`; idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  /** Port that clients connect to. */
  get port(): number {
    return this.#running.port;
  }

  /** Null where it is off. */
  get adminPort(): number | null {
    return this.#running.adminPort;
  }

  /** Where clients of this machine connect. */
  get url(): string {
    const { host } = this.#config.server;
    const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
    return `${this.#config.tls === null ? 'ws' : 'wss'}://${name}:${String(this.port)}`;
  }

  /** The workers of this node. */
  workers(): { id: string; pid: number; state: string }[] {
    return this.#running.workers();
  }

  /**
   * An access token for a client. `perm` permits everything by default.
   * @throws TypeError where the gateway has only a public key or a key set: that can check tokens, not make them
   */
  token(client: string, { perm = '*', ttlS = TOKEN_LIFE_S }: { perm?: unknown; ttlS?: number } = {}): string {
    return signToken(this.#config.tokens, { sub: clientOf(client), ttlS, perm });
  }

  /** A message to a client, a session (`client#session`), or several; resolves with who got it. Rejects where nobody did. */
  send(
    to: string | readonly string[],
    event: string,
    data?: unknown,
    options: EmitOptions & { ttlMs?: number; offline?: 'keep' } = {},
  ): Promise<SendResult> {
    const targets = typeof to === 'string' ? [to] : to;
    return this.#try(() => this.#verbs.send({ ...options, to: targets, event, payload: this.#wire(data) }));
  }

  /** A message to a room, but to the clients of `except`. Resolves with its place in the log; null for a volatile one. */
  publish(
    room: string,
    event: string,
    data?: unknown,
    options: EmitOptions & { except?: readonly string[] } = {},
  ): Promise<Stored | null> {
    return this.#try(() => this.#verbs.publish({ ...options, room, event, payload: this.#wire(data) }));
  }

  /** A volatile message to every session of every client, but to those of `except`. */
  broadcast(event: string, data?: unknown, { except }: { except?: readonly string[] } = {}): Promise<void> {
    return this.#try(() => this.#verbs.broadcast(event, this.#wire(data), except));
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
    return this.#try(async () => {
      const answer = await this.#verbs.request(to, event, this.#wire(data), Math.ceil(timeoutMs));
      return decodePayload(fromWire(answer), { inflate: inflatePayload });
    });
  }

  /** Has the connected sessions of a client (or one, as `client#session`) join a room that their tokens permit. Resolves with their number. */
  join(target: string, room: string): Promise<number> {
    const { client, session } = addressOf(target);
    return this.#try(async () => (await this.#verbs.join(client, roomOf(room), session)).sessions);
  }

  /** Has them leave it. */
  leave(target: string, room: string): Promise<number> {
    const { client, session } = addressOf(target);
    return this.#try(async () => (await this.#verbs.leave(client, roomOf(room), session)).sessions);
  }

  /** Has them leave all their rooms. */
  leaveAll(target: string): Promise<number> {
    const { client, session } = addressOf(target);
    return this.#try(async () => (await this.#verbs.leave(client, null, session)).sessions);
  }

  /** A page of the clients in a room, and how many there are. */
  members(room: string, page: PageCall = {}): ReturnType<ServerVerbs['members']> {
    return this.#try(() => this.#verbs.members(room, page));
  }

  /** How many clients are in a room. */
  count(room: string): Promise<number> {
    return this.#try(() => this.#verbs.count(room));
  }

  /** A page of the clients that are online. */
  clients(page: PageCall & { prefix?: string } = {}): ReturnType<ServerVerbs['clients']> {
    return this.#try(() => this.#verbs.clients(page));
  }

  /** Whether a client has a connected session, or had one a moment ago. */
  isOnline(client: string): Promise<boolean> {
    return this.#try(() => this.#verbs.isOnline(client));
  }

  /** The sessions of a client, and which worker holds each. */
  sessions(client: string): Promise<SessionPlace[]> {
    const name = clientOf(client);
    return this.#try(async () => {
      const places = await this.#running.locate(name);
      if (places === null) throw new GatewayError('unavailable');
      return places;
    });
  }

  /** Ends the sessions of a client (or one, as `client#session`) for good; with `comeBack` their connections only. Resolves with their number. */
  disconnect(target: string, { comeBack = false }: { comeBack?: boolean } = {}): Promise<number> {
    const { client, session } = addressOf(target);
    return this.#try(async () => (await this.#verbs.disconnect(client, { session, comeBack })).sessions);
  }

  /** Takes no longer a token (its `jti`), or the tokens of a client that were issued until now; sessions with them end within 5 s. */
  revoke(what: { client: string } | { token: string }): Promise<void> {
    const nowMs = Date.now();
    const revocation: Revocation = {
      ...('client' in what
        ? { kind: 'client', id: clientOf(what.client) }
        : { kind: 'token', id: what.token }),
      beforeMs: nowMs,
      untilMs: nowMs + this.#config.tokens.maxLifeS * 1000,
    };
    return this.#try(async () => {
      const refusal = await this.#running.revoke(revocation);
      if (refusal !== null) throw new GatewayError(refusal);
    });
  }

  #wire(data: unknown): WirePayload {
    const { frameLimitBytes } = this.#config.limits;
    const payload = encodePayload(data, asJson);
    if (payload.data.length > frameLimitBytes)
      throw new GatewayError('too_big', `Data has at most ${String(frameLimitBytes)} bytes.`);
    return toWire(payload);
  }

  get #running(): Primary {
    if (this.#primary === null) throw new GatewayError('closed', 'The gateway does not run: call listen().');
    return this.#primary;
  }

  /** What is wrong with the arguments, or with the moment, rejects too. */
  async #try<Result>(run: () => Promise<Result>): Promise<Result> {
    return await run();
  }

  async #start(): Promise<void> {
    if (this.#closing !== null) throw new StartError('The gateway was closed: make another one.');
    if (cluster.isWorker)
      throw new StartError('This process is itself a worker of a cluster: start the gateway in its primary.');
    if (running.size > 0)
      throw new StartError('A gateway runs in this process: close it first, or start another process.');
    running.add(this);
    try {
      this.#primary = await startPrimary(this.#config, {
        signals: false,
        // Flags of the program are not for the workers: -e would have them run it once more.
        execArgv: [],
        hopeless: (error) => {
          this.#fail(error);
        },
      });
    } catch (error) {
      running.delete(this);
      throw error;
    }
  }

  #fail(error: StartError): void {
    const {
      onFailure = (reason: StartError) => {
        process.emitWarning(reason);
      },
    } = this.#options;
    void this.close().then(() => {
      onFailure(error);
    });
  }

  async #end(): Promise<void> {
    // One that is on its way is let arrive: half a start cannot be drained.
    await this.#starting?.catch(() => undefined);
    await this.#primary?.drain();
    this.#primary = null;
    running.delete(this);
  }
}

function clientOf(name: string): ClientId {
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
