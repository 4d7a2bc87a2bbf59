// Whether the session is in a room: joined and left by the application, joined again by a new connection, and what it watches.
import type { Since } from '../protocol/frame.js';
import type { RoomName } from '../protocol/ids.js';
import { HISTORY_LIMIT } from '../protocol/limits.js';
import type { CallOptions, JoinOptions, Made } from './call-options.js';
import type { Reader } from './reader.js';

/** A room, as far as its membership looks at it. */
export interface MemberRoom {
  readonly name: RoomName;
  readonly reader: Reader;
  /** Whether somebody listens to who comes and goes. */
  readonly wantsPresence: boolean;
  /** Is known to the client from now on. */
  keep(): void;
  /** Has the gateway know what is listened to, and the client forget a room that nobody needs. */
  sync(): void;
}

/** The calls of a room that it makes. */
export interface MembershipCalls {
  /** Resolves with where the room stands. */
  join(room: RoomName, since: Since, options: Made<CallOptions>): Promise<string | null | undefined>;
  watch(room: RoomName, on: boolean, options: Made<CallOptions>): Promise<void>;
  /** Of calls that nobody made, and that nobody could make again. */
  patiently(): Made<CallOptions>;
}

export class Membership {
  /** As far as the client knows. */
  joined = false;
  /** Counts joins and leaves, so that a late answer does not undo what was asked after it. */
  #turn = 0;
  /** Where the last join began to read. */
  #since: Since = null;
  /** What the gateway was last told about presence events. */
  #watched = false;
  readonly #room: MemberRoom;
  readonly #calls: MembershipCalls;
  readonly #report: (error: unknown) => void;

  constructor(room: MemberRoom, calls: MembershipCalls, report: (error: unknown) => void) {
    this.#room = room;
    this.#calls = calls;
    this.#report = report;
  }

  async join(options: Made<JoinOptions>): Promise<void> {
    const turn = ++this.#turn;
    this.#since = options.history ?? null;
    this.#room.keep();
    try {
      await this.#read(this.#calls.join(this.#room.name, this.#since, options));
      if (turn !== this.#turn) return;
      this.joined = true;
      this.#watched = false;
    } finally {
      this.#room.sync();
    }
  }

  /** The session leaves, or is gone for good. */
  forget(): void {
    this.#turn++;
    this.joined = this.#watched = false;
  }

  /** Brings a new connection to where the old one was, given the rooms that the gateway still knows of. */
  restore(kept: readonly string[]): void {
    if (!this.joined) return;
    const turn = this.#turn;
    const { name, reader } = this.#room;
    const isKept = kept.includes(name);
    const failed = (error: unknown): void => {
      // Left, closed or joined again meanwhile: then nobody needs to know.
      if (turn !== this.#turn) return;
      this.joined = isKept;
      this.#report(error);
    };
    const { cursor } = reader;
    if (!isKept || (cursor === undefined && this.#since !== null)) {
      // Before the room's first message: all that it has now is new.
      const since = cursor === undefined ? this.#since : (cursor ?? HISTORY_LIMIT);
      this.#read(this.#calls.join(name, since, this.#calls.patiently())).catch(failed);
    }
    this.#watched = false;
    this.watch(failed);
  }

  /** Has the gateway tell of presence while somebody listens. */
  watch(failed: (error: unknown) => void = this.#report): void {
    const { name, wantsPresence } = this.#room;
    if (wantsPresence === this.#watched) return;
    this.#watched = wantsPresence;
    this.#calls.watch(name, wantsPresence, this.#calls.patiently()).catch(failed);
  }

  async #read(joining: Promise<string | null | undefined>): Promise<void> {
    const { reader } = this.#room;
    const position = await joining;
    // A message may have come before the answer, and is further on.
    if (reader.cursor === undefined) reader.cursor = position;
  }
}
