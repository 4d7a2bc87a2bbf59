// What the gateway answers to questions, checked before the application sees it.
import { ProtocolError } from '../protocol/errors.js';

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

export interface SendResult {
  /** Those of several targets that were not reached; empty for one target and for volatile messages. */
  absent: string[];
}

export function clientsPage(answer: unknown): ClientsPage {
  const clients = field(answer, 'clients');
  if (!Array.isArray(clients) || !clients.every((id): id is string => typeof id === 'string'))
    return unusable();
  return { clients, cursor: cursorOf(answer) };
}

export function membersPage(answer: unknown): MembersPage {
  const members = field(answer, 'members');
  if (!Array.isArray(members)) return unusable();
  return { members: members.map(memberOf), cursor: cursorOf(answer), count: countOf(field(answer, 'count')) };
}

export function countOf(answer: unknown): number {
  return typeof answer === 'number' ? answer : unusable();
}

export function onlineOf(answer: unknown): boolean {
  return typeof answer === 'boolean' ? answer : unusable();
}

/** One target has no list: it was reached, or the call was refused. */
export function sendResult(answer: unknown): SendResult {
  const absent = field(answer, 'absent') ?? [];
  if (!Array.isArray(absent) || !absent.every((to): to is string => typeof to === 'string'))
    return unusable();
  return { absent };
}

/** New life time of a refreshed token, ms; null from a gateway that does not say. */
export function tokenLifetime(answer: unknown): number | null {
  const expiresInMs = field(answer, 'expiresInMs');
  return typeof expiresInMs === 'number' ? expiresInMs : null;
}

/** Calls that are only done or refused. */
export function nothing(): void {}

function memberOf(row: unknown): Member {
  const client = field(row, 'client');
  const sessions = field(row, 'sessions');
  return typeof client === 'string' && typeof sessions === 'number' ? { client, sessions } : unusable();
}

function cursorOf(answer: unknown): string | null {
  const cursor = field(answer, 'cursor') ?? null;
  return cursor === null || typeof cursor === 'string' ? cursor : unusable();
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined;
}

function unusable(): never {
  throw new ProtocolError('bad_frame', 'The answer of the gateway has not the expected shape.');
}
