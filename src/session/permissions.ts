// What a token permits, and the only code that decides it: absent means no.
import type { ClientId, RoomName } from '../protocol/ids.js';

/** Most patterns in one list of a token: tokens are at most 4 KiB anyway, and matching is linear in the prefixes. */
const PATTERNS_LIMIT = 256;

/** Exact names, and beginnings of names; `*` alone is the empty beginning. */
export interface Patterns {
  readonly exact: ReadonlySet<string>;
  readonly prefixes: readonly string[];
}

export interface Permissions {
  readonly send: Patterns;
  readonly join: Patterns;
  readonly publish: Patterns;
  readonly presence: Patterns;
  readonly list: Patterns;
  readonly provide: Patterns;
  readonly call: Patterns;
  readonly streams: Patterns;
  readonly turn: boolean;
  readonly admin: boolean;
}

const NONE: Patterns = { exact: new Set(), prefixes: [] };
const ALL: Patterns = { exact: new Set(), prefixes: [''] };

/** Reads the claim `perm`. Whatever has the wrong type permits nothing; nothing is guessed. */
export function parsePermissions(claim: unknown): Permissions {
  if (claim === '*') {
    const admin = true;
    return {
      send: ALL,
      join: ALL,
      publish: ALL,
      presence: ALL,
      list: ALL,
      provide: ALL,
      call: ALL,
      streams: ALL,
      turn: true,
      admin,
    };
  }
  const rooms = field(claim, 'rooms');
  const services = field(claim, 'services');
  return {
    send: parsePatterns(field(claim, 'send')),
    join: parsePatterns(field(rooms, 'join')),
    publish: parsePatterns(field(rooms, 'publish')),
    presence: parsePatterns(field(rooms, 'presence')),
    list: parsePatterns(field(claim, 'list')),
    provide: parsePatterns(field(services, 'provide')),
    call: parsePatterns(field(services, 'call')),
    streams: parsePatterns(field(claim, 'streams')),
    turn: field(claim, 'turn') === true,
    admin: field(claim, 'admin') === true,
  };
}

/** An own field of a plain object; anything else has none. */
function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.getOwnPropertyDescriptor(value, name)?.value;
}

function parsePatterns(value: unknown): Patterns {
  if (!Array.isArray(value) || value.length > PATTERNS_LIMIT) return NONE;
  if (
    !value.every(
      (entry) => typeof entry === 'string' && /^[A-Za-z0-9._~@:/+-]{0,128}\*?$/.test(entry) && entry !== '',
    )
  )
    return NONE;
  const entries: string[] = value;
  return {
    exact: new Set(entries.filter((entry) => !entry.endsWith('*'))),
    prefixes: entries.filter((entry) => entry.endsWith('*')).map((entry) => entry.slice(0, -1)),
  };
}

function matches({ exact, prefixes }: Patterns, name: string): boolean {
  return exact.has(name) || prefixes.some((prefix) => name.startsWith(prefix));
}
function isEmpty({ exact, prefixes }: Patterns): boolean {
  return exact.size === 0 && prefixes.length === 0;
}

export function maySend(permissions: Permissions, client: ClientId): boolean {
  return matches(permissions.send, client);
}
/** Broadcast reaches those whom `send` covers; without any there is nobody to reach. */
export function mayBroadcast(permissions: Permissions): boolean {
  return !isEmpty(permissions.send);
}
export function mayJoin(permissions: Permissions, room: RoomName): boolean {
  return matches(permissions.join, room);
}
export function mayPublish(permissions: Permissions, room: RoomName): boolean {
  return matches(permissions.publish, room);
}
export function mayPresence(permissions: Permissions, room: RoomName): boolean {
  return matches(permissions.presence, room);
}
export function mayList(permissions: Permissions, client: ClientId): boolean {
  return matches(permissions.list, client);
}
/** Whether listing makes sense at all; each row is checked with `mayList`. */
export function mayListAnybody(permissions: Permissions): boolean {
  return !isEmpty(permissions.list);
}

/** The patterns of `send` as they travel with a broadcast to other workers; `matchesAny` reads them there. */
export function sendPatterns(permissions: Permissions): string[] {
  return [...permissions.send.exact, ...permissions.send.prefixes.map((prefix) => `${prefix}*`)];
}
export function matchesAny(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name,
  );
}
