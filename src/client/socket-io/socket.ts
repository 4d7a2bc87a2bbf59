// A socket as Socket.IO's client has it, over one client of signalbox: emit, on, acknowledgements, rooms.
import type { Code } from '../../protocol/codes.js';
import { GatewayError } from '../../protocol/errors.js';
import { Client } from '../client.js';
import type { MessageInfo, Sender } from '../events.js';
import { SIGNAL_EVENT } from '../rtc/signal.js';
import type { State, StateInfo } from '../state.js';
import { argumentsOf, Emission, type EmissionPort, RESERVED } from './emission.js';
import { type Handler, Handlers } from './handlers.js';
import { fromName, toName } from './names.js';
import { clientOptionsOf, type SocketAuth, type SocketOptions, tokenOf } from './socket-options.js';

/** Why a socket disconnected, in Socket.IO's words. */
export type DisconnectReason =
  'io server disconnect' | 'io client disconnect' | 'ping timeout' | 'transport close';

/** Beside the reason of a `disconnect`: the gateway's own code for it. */
export interface DisconnectDetails {
  code: Code | null;
  close: number | null;
}

/** What the socket itself tells. */
export interface SocketEvents {
  /** Connected, for the first time or again; `socket.recovered` says whether the session and its rooms are still the same. */
  connect: () => unknown;
  /** A try failed. `error.code` is of the code table; `socket.active` says whether there will be another one. */
  connect_error: (error: GatewayError) => unknown;
  /** The connection is gone; `socket.active` says whether it comes back by itself. */
  disconnect: (reason: DisconnectReason, details: DisconnectDetails) => unknown;
  /** An `emit` failed that nobody waits for. Without a handler it is written to the console. */
  emit_error: (error: unknown, event: string, args: readonly unknown[]) => unknown;
}

/** One connection to a gateway that reads like Socket.IO's; `client` is the SDK underneath. Made by `io()`. */
export class Socket {
  /** The SDK's client, for all that Socket.IO has no word for. */
  readonly client: Client;
  /** As given to `io()`; a token that is put here is used with the next connection. */
  auth: SocketAuth;
  readonly #server: string | undefined;
  readonly #handlers = new Handlers();
  readonly #rooms = new Map<string, () => void>();
  /** Functions that remove the answerers, by event. */
  readonly #answerers = new Map<string, () => void>();
  readonly #port: EmissionPort;
  #connected = false;
  #recovered = false;
  #session: string | null = null;
  #from: Sender | null = null;

