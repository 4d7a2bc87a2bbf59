// A gateway inside a program: started, asked and closed by it, with the verbs that servers have.
import cluster from 'node:cluster';
import { embeddedConfig, type GatewaySettings } from './embedded-settings.js';
import type {
  BroadcastStream,
  OnStreamOptions,
  OpenBroadcastOptions,
  OpenStreamOptions,
  Stream,
  StreamHandler,
} from './client/index.js';
import type { Config } from './config.js';
import { EmbeddedClient } from './embedded-client.js';
import { type Primary, startPrimary } from './master.js';
import { GatewayError } from './protocol/errors.js';
import { clientOf, ServerVoice } from './relay/server-voice.js';
import { signToken } from './session/sign-token.js';
import type { Revocation, SessionPlace } from './session/store/store.js';
import { StartError } from './start-error.js';

/** Life of a token where nobody says, s. */
const TOKEN_LIFE_S = 3600;
/** Longest wait for somebody to accept a stream, the program's connection included, ms. */
const OPEN_TIMEOUT_MS = 10_000;
/** What a program says of its gateway beside the settings. */
export interface GatewayOptions {
  /** Told where the workers crash in a loop after the start: the gateway is closed then. Default: a warning of the process. */
  onFailure?: (error: StartError) => void;
  /** Who receivers see as the sender. Default `server`. */
  name?: string;
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
export class Gateway extends ServerVoice {
  readonly #config: Config;
  readonly #options: GatewayOptions;
  #primary: Primary | null = null;
  #starting: Promise<void> | null = null;
  #closing: Promise<void> | null = null;
  readonly #client: EmbeddedClient;

  /** @internal made by `createGateway` */
  constructor(config: Config, options: GatewayOptions) {
    const { name = 'server' } = options;
    super(
      { call: (calls, extraMs) => this.#running.call(calls, extraMs) },
      { client: clientOf(name), perm: '*' },
      config.limits.frameLimitBytes,
    );
    this.#config = config;
    this.#options = options;
    this.#client = new EmbeddedClient({ url: () => this.url, token: () => this.token(name) });
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

  /** The sessions of a client, and which worker holds each. */
  sessions(client: string): Promise<SessionPlace[]> {
    return this.trying(async () => {
      const places = await this.#running.locate(clientOf(client));
      if (places === null) throw new GatewayError('unavailable');
      return places;
    });
  }

  /** Takes no longer a token (its `jti`), or the tokens of a client that were issued until now; sessions with them end within 5 s. */
  revoke(what: { client: string } | { token: string }): Promise<void> {
    return this.trying(async () => {
      const nowMs = Date.now();
      const revocation: Revocation = {
        ...('client' in what
          ? { kind: 'client', id: clientOf(what.client) }
          : { kind: 'token', id: what.token }),
        beforeMs: nowMs,
        untilMs: nowMs + this.#config.tokens.maxLifeS * 1000,
      };
      const refusal = await this.#running.revoke(revocation);
      if (refusal !== null) throw new GatewayError(refusal);
    });
  }

  /**
   * Opens a stream to a client, or to one of its sessions (`bob#<session id>`), as `Client.openStream` does: Web Streams both ways, at the pace of the
   * reader. The program is a client of its gateway for that, under its `name`. Rejects with a TypeError where the gateway cannot make tokens, as `token` throws one.
   */
  async openStream(to: string, name: string, options: OpenStreamOptions = {}): Promise<Stream> {
    const { timeoutMs = OPEN_TIMEOUT_MS, signal } = options;
    const begunAt = performance.now();
    const client = await this.#client.get({ timeoutMs, signal });
    const leftMs = timeoutMs - (performance.now() - begunAt);
    return client.openStream(to, name, { ...options, timeoutMs: leftMs });
  }

  /** Opens a stream to the sessions in a room; see `Room.openStream`. */
  async openRoomStream(
    room: string,
    name: string,
    options: OpenBroadcastOptions = {},
  ): Promise<BroadcastStream> {
    return (await this.#client.get({ signal: options.signal })).room(room).openStream(name, options);
  }

  /** Opens a stream to everybody; see `Client.openBroadcast`. */
  async openBroadcast(name: string, options: OpenBroadcastOptions = {}): Promise<BroadcastStream> {
    return (await this.#client.get({ signal: options.signal })).openBroadcast(name, options);
  }

  /**
   * Takes streams that clients open to the program's `name`; see `Client.onStream`. Resolves, when they can, with a function that removes the handler.
   * Until then the program stays connected: where its session is ended it begins another one.
   */
  onStream(name: string, handler: StreamHandler, options: OnStreamOptions = {}): Promise<() => void> {
    return this.#client.onStream(name, handler, options);
  }

  get #running(): Primary {
    if (this.#primary === null) throw new GatewayError('closed', 'The gateway does not run: call listen().');
    return this.#primary;
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
    await this.#client.close();
    await this.#primary?.drain();
    this.#primary = null;
    running.delete(this);
  }
}
