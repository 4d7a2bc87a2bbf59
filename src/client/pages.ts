// What the gateway answers to questions, checked before the application sees it.
import { isBoolean, isList, isText, isUint, pick } from '../protocol/fields.js';
import { type ClientsPage, type Member, type MembersPage, unusable } from './results.js';

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

/** New life time of a refreshed token, ms; null from a gateway that does not say. */
export function tokenLifetime(answer: unknown): number | null {
  return pick<{ expiresInMs: number }>(answer, { expiresInMs: isUint })?.expiresInMs ?? null;
}

function isMembers(value: unknown): value is Member[] {
  return isList(
    value,
    (row): row is Member => pick<Member>(row, { client: isText, sessions: isUint }) !== null,
  );
}

function isTexts(value: unknown): value is string[] {
  return isList(value, isText);
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || isText(value);
}
