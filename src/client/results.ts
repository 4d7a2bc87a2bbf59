// What the gateway answers to calls, checked before the application sees it.
import { ProtocolError } from '../protocol/errors.js';
import { isBoolean, isList, isText, isTextOrNullOrNone, isUint, pick } from '../protocol/fields.js';
import type { CallFrame } from './pending-call.js';

/** One page of `Client.clients()`. */
export interface ClientsPage {
  /** Ids of clients that are online. */
  clients: string[];
  /** Pass it on to get the next page; null at the end. */
  cursor: string | null;
}
/** A client in a room. */
export interface Member {
  client: string;
  /** How many sessions of the client are in the room. */
  sessions: number;
}
/** One page of `Room.members()`. */
export interface MembersPage {
  members: Member[];
  cursor: string | null;
  /** All clients of the room, not only those of this page. */
  count: number;
}

/** What `publish` resolves with. */
export interface Accepted {
  /**
   * Where the message stands in its log, as its receivers see it. Null for volatile ones, for several targets, and where the
   * first answer got lost.
   */
  id: string | null;
}
/** What `send` resolves with. */
export interface SendResult extends Accepted {
  /** Those of several targets that were not reached; empty for one target and for volatile messages. */
  absent: string[];
}

/** What calls resolve with, by the frame that asks. */
export interface Answers {
  send: SendResult;
  publish: Accepted;
  /** Where the room stands; undefined where the gateway does not say. */
  join: string | null | undefined;
  clients: ClientsPage;
  members: MembersPage;
  count: number;
  online: boolean;
  /** New life time of the refreshed token, ms; null from a gateway that does not say. */
  token: number | null;
  /** Data of the other side's application, decoded. */
  request: unknown;
  call: unknown;
  pair: unknown;
  holdPair: undefined;
  endPair: undefined;
  standingOffer: undefined;
  available: ClientsPage;
  broadcast: undefined;
  leave: undefined;
  leaveAll: undefined;
  watch: undefined;
  reply: undefined;
  reject: undefined;
}

export type AnswerTo<Frame extends CallFrame> = Answers[Frame['type']];

const READ: { [T in keyof Answers]: (answer: unknown) => Answers[T] } = {
  send(answer) {
    const shape = { id: isTextOrNullOrNone, absent: isTextsOrNone };
    const { id = null, absent = [] } = pick<Partial<SendResult>>(answer ?? {}, shape) ?? unusable();
    return { id, absent };
  },
  publish(answer) {
    const { id = null } = pick<Partial<Accepted>>(answer ?? {}, { id: isTextOrNullOrNone }) ?? unusable();
    return { id };
  },
  join: (answer) =>
    pick<{ position?: string | null }>(answer ?? {}, { position: isTextOrNullOrNone })?.position,
  clients: clientsPage,
  members: (answer) =>
    pick<MembersPage>(answer, { members: isMembers, cursor: isTextOrNull, count: isUint }) ?? unusable(),
  count: (answer) => (isUint(answer) ? answer : unusable()),
  online: (answer) => (isBoolean(answer) ? answer : unusable()),
  token: (answer) => pick<{ expiresInMs: number }>(answer, { expiresInMs: isUint })?.expiresInMs ?? null,
  request: (answer) => answer,
  call: (answer) => answer,
  pair: (answer) => answer,
  holdPair: nothing,
  endPair: nothing,
  standingOffer: nothing,
  available: clientsPage,
  broadcast: nothing,
  leave: nothing,
  leaveAll: nothing,
  watch: nothing,
  reply: nothing,
  reject: nothing,
};

/** @throws ProtocolError `bad_frame` where the answer has not the expected shape */
export function readAnswer<Type extends keyof Answers>(type: Type, answer: unknown): Answers[Type] {
  return READ[type](answer);
}

function clientsPage(answer: unknown): ClientsPage {
  return pick<ClientsPage>(answer, { clients: isTexts, cursor: isTextOrNull }) ?? unusable();
}

/** Calls that are only done or refused. */
function nothing(): undefined {}

function isMembers(value: unknown): value is Member[] {
  return isList(
    value,
    (row): row is Member => pick<Member>(row, { client: isText, sessions: isUint }) !== null,
  );
}

function isTexts(value: unknown): value is string[] {
  return isList(value, isText);
}

function isTextsOrNone(value: unknown): value is string[] | undefined {
  return value === undefined || isTexts(value);
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || isText(value);
}

function unusable(): never {
  throw new ProtocolError('bad_frame', 'The answer of the gateway has not the expected shape.');
}
