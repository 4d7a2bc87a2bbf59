// What the gateway answers to messages and joins, checked before the application sees it.
import { ProtocolError } from '../protocol/errors.js';
import { isList, isText, isTextOrNullOrNone, pick } from '../protocol/fields.js';

export interface ClientsPage {
  /** Ids of clients that are online. */
  clients: string[];
  /** Pass it on to get the next page; null at the end. */
  cursor: string | null;
}
export interface Member {
  client: string;
  /** How many sessions of the client are in the room. */
  sessions: number;
}
export interface MembersPage {
  members: Member[];
  cursor: string | null;
  /** All clients of the room, not only those of this page. */
  count: number;
}

export interface Accepted {
  /**
   * Where the message stands in its log, as its receivers see it. Null for volatile ones, for several targets, and where the
   * first answer got lost.
   */
  id: string | null;
}
export interface SendResult extends Accepted {
  /** Those of several targets that were not reached; empty for one target and for volatile messages. */
  absent: string[];
}

export function acceptedResult(answer: unknown): Accepted {
  const { id = null } = pick<Partial<Accepted>>(answer ?? {}, { id: isTextOrNullOrNone }) ?? unusable();
  return { id };
}

export function sendResult(answer: unknown): SendResult {
  const { id = null, absent = [] } =
    pick<Partial<SendResult>>(answer ?? {}, { id: isTextOrNullOrNone, absent: isTextsOrNone }) ?? unusable();
  return { id, absent };
}

/** Where a joined room stands; undefined where the gateway does not say. */
export function positionOf(answer: unknown): string | null | undefined {
  return pick<{ position?: string | null }>(answer ?? {}, { position: isTextOrNullOrNone })?.position;
}

/** Calls that are only done or refused. */
export function nothing(): void {}

function isTextsOrNone(value: unknown): value is string[] | undefined {
  return value === undefined || isList(value, isText);
}

/** @throws ProtocolError */
export function unusable(): never {
  throw new ProtocolError('bad_frame', 'The answer of the gateway has not the expected shape.');
}
