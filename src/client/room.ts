// One room as the application sees it: join, publish, listen, and who is in it.
import { ProtocolError } from '../protocol/errors.js';
import type { MessageOptions } from '../protocol/frame.js';
import { type ClientId, isEventName, type RoomName } from '../protocol/ids.js';
import type { CallOptions, CallSpec } from './call.js';
import type { DataOf, EventOf, MessageHandler, MessageInfo, PresenceChange, Sender } from './events.js';
import { Listeners } from './listeners.js';
import { countOf, type MembersPage, membersPage, nothing } from './results.js';

export interface MessageCallOptions extends CallOptions {
  /** At most once, never stored, and not confirmed: the promise resolves when it is written. Offline it fails by default. */
  volatile?: boolean;
  /** Id that follows the message, for tracing; 1–64 characters of a name. */
  trace?: string;
}
export interface PublishOptions extends MessageCallOptions {
  /** Client ids that do not get it. */
  except?: readonly string[];
  /** Whether this session gets it too; default true. */
  self?: boolean;
}

export interface RoomPort {
  call<Result>(spec: CallSpec<Result>): Promise<Result>;
  /** Ahead of all calls that wait. */
  callFirst<Result>(specs: readonly CallSpec<Result>[]): Promise<Result>[];
  /** A call that carries data. */
  callWith<Result>(data: unknown, spec: CallSpec<Result>): Promise<Result>;
  onFailure(error: unknown): void;
}

export class Room<Events extends object = Record<string, unknown>> {
  #joined = false;
  /** Counts joins and leaves, so that a late answer does not undo what was asked after it. */
  #turn = 0;
  /** What the gateway was last told about presence events. */
  #watched = false;
  #watchers = 0;
  readonly #messages: Listeners<Record<string, [unknown, Sender, MessageInfo]>>;
  readonly #presence: Listeners<{ presence: [PresenceChange] }>;

  /** @internal made by `client.room(name)` */
  constructor(
    readonly name: RoomName,
    private readonly port: RoomPort,
  ) {
    this.#messages = new Listeners((error) => port.onFailure(error));
    this.#presence = new Listeners((error) => port.onFailure(error));
  }

  /** Whether this session is in the room as far as the client knows. */
  get joined(): boolean {
    return this.#joined;
  }

  /** Idempotent. After a lost session the client joins again by itself. Rejects with `forbidden` or `not_found`, `limit`, `unavailable`. */
  async join(options: CallOptions = {}): Promise<void> {
    const turn = ++this.#turn;
    await this.port.call(this.#joinSpec(options));
    if (turn !== this.#turn) return;
    this.#joined = true;
    this.#watched = false;
    this.#syncWatch();
  }

  /** Idempotent. */
  leave(options: CallOptions = {}): Promise<void> {
    this.forget();
    return this.port.call({
      ...options,
      onLoss: 'repeat',
      frame: (ref) => ({ type: 'leave', ref, room: this.name }),
      result: nothing,
    });
  }

  /** Resolves when the gateway has accepted the message. Rejects with `not_joined`, `forbidden`, `too_big`, `unknown_outcome`, … */
  publish<E extends EventOf<Events>>(
    event: E,
    data: DataOf<Events, E>,
    options: PublishOptions = {},
  ): Promise<void> {
    const { volatile = false, except, self, trace, signal, whenOffline } = options;
    if (!isEventName(event)) return Promise.reject(new ProtocolError('bad_parameter', 'Not an event name.'));
    const wire: MessageOptions = {};
    if (trace !== undefined) wire.trace = trace;
    if (except !== undefined) wire.except = except as ClientId[];
    if (self !== undefined) wire.self = self;
    return this.port.callWith(data, {
      signal,
      whenOffline: whenOffline ?? (volatile ? 'fail' : undefined),
      onLoss: volatile ? 'forget' : 'unknown',
      frame: (ref, payload) => ({
        type: 'publish',
        ref,
        seq: volatile ? 0 : null,
        options: wire,
        room: this.name,
        event,
        payload,
      }),
      result: nothing,
    });
  }

  /** Calls `handler` for each message of `event`, or of every event for `*`. Returns a function that removes it. */
  onMessage<E extends EventOf<Events>>(event: E, handler: MessageHandler<DataOf<Events, E>>): () => void;
  onMessage(event: '*', handler: MessageHandler<unknown>): () => void;
  onMessage(event: string, handler: MessageHandler<never>): () => void {
    return this.#messages.add(event, handler as MessageHandler<unknown>);
  }

  /** Calls `handler` when clients came or went, while this session is in the room. Returns a function that removes it. */
  onPresence(handler: (change: PresenceChange) => void): () => void {
    const remove = this.#presence.add('presence', handler);
    this.#watchers++;
    this.#syncWatch();
    let removed = false;
    return () => {
      if (removed) return;
      removed = true;
      remove();
      this.#watchers--;
      this.#syncWatch();
    };
  }

  /** One page of the clients in the room, in the order of their ids; 100 unless `limit` (at most 1000) says otherwise. */
  members(options: CallOptions & { cursor?: string | null; limit?: number } = {}): Promise<MembersPage> {
    const { cursor = null, limit = 100, ...rest } = options;
    return this.port.call({
      ...rest,
      onLoss: 'repeat',
      frame: (ref) => ({ type: 'members', ref, room: this.name, cursor, limit }),
      result: membersPage,
    });
  }

  /** How many clients are in the room. */
  count(options: CallOptions = {}): Promise<number> {
    return this.port.call({
      ...options,
      onLoss: 'repeat',
      frame: (ref) => ({ type: 'count', ref, room: this.name }),
      result: countOf,
    });
  }

  /** @internal */
  receive(data: unknown, from: Sender, info: MessageInfo): void {
    this.#messages.emit(info.event, data, from, info);
    this.#messages.emit('*', data, from, info);
  }

  /** @internal */
  receivePresence(change: PresenceChange): void {
    this.#presence.emit('presence', change);
  }

  /** @internal The session leaves, or is gone for good. */
  forget(): void {
    this.#turn++;
    this.#joined = false;
    this.#watched = false;
  }

  /** @internal Brings a new connection to where the old one was, given the rooms that the gateway still knows of. */
  restore(kept: readonly string[]): void {
    if (!this.#joined) return;
    const turn = this.#turn;
    const specs = kept.includes(this.name) ? [] : [this.#joinSpec({ whenOffline: 'queue' })];
    this.#watched = this.#watchers > 0;
    if (this.#watched) specs.push(this.#watchSpec(true));
    for (const restored of this.port.callFirst(specs)) {
      restored.catch((error: unknown) => {
        // Left, closed or joined again meanwhile: then nobody needs to know.
        if (turn !== this.#turn) return;
        this.#joined = false;
        this.port.onFailure(error);
      });
    }
  }

  #syncWatch(): void {
    const wanted = this.#watchers > 0;
    if (!this.#joined || wanted === this.#watched) return;
    this.#watched = wanted;
    this.port.call(this.#watchSpec(wanted)).catch((error: unknown) => this.port.onFailure(error));
  }

  #joinSpec(options: CallOptions): CallSpec<void> {
    return {
      ...options,
      onLoss: 'repeat',
      frame: (ref) => ({ type: 'join', ref, room: this.name }),
      result: nothing,
    };
  }

  #watchSpec(on: boolean): CallSpec<void> {
    return {
      onLoss: 'repeat',
      frame: (ref) => ({ type: 'watch', ref, room: this.name, on }),
      result: nothing,
    };
  }
}
