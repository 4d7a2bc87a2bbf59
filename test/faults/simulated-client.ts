// One simulated client: an SDK client that sends numbered messages and writes down everything that it sees.
import type { Client, ClientOptions } from '../../src/client/index.js';
import { CuttableSockets } from './cuttable-sockets.js';
import { hashOf, type HistoryWriter } from './history.js';
import {
  codeOf,
  idOf,
  keptFor,
  type Message,
  observeClient,
  observeRoom,
  type Observer,
  type Sdk,
} from './observe.js';

export interface SimulatedClientOptions {
  sdk: Sdk;
  name: string;
  url: string;
  rooms: readonly string[];
  options: ClientOptions;
  history: HistoryWriter;
  /** Where its connections come from; null for the system's choice. */
  localAddress: string | null;
}

/** What every message of a simulated client carries. */
interface Content {
  n: number;
  pad: string;
  final: boolean;
  /** When it was sent, ms since 1970. */
  at: number;
}

/** One return of a client after its connection had ended. */
interface Return {
  resumed: boolean;
  helloAt: number;
  /** When it had what it had missed: the last message from before its hello, or the welcome where there was none. */
  caughtUpAt: number;
  replayed: number;
}

export class SimulatedClient {
  readonly client: Client;
  readonly name: string;
  readonly rooms: readonly string[];
  /** Channels in which it was given a final marker. */
  readonly finals = new Set<string>();
  pending = 0;
  isDead = false;
  readonly returns: Return[] = [];
  readonly sockets: CuttableSockets;
  readonly delaysMs: number[] = [];
  #upAt = Infinity;
  #closing = false;
  #isDown = false;
  #connections = 0;
  readonly #history: HistoryWriter;
  readonly #counts = new Map<string, number>();
  /** Accepted messages by id, for those that expire. */
  readonly #accepted = new Map<string, { ch: string; n: number }>();

  constructor({ sdk, name, url, rooms, options, history, localAddress }: SimulatedClientOptions) {
    this.name = name;
    this.rooms = rooms;
    this.#history = history;
    this.sockets = new CuttableSockets(localAddress);
    this.client = new sdk.Client(url, { ...options, WebSocket: this.sockets.WebSocket });
    const observer: Observer = {
      message: (message) => this.#receive(message),
      gap: ({ room, ...rest }) => history.write({ e: 'gap', c: name, ch: this.#channel(room), ...rest }),
      stateLost: () => history.write({ e: 'stateLost', c: name, ch: null }),
      expired: (id) => {
        const known = this.#accepted.get(id);
        if (known !== undefined) history.write({ e: 'expired', c: name, ...known });
      },
    };
    observeClient(this.client, observer);
    for (const room of rooms) observeRoom(this.client, room, observer);
    this.#watchState();
    // What no promise tells is told by the history's gaps; nobody reads a console here.
    this.client.on('error', () => undefined);
  }

  get isConnected(): boolean {
    return this.client.state === 'connected';
  }

  async start(): Promise<void> {
    await this.client.connect();
    this.#history.write({ e: 'member', c: this.name, ch: this.#channel(null) });
    for (const room of this.rooms) {
      await this.client.room(room).join();
      this.#history.write({ e: 'member', c: this.name, ch: this.#channel(room) });
    }
  }

  /** To a client's inbox, or with `room:` to a room. */
  async send(ch: string, padBytes: number, extra: { final?: boolean; ttlMs?: number } = {}): Promise<void> {
    const { final = false } = extra;
    const n = (this.#counts.get(ch) ?? 0) + 1;
    this.#counts.set(ch, n);
    const pad = padOf(this.name, ch, n, padBytes);
    this.#history.write({ e: 'send', c: this.name, ch, n, h: hashOf(pad) });
    const content: Content = { n, pad, final, at: Date.now() };
    this.pending++;
    try {
      const id = idOf(await this.#call(ch, content, extra.ttlMs));
      this.#history.write({ e: 'accepted', c: this.name, ch, n, id });
      if (id !== null && extra.ttlMs !== undefined) this.#accepted.set(id, { ch, n });
    } catch (error) {
      this.#history.write({ e: 'rejected', c: this.name, ch, n, code: codeOf(error) });
    } finally {
      this.pending--;
    }
  }

  expectedFinals(withInbox: boolean): string[] {
    return [...(withInbox ? [this.#channel(null)] : []), ...this.rooms.map((room) => this.#channel(room))];
  }

  async finish(finals: string[]): Promise<void> {
    if (!this.isDead) this.#history.write({ e: 'end', c: this.name, finals });
    this.#closing = true;
    await this.client.close();
  }

  #call(ch: string, content: Content, ttlMs: number | undefined): Promise<unknown> {
    const options = keptFor(ttlMs);
    return ch.startsWith('room:')
      ? this.client.room(ch.slice('room:'.length)).publish('m', content, options)
      : this.client.send(ch.slice('inbox:'.length), 'm', content, options);
  }

  #channel(room: string | null): string {
    return room === null ? `inbox:${this.name}` : `room:${room}`;
  }

  #receive({ room, from, data, id }: Message): void {
    const { n, pad, final, at } = data as Content;
    this.#noteReplay(at);
    if (at >= this.#upAt) this.delaysMs.push(Date.now() - at);
    const ch = this.#channel(room);
    if (final) this.finals.add(ch);
    this.#history.write({
      e: 'recv',
      c: this.name,
      ch,
      from,
      n,
      id,
      h: hashOf(pad),
      k: this.#connections,
      ...(final ? { final } : {}),
    });
  }

  #noteReplay(sentAt: number): void {
    const newest = this.returns.at(-1);
    if (newest === undefined || sentAt >= newest.helloAt) return;
    newest.caughtUpAt = Date.now();
    newest.replayed++;
  }

  #watchState(): void {
    let session = '';
    const mine = (): { c: string; s: string; k: number } => ({
      c: this.name,
      s: session,
      k: this.#connections,
    });
    this.client.on('state', (state, { code, retryInMs }) => {
      if (this.#closing) return;
      if (state === 'connected') {
        const now = this.client.sessionId ?? '';
        const resumed = now === session;
        session = now;
        this.#connections++;
        this.#upAt = Date.now();
        if (this.#connections > 1) {
          // A lean client makes its sockets itself.
          const { helloAt } = 'helloAt' in this.client ? (this.client as { helloAt: number }) : this.sockets;
          this.returns.push({ resumed, helloAt, caughtUpAt: Date.now(), replayed: 0 });
        }
        this.#history.write({ e: 'up', ...mine(), resumed });
      } else if (state === 'reconnecting' && retryInMs !== null && !this.#isDown) {
        this.#isDown = true;
        this.#history.write({ e: 'down', ...mine(), code: code ?? '' });
      } else if (state === 'closed') {
        this.isDead = true;
        this.#history.write({ e: 'dead', c: this.name, code: code ?? '' });
      }
      if (state === 'connected') this.#isDown = false;
    });
  }
}

/** Known from its place alone, so that nobody needs to remember it. */
function padOf(name: string, ch: string, n: number, bytes: number): string {
  const seed = `${name}>${ch}#${n};`;
  return seed.repeat(Math.ceil(bytes / seed.length)).slice(0, Math.max(bytes, 8));
}
