// One room as the application sees it: join, publish, listen, and who is in it.
import type { Since } from '../protocol/frame.js';
import type { RoomName } from '../protocol/ids.js';
import { type CallOptions, type PageOptions, PATIENT, type PublishOptions } from './call-options.js';
import type { Caller } from './caller.js';
import type { Dialogues } from './dialogues.js';
import type { DataOf, EventOf, MessageHandler, MessageInfo, PresenceChange, Sender } from './events.js';
import { emitMessage, Listeners, type MessageEvents } from './listeners.js';
import { HISTORY_LIMIT } from '../protocol/limits.js';
import type { ReadRoom } from './intake.js';
import type { BroadcastStream } from './streams/broadcast.js';
import type { OpenBroadcastOptions } from './streams/streams.js';
import { Reader } from './reader.js';
import type { Accepted, MembersPage } from './results.js';

export interface JoinOptions extends CallOptions {
  /** So many of the room's last messages come first, at most 1000; default none. */
  history?: number;
}

/** What a room has of its client. */
export interface RoomPort extends Caller {
  dialogues<Result>(run: (dialogues: Dialogues) => Promise<Result>): Promise<Result>;
  /** Rooms that are joined or listened to, or were never left, by name. */
  readonly rooms: Map<string, RoomEvents>;
}

/** What a room is told. @internal */
export interface RoomEvents extends ReadRoom {
  forget(): void;
  restore(kept: readonly string[]): void;
}

export class Room<Events extends object = Record<string, unknown>> implements RoomEvents {
  readonly #port: RoomPort;
  #joined = false;
  /** Counts joins and leaves, so that a late answer does not undo what was asked after it. */
  #turn = 0;
  /** Where the last join began to read. */
  #since: Since = null;
  /** @internal */
  reader = new Reader();
  /** What the gateway was last told about presence events. */
  #watched = false;
  readonly #messages: Listeners<MessageEvents>;
  readonly #presence: Listeners<{ presence: [PresenceChange] }>;

  /** @internal made by `client.room(name)` */
  constructor(
    readonly name: RoomName,
    port: RoomPort,
  ) {
    this.#port = port;
    this.#messages = new Listeners(port.report);
    this.#presence = new Listeners(port.report);
  }

  /** Whether this session is in the room as far as the client knows. */
  get joined(): boolean {
    return this.#joined;
  }

  /** Idempotent. After a lost session the client joins again by itself. Rejects with `forbidden` or `not_found`, `limit`, `unavailable`. */
  async join(options: JoinOptions = {}): Promise<void> {
    const turn = ++this.#turn;
    this.#since = options.history ?? null;
    this.#keep();
    try {
      await this.#join(this.#since, options);
      if (turn !== this.#turn) return;
      this.#joined = true;
      this.#watched = false;
    } finally {
      this.#sync();
    }
  }

  /** Idempotent. */
  leave(options?: CallOptions): Promise<void> {
    this.forget();
    return this.#port.call(options, (verbs, made) => verbs.leave(this.name, made));
  }

  /** Resolves when the gateway has accepted the message, which is then kept and comes once. Rejects with `not_joined`, `forbidden`, `too_big`, `unknown_outcome`, … */
  publish<E extends EventOf<Events>>(
    event: E,
    data: DataOf<Events, E>,
    options?: PublishOptions,
  ): Promise<Accepted> {
    return this.#port.callWith(data, options, (verbs, made, payload) =>
      verbs.publish(this.name, event, payload, made),
    );
  }

  /**
   * Opens a stream to the sessions in the room, of those whom the token's `streams` covers; resolves after `timeoutMs` with
   * those who have accepted by then. Rejects with `no_handler` where nobody did, `forbidden`, `limit`, …
   */
  openStream(name: string, options?: OpenBroadcastOptions): Promise<BroadcastStream> {
    return this.#port.dialogues(({ streams }) => streams.openToAll(this.name, name, options));
  }

  /** Calls `handler` for each message of `event`, or of every event for `*`. Returns a function that removes it. */
  onMessage<E extends EventOf<Events>>(event: E, handler: MessageHandler<DataOf<Events, E>>): () => void;
  onMessage(event: '*', handler: MessageHandler<unknown>): () => void;
  onMessage(event: string, handler: MessageHandler<never>): () => void {
    return this.#listen(this.#messages.add(event, handler as MessageHandler<unknown>));
  }

  /** Calls `handler` when clients came or went, while this session is in the room. Returns a function that removes it. */
  onPresence(handler: (change: PresenceChange) => void): () => void {
    return this.#listen(this.#presence.add('presence', handler));
  }

  /** One page of the clients in the room, in the order of their ids; 100 unless `limit` (at most 1000) says otherwise. */
  members(options?: PageOptions): Promise<MembersPage> {
    return this.#port.call(options, (verbs, made) => verbs.members(this.name, made));
  }

  /** How many clients are in the room. */
  count(options?: CallOptions): Promise<number> {
    return this.#port.call(options, (verbs, made) => verbs.count(this.name, made));
  }

  /** @internal */
  receive(data: unknown, from: Sender, info: MessageInfo): boolean {
    return emitMessage(this.#messages, data, from, info);
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
    this.reader = new Reader();
    this.#sync();
  }

  /** @internal Brings a new connection to where the old one was, given the rooms that the gateway still knows of. */
  restore(kept: readonly string[]): void {
    if (!this.#joined) return;
    const turn = this.#turn;
    const isKept = kept.includes(this.name);
    const failed = (error: unknown): void => {
      // Left, closed or joined again meanwhile: then nobody needs to know.
      if (turn !== this.#turn) return;
      this.#joined = isKept;
      this.#port.report(error);
    };
    const { cursor } = this.reader;
    if (!isKept || (cursor === undefined && this.#since !== null)) {
      // Before the room's first message: all that it has now is new.
      this.#join(cursor === undefined ? this.#since : (cursor ?? HISTORY_LIMIT), PATIENT).catch(failed);
    }
    this.#watched = false;
    this.#sync(failed);
  }

  async #join(since: Since, options: CallOptions): Promise<void> {
    const { reader } = this;
    const position = await this.#port.call(options, (verbs, made) => verbs.join(this.name, since, made));
    // A message may have come before the answer, and is further on.
    if (reader.cursor === undefined) reader.cursor = position;
  }

  #listen(remove: () => void): () => void {
    this.#keep();
    this.#sync();
    return () => {
      remove();
      this.#sync();
    };
  }

  #keep(): void {
    if (!this.#port.rooms.has(this.name)) this.#port.rooms.set(this.name, this);
  }

  /** Has the gateway tell of presence while somebody listens, and the client forget a room that is left and not listened to. */
  #sync(failed: (error: unknown) => void = this.#port.report): void {
    const wanted = !this.#presence.empty;
    if (!this.#joined) {
      if (!wanted && this.#messages.empty) this.#port.rooms.delete(this.name);
    } else if (wanted !== this.#watched) {
      this.#watched = wanted;
      this.#port.call(PATIENT, (verbs, made) => verbs.watch(this.name, wanted, made)).catch(failed);
    }
  }
}
