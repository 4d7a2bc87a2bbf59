// What frames of both families are made of: payloads, options of messages, places in channels.
import type { ClientId, RoomName } from './ids.js';

/** What the application sent, still encoded: passed on as the same bytes. `data` of the none codec is empty. */
export interface Payload {
  encoding: number;
  data: Uint8Array;
}

/** `0`: volatile, at most once, never stored. `null`: kept, without a number. `1…`: kept, the sender's number in that channel. */
export type Sequence = number | null;

/** Options of a message; unknown names are ignored. */
export interface MessageOptions {
  /** Opaque id that follows the message, for tracing across clients; 1–64 characters of a name. */
  trace?: string;
  /** Clients of a room that do not get the message. */
  except?: ClientId[];
  /** Whether the publisher's own session gets it too; default true. */
  self?: boolean;
  /** Numbers below this one will not come any more in this channel: their calls were refused. */
  first?: number;
  /** The sender wants a `delivered` frame once a session of the target has handed the message to a handler. */
  delivered?: true;
  /** The message is worth nothing after this time, ms: who has not got it by then does not get it. */
  ttlMs?: number;
  /** Keep the message for a client that has no session. */
  offline?: 'keep';
  /** Of a call: where its provider goes away it may be executed once more, by another one. */
  idempotent?: true;
  /**
   * Of a message to one client: it calls that client, which for a while gets no standing offer of this session. Where the message is volatile,
   * that of the session that gets it may be wanted, under this name of the sender's; empty where it is not.
   */
  standing?: string;
  /** To the receiver: the sender's number of the message in this channel; who knows it already has it twice. */
  seq?: number;
}

/** Where in a channel a kept message stands: `<epoch>:<offset>-<tag>`; null for volatile ones, and before the first one. */
export type EntryId = string;

/** Up to where a session has read a channel: a room, or with null the client's inbox. */
export type Cursor = [room: RoomName | null, id: EntryId | null];

/** Where a joining session begins to read a room: null at its end, a number that many messages before it, an id after that one. */
export type Since = null | number | EntryId;

/** What a chunk is: data, the end of what its side writes, or the acceptor's answer, which ends its side too. */
export type Part = (typeof PARTS)[keyof typeof PARTS];
export const PARTS = { data: 0, end: 1, answer: 2 } as const;

/** What the other side should do: nothing, tell where it stands, or send again all after `upTo`. */
export type Ask = (typeof ASKS)[keyof typeof ASKS];
export const ASKS = { nothing: 0, tell: 1, again: 2 } as const;