  /** @internal made by `io()` */
  constructor(url: string, options: SocketOptions) {
    this.auth = options.auth;
    this.#server = options.server;
    this.client = new Client(
      url,
      clientOptionsOf(options, () => tokenOf(this.auth)),
    );
    this.#port = {
      client: this.client,
      server: options.server,
      failed: (error, event, args) => this.#failed(error, event, args),
    };
    this.client.on('state', (state, info) => this.#moved(state, info));
    this.client.onMessage('*', (data, from, info) => this.#take(data, from, info));
    if (options.autoConnect !== false) this.connect();
  }

  /** This session, as `to()` takes it: `<client>#<session>`; undefined while not connected. The same after a reconnect that recovered it. */
  get id(): string | undefined {
    const { id, sessionId } = this.client;
    return this.#connected && id !== null ? `${id}#${String(sessionId)}` : undefined;
  }

  /** Whether it is connected now. */
  get connected(): boolean {
    return this.#connected;
  }

  /** Whether it is not connected now. */
  get disconnected(): boolean {
    return !this.#connected;
  }

  /** Connected, or going to be without further ado. */
  get active(): boolean {
    return !['idle', 'closed'].includes(this.client.state);
  }

  /** Whether the last connect went on with the session before: rooms are joined and nothing is missing (else the SDK's `gap` tells). */
  get recovered(): boolean {
    return this.#recovered;
  }

  /** Who sent what a handler is called with, stamped by the gateway; only until that handler first awaits, null at other times. */
  get from(): Sender | null {
    return this.#from;
  }

  /** See `Emission.volatile`. */
  get volatile(): Emission {
    return this.#emission.volatile;
  }

  /** Connects, and keeps connected until `disconnect()`. */
  connect(): this {
    // What it rejects with is told by connect_error.
    this.client.connect().catch(() => undefined);
    return this;
  }

  /** `connect()`. */
  open(): this {
    return this.connect();
  }

  /** `disconnect()`. */
  close(): this {
    return this.disconnect();
  }

  /** Ends the session, and with it its rooms. */
  disconnect(): this {
    void this.client.close();
    return this;
  }

  /** To the server, see `Emission.emit`. */
  emit(event: string, ...args: unknown[]): this {
    this.#emission.emit(event, ...args);
    return this;
  }

  /** To the server, see `Emission.emitWithAck`. */
  emitWithAck(event: string, ...args: unknown[]): Promise<unknown> {
    return this.#emission.emitWithAck(event, ...args);
  }

  /** `emit('message', …)`. */
  send(...args: unknown[]): this {
    return this.emit('message', ...args);
  }

  /** See `Emission.timeout`. */
  timeout(ms: number): Emission {
    return this.#emission.timeout(ms);
  }

  /** See `Emission.to`. */
  to(target: string): Emission {
    return this.#emission.to(target);
  }

  /** Joins a room, which the token has to permit; events that are published there are heard like others. Rejects with `forbidden`, `limit`, … */
  async join(name: string, options: { history?: number } = {}): Promise<void> {
    const isHeard = this.#rooms.has(name);
    this.hear(name);
    try {
      await this.client.room(toName(name)).join(options);
    } catch (error) {
      if (!isHeard) this.#silence(name);
      throw error;
    }
  }

  /** Hears a room without joining it: one that the server lets this session join (`gateway.join`), which Socket.IO's servers do. Until `leave` or `disconnect`. */
  hear(name: string): this {
    const room = this.client.room(toName(name));
    if (!this.#rooms.has(name))
      this.#rooms.set(
        name,
        room.onMessage('*', (data, from, info) => this.#hand(data, from, info)),
      );
    return this;
  }

  /** Leaves a room. */
  async leave(name: string): Promise<void> {
    this.#silence(name);
    await this.client.room(toName(name)).leave();
  }

  /** Calls `handler` with the arguments of each such event, and last with a function that acknowledges, where that is awaited. */
  on<E extends keyof SocketEvents>(event: E, handler: SocketEvents[E]): this;
  on(event: string, handler: Handler): this;
  on(event: string, handler: Handler): this {
    this.#handlers.add(event, handler);
    return this.#answer(event);
  }

  /** The next one only. */
  once<E extends keyof SocketEvents>(event: E, handler: SocketEvents[E]): this;
  once(event: string, handler: Handler): this;
  once(event: string, handler: Handler): this {
    this.#handlers.add(event, handler, true);
    return this.#answer(event);
  }

  /** Removes a handler, all of an event, or all. */
  off(event?: string, handler?: Handler): this {
    for (const name of this.#handlers.remove(event, handler)) {
      this.#answerers.get(name)?.();
      this.#answerers.delete(name);
    }
    return this;
  }

  /** Calls `handler` with the name and arguments of every event that others send. */
  onAny(handler: (event: string, ...args: never[]) => unknown): this {
    this.#handlers.addAny(handler as Handler);
    return this;
  }

  /** Removes a handler of every event, or all of these. */
  offAny(handler?: (event: string, ...args: never[]) => unknown): this {
    this.#handlers.removeAny(handler as Handler | undefined);
    return this;
  }

  /** The handlers of an event. */
  listeners(event: string): Handler[] {
    return this.#handlers.of(event);
  }

  get #emission(): Emission {
    return new Emission(this.#port, {});
  }

  /** Requests need a handler of their own for each event. */
  #answer(event: string): this {
    if (isReserved(event) || this.#answerers.has(event)) return this;
    const stop = this.client.onRequest(toName(event), (data, from) => {
      if (!this.#hears(from) || this.#handlers.of(event).length === 0) throw new GatewayError('no_handler');
      return new Promise((resolve, reject) => {
        const acknowledge = (...args: unknown[]): void => resolve(args);
        this.#dispatch(event, [...argumentsOf(data), acknowledge], from)?.catch(reject);
      });
    });
    this.#answerers.set(event, stop);
    return this;
  }

  #hears(from: Sender): boolean {
    return this.#server === undefined || from.client === this.#server;
  }

  #take(data: unknown, from: Sender, info: MessageInfo): Promise<unknown> | undefined {
    // Whoever may send to this client could otherwise speak as the server.
    return this.#hears(from) ? this.#hand(data, from, info) : undefined;
  }

  #hand(data: unknown, from: Sender, info: MessageInfo): Promise<unknown> | undefined {
    // A signal of the SDK's own; an application's `~rtc` is escaped.
    if (info.event === SIGNAL_EVENT) return undefined;
    const event = fromName(info.event);
    // Nobody but the socket itself tells that it is connected.
    return isReserved(event) ? undefined : this.#dispatch(event, argumentsOf(data), from);
  }

  #dispatch(event: string, args: readonly unknown[], from: Sender): Promise<unknown> | undefined {
    this.#from = from;
    try {
      const any = this.#handlers.callAny(event, args);
      const own = this.#handlers.call(event, args);
      return any === undefined ? own : Promise.all([any, own]);
    } finally {
      this.#from = null;
    }
  }

  #silence(name: string): void {
    this.#rooms.get(name)?.();
    this.#rooms.delete(name);
  }

  /** What a handler throws is told by the client's `error`, as with its own handlers. */
  #moved(state: State, info: StateInfo): Promise<unknown> | undefined {
    const wasConnected = this.#connected;
    this.#connected = state === 'connected';
    if (this.#connected) {
      const { sessionId } = this.client;
      this.#recovered = this.#session === sessionId;
      this.#session = sessionId;
      return this.#handlers.call('connect', []);
    }
    if (state === 'closed') {
      this.#session = null;
      // The gateway has forgotten the rooms of this session; a new one begins without them, as with Socket.IO.
      for (const name of [...this.#rooms.keys()]) this.#silence(name);
    }
    if (wasConnected) {
      const { code, close } = info;
      return this.#handlers.call('disconnect', [reasonOf(state, info), { code, close }]);
    }
    if (info.retryInMs !== null || (state === 'closed' && info.code !== 'closed')) {
      return this.#handlers.call('connect_error', [errorOf(info)]);
    }
    return undefined;
  }

  #failed(error: unknown, event: string, args: readonly unknown[]): void {
    const print = (failure: unknown): void => console.error(`signalbox: emit ${event}:`, failure);
    if (this.#handlers.of('emit_error').length === 0) print(error);
    else this.#handlers.call('emit_error', [error, event, args])?.catch(print);
  }
}

function isReserved(event: string): boolean {
  return RESERVED.some((reserved) => reserved === event);
}

function errorOf({ code }: StateInfo): GatewayError {
  return new GatewayError(code ?? 'connection_lost');
}

function reasonOf(state: State, { code, close }: StateInfo): DisconnectReason {
  if (state === 'closed') return code === 'closed' ? 'io client disconnect' : 'io server disconnect';
  return code === 'no_pong' || close === 4013 ? 'ping timeout' : 'transport close';
}
