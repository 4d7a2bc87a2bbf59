// The program as a client of its own gateway, for what goes on after a call: streams both ways. Connected when first needed.
import type { Client } from './client/index.js';
import type { WebSocketClass } from './client/websocket-class.js';
import { GatewayError } from './protocol/errors.js';

export interface EmbeddedClientOptions {
  /** Where the gateway listens; throws while it does not. */
  url: () => string;
  /** Throws where the gateway cannot make one. */
  token: () => string;
}

/** One session, which comes back by itself while its worker is replaced: whatever a client can do the program can do through it. */
export class EmbeddedClient {
  readonly #options: EmbeddedClientOptions;
  #client: Promise<Client> | null = null;
  #isClosed = false;

  constructor(options: EmbeddedClientOptions) {
    this.#options = options;
  }

  get(): Promise<Client> {
    if (this.#isClosed) return Promise.reject(new GatewayError('closed'));
    if (this.#client !== null) return this.#client;
    const forget = (): void => {
      if (this.#client === client) this.#client = null;
    };
    const client = this.#connect(forget);
    this.#client = client;
    client.catch(forget);
    return client;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const client = await this.#client?.catch(() => null);
    await client?.close();
  }

  /** @param ended the session is over for good: the next call makes another */
  async #connect(ended: () => void): Promise<Client> {
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
      if (state === 'closed') ended();
    });
    await client.connect();
    return client;
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
