// What the gateway answers to questions, checked before the application sees it.
import { ProtocolError } from '../protocol/errors.js';
import { isBoolean, isList, isText, isUint, pick } from '../protocol/fields.js';

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

export function clientsPage(answer: unknown): ClientsPage {
  return pick<ClientsPage>(answer, { clients: isTexts, cursor: isTextOrNull }) ?? unusable();
}

export function membersPage(answer: unknown): MembersPage {
  return pick<MembersPage>(answer, { members: isMembers, cursor: isTextOrNull, count: isUint }) ?? unusable();
}

export function countOf(answer: unknown): number {
  return isUint(answer) ? answer : unusable();
}

export function onlineOf(answer: unknown): boolean {
  return isBoolean(answer) ? answer : unusable();
}

export function acceptedResult(answer: unknown): Accepted {
  const { id = null } = pick<Partial<Accepted>>(answer ?? {}, { id: isTextOrNone }) ?? unusable();
  return { id };
}

export function sendResult(answer: unknown): SendResult {
  const { id = null, absent = [] } =
    pick<Partial<SendResult>>(answer ?? {}, { id: isTextOrNone, absent: isTextsOrNone }) ?? unusable();
  return { id, absent };
}

/** Where a joined room stands; undefined where the gateway does not say. */
export function positionOf(answer: unknown): string | null | undefined {
  return pick<{ position?: string | null }>(answer ?? {}, { position: isTextOrNone })?.position;
}

/** New life time of a refreshed token, ms; null from a gateway that does not say. */
export function tokenLifetime(answer: unknown): number | null {
  return pick<{ expiresInMs: number }>(answer, { expiresInMs: isUint })?.expiresInMs ?? null;
}

/** Calls that are only done or refused. */
export function nothing(): void {}

function isTexts(value: unknown): value is string[] {
  return isList(value, isText);
}

function isTextsOrNone(value: unknown): value is string[] | undefined {
  return value === undefined || isTexts(value);
}

function isTextOrNone(value: unknown): value is string | null | undefined {
  return value === undefined || isTextOrNull(value);
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || isText(value);
}

function isMembers(value: unknown): value is Member[] {
  return isList(
    value,
    (row): row is Member => pick<Member>(row, { client: isText, sessions: isUint }) !== null,
  );
}

function unusable(): never {
  throw new ProtocolError('bad_frame', 'The answer of the gateway has not the expected shape.');
}
