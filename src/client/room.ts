// One room as the application sees it: join, publish, listen, and who is in it.
import type { RoomName } from '../protocol/ids.js';
import type { CallOptions, JoinOptions, PageOptions, PublishOptions } from './call-options.js';
import type { Caller } from './caller.js';
import type { Dialogues } from './dialogues.js';
import type { DataOf, EventOf, MessageHandler, MessageInfo, PresenceChange, Sender } from './events.js';
import { emitMessage, Listeners, type MessageEvents } from './listeners.js';
import type { ReadRoom } from './intake.js';
import type { Membership, MemberRoom } from './membership.js';
import type { BroadcastStream } from './streams/broadcast.js';
import type { OpenBroadcastOptions } from './streams/streams.js';
import { Reader } from './reader.js';
import type { Accepted, MembersPage } from './results.js';
import type { Mesh, MeshOptions } from './rtc/mesh.js';
import type { MeshRoom } from './rtc/mesh-place.js';

/** What a room has of its client. */
export interface RoomPort extends Caller {
  dialogues<Result>(run: (dialogues: Dialogues) => Promise<Result>): Promise<Result>;
  mesh(room: MeshRoom, options: MeshOptions | undefined): Promise<Mesh>;
  /** Rooms that are joined or listened to, or were never left, by name. */
  readonly rooms: Map<string, RoomEvents>;
}

/** What a room is told. @internal */
export interface RoomEvents extends ReadRoom {
  forget(): void;
  restore(kept: readonly string[]): void;
}

/** A room, whether joined or not; made by `client.room(name)`. Its messages are kept: they come once and in order. */
export class Room<Events extends object = Record<string, unknown>> implements RoomEvents, MemberRoom {
  readonly #port: RoomPort;
  /** Null until it is first joined. */
  #membership: Membership | null = null;
  /** @internal */
  reader = new Reader();
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
    return this.#membership?.joined ?? false;
  }

  /** Idempotent. After a lost session the client joins again by itself. Rejects with `forbidden` or `not_found`, `limit`, `unavailable`. */
  join(options?: JoinOptions): Promise<void> {
    return this.#port.call(options, (verbs, made) => {
      this.#membership ??= verbs.membershipOf(this, this.#port.report);
      return this.#membership.join(made);
    });
  }

  /** Idempotent. */
  leave(options?: CallOptions): Promise<void> {
    // A join that was called before the code for it was there has begun by then.
    return this.#port.call(options, (verbs, made) => {
      this.forget();
      return verbs.leave(this.name, made);
    });
  }

  /** Resolves when the gateway has accepted the message, which is then kept and comes once. Rejects with `not_joined`, `forbidden`, `too_big`, `unknown_outcome`, … */
  publish<E extends EventOf<Events>>(
    event: E,
    data: DataOf<Events, E>,
    options?: PublishOptions,
  ): Promise<Accepted> {
    return this.#port.call(options, (verbs, made, copy) => verbs.publish(this.name, event, copy, made), data);
  }

  /**
   * Opens a stream to the sessions in the room, of those whom the token's `streams` covers; resolves after `timeoutMs` with
   * those who have accepted by then. Rejects with `no_handler` where nobody did, `forbidden`, `limit`, …
   */
  openStream(name: string, options?: OpenBroadcastOptions): Promise<BroadcastStream> {
    return this.#port.dialogues(({ streams }) => streams.openToAll(this.name, name, options));
  }

  /**
   * A peer to every other client that has a mesh of this room: joins it, calls those who are there, and takes the calls of those who come.
   * Rejects as `join`, and with `limit` where the room has more members than `limitMembers`. @throws TypeError where there is one already
   */
  mesh(options?: MeshOptions): Promise<Mesh> {
    return this.#port.mesh(this, options);
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
    this.#membership?.forget();
    this.reader = new Reader();
    this.sync();
  }

  /** @internal */
  restore(kept: readonly string[]): void {
    this.#membership?.restore(kept);
  }

  /** @internal */
  get wantsPresence(): boolean {
    return !this.#presence.empty;
  }

  /** @internal */
  keep(): void {
    const { rooms } = this.#port;
    if (!rooms.has(this.name)) rooms.set(this.name, this);
  }

  /** @internal */
  sync(): void {
    if (this.joined) this.#membership?.watch();
    else if (this.#presence.empty && this.#messages.empty) this.#port.rooms.delete(this.name);
  }

  #listen(remove: () => void): () => void {
    this.keep();
    this.sync();
    return () => {
      remove();
      this.sync();
    };
  }
}
