// The program as a client of its own gateway, for what goes on after a call: streams both ways. Connected when first needed.
import type { Client, OnStreamOptions, StreamHandler } from './client/index.js';
import type { WebSocketClass } from './client/websocket-class.js';
import { GatewayError } from './protocol/errors.js';

/** Longest that a call waits for the connection unless it says otherwise, as long as for somebody to accept a stream, ms. */
const CONNECT_LIMIT_MS = 10_000;
/** Before a session that is over for good is followed by another one; doubled each time, ms. */
const FIRST_PAUSE_MS = 1_000;
/** Also how long a session must last for the next pause to be a short one again, ms. */
const LONGEST_PAUSE_MS = 30_000;
/** What a timer can hold, ms. */
const TIMER_LIMIT_MS = 2 ** 31 - 1;

export interface EmbeddedClientOptions {
  /** Where the gateway listens; throws while it does not. */
  url: () => string;
  /** Throws where the gateway cannot make one. */
  token: () => string;
}

/** How long a call waits for the connection. */
export interface ConnectLimits {
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** A handler for streams, which outlives the client that it is registered with. */
interface Listening {
  register(client: Client): void;
}

/** One session, which comes back by itself while its worker is replaced: whatever a client can do the program can do through it. */
export class EmbeddedClient {
  readonly #options: EmbeddedClientOptions;
  readonly #listening = new Set<Listening>();
  /** Made, not connected: that can take for ever. A new one for each session, since the token of one that was revoked is no good. */
  #making: Promise<Client> | null = null;
  #client: Client | null = null;
  #connectedAt = 0;
  #pauses = 0;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(options: EmbeddedClientOptions) {
    this.#options = options;
  }

  /** The client, connected or about to be so again. Rejects with `timeout`, `aborted`, `closed`, or why the gateway does not take it. */
  async get({ timeoutMs = CONNECT_LIMIT_MS, signal }: ConnectLimits = {}): Promise<Client> {
    const limit = new AbortController();
    const abort = (): void => {
      limit.abort(signal?.reason);
    };
    const late = new GatewayError('timeout');
    const timer = setTimeout(
      () => {
        limit.abort(late);
      },
      Math.min(timeoutMs, TIMER_LIMIT_MS),
    );
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
    try {
      return await this.#connected(limit.signal);
    } catch (error) {
      throw limit.signal.reason === late ? late : error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Takes streams, in every session from now on. Resolves, when they can come, with a function that removes the handler. */
  async onStream(name: string, handler: StreamHandler, options?: OnStreamOptions): Promise<() => void> {
    let unregister = (): void => undefined;
    const listening: Listening = {
      register: (client) => {
        unregister = client.onStream(name, handler, options);
      },
    };
    const remove = (): void => {
      this.#listening.delete(listening);
      unregister();
    };
    this.#listening.add(listening);
    if (this.#client !== null) listening.register(this.#client);
    try {
      await this.#connected();
    } catch (error) {
      remove();
      throw error;
    }
    return remove;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const client = await this.#making?.catch(() => null);
    await client?.close();
  }

  async #connected(signal?: AbortSignal): Promise<Client> {
    if (this.#isClosed) throw new GatewayError('closed');
    this.#making ??= this.#make();
    const client = await this.#making;
    // It may have been closed, or sent away, while this waited.
    if (client.state === 'closed') return this.#connected(signal);
    // One that comes back keeps its streams, and has time-outs of its own.
    if (client.state !== 'reconnecting') await client.connect(signal === undefined ? {} : { signal });
    return client;
  }

  async #make(): Promise<Client> {
    try {
      const url = this.#options.url();
      // Before the first try: no later one can help where there is no key to sign with.
      this.#options.token();
      const { Client } = await import('./client/index.js');
      const client = new Client(url, {
        token: async () => Promise.resolve(this.#options.token()),
        agent: 'signalbox-embedded',
        ...(url.startsWith('wss:') ? { WebSocket: await webSocketToItself() } : {}),
      });
      client.on('state', (state) => {
        if (state === 'connected') this.#connectedAt = performance.now();
        if (state === 'closed') this.#ended();
      });
      for (const listening of this.#listening) listening.register(client);
      this.#client = client;
      return client;
    } catch (error) {
      this.#making = null;
      throw error;
    }
  }

  /** The session is over for good: the next call makes another, and so does this one where streams are listened for. */
  #ended(): void {
    this.#making = null;
    this.#client = null;
    if (performance.now() - this.#connectedAt > LONGEST_PAUSE_MS) this.#pauses = 0;
    this.#comeBack();
  }

  #comeBack(): void {
    if (this.#isClosed || this.#listening.size === 0 || this.#timer !== null) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        if (this.#listening.size === 0) return;
        this.#connected().catch(() => {
          this.#comeBack();
        });
      },
      Math.min(FIRST_PAUSE_MS * 2 ** this.#pauses++, LONGEST_PAUSE_MS),
    );
  }
}

/** The certificate is for the name that clients know, which is not the address by which a gateway reaches itself. */
async function webSocketToItself(): Promise<WebSocketClass> {
  const { WebSocket } = await import('ws');
  const make = function (url: string, protocols: string[]) {
    return new WebSocket(url, protocols, { rejectUnauthorized: false });
  };
  // A constructor that returns an object makes that one.
  return make as unknown as WebSocketClass;
}
