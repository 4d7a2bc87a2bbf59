// What a token permits, and the only code that decides it: absent means no.
import { type ClientId, parseServiceRoom, type RoomName, type ServiceName } from '../protocol/ids.js';

/** Most patterns in one list of a token: tokens are at most 4 KiB anyway, and matching is linear in the prefixes. */
const PATTERNS_LIMIT = 256;
/** A name, the beginning of one with `*` behind it, or `*` alone. */
const PATTERN = /^(?:[A-Za-z0-9._~@:/+-]{1,128}\*?|\*)$/;

/** Exact names, and beginnings of names. */
export interface Patterns {
  /** `*` alone: the common case, answered without a look at the name. */
  readonly all: boolean;
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

const NO_NAMES: ReadonlySet<string> = new Set();
const NONE: Patterns = { all: false, exact: NO_NAMES, prefixes: [] };
const ALL: Patterns = { all: true, exact: NO_NAMES, prefixes: [] };

/** Shared by all tokens with `perm: "*"`: sessions cost memory. */
const EVERYTHING: Permissions = {
  send: ALL,
  join: ALL,
  publish: ALL,
  presence: ALL,
  list: ALL,
  provide: ALL,
  call: ALL,
  streams: ALL,
  turn: true,
  admin: true,
};

/** Reads the claim `perm`. Whatever has the wrong type permits nothing; nothing is guessed. */
export function parsePermissions(claim: unknown): Permissions {
  if (claim === '*') return EVERYTHING;
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
  return isPlainObject(value) ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined;
}

function isPlainObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parsePatterns(value: unknown): Patterns {
  return isPatternList(value) ? compilePatterns(value) : NONE;
}

/** Reads patterns once, for many questions to `matches`. */
export function compilePatterns(patterns: readonly string[]): Patterns {
  if (patterns.includes('*')) return ALL;
  const exact = patterns.filter((entry) => !entry.endsWith('*'));
  return {
    all: false,
    exact: exact.length === 0 ? NO_NAMES : new Set(exact),
    prefixes: patterns.filter((entry) => entry.endsWith('*')).map((entry) => entry.slice(0, -1)),
  };
}

function isPatternList(value: unknown): value is string[] {
  return Array.isArray(value) && value.length <= PATTERNS_LIMIT && value.every(isPattern);
}
function isPattern(value: unknown): value is string {
  return typeof value === 'string' && PATTERN.test(value);
}

/** Where each list of patterns stands in the claim. */
const LISTS = [
  'send',
  'rooms.join',
  'rooms.publish',
  'rooms.presence',
  'list',
  'services.provide',
  'services.call',
  'streams',
];
const FLAGS = ['turn', 'admin'];

/**
 * What of a claim would silently permit nothing, for those who write one by hand: unknown names and wrong types.
 * @returns one line each
 */
export function permissionMistakes(claim: unknown): string[] {
  if (claim === '*') return [];
  if (!isPlainObject(claim)) return ['perm must be "*" or an object'];
  return Object.entries(claim).flatMap(([name, value]) => {
    if (name !== 'rooms' && name !== 'services') return mistakesOf(name, value);
    if (!isPlainObject(value)) return [`${name} must be an object of lists of patterns`];
    return Object.entries(value).flatMap(([inner, list]) => mistakesOf(`${name}.${inner}`, list));
  });
}

function mistakesOf(path: string, value: unknown): string[] {
  if (FLAGS.includes(path)) return typeof value === 'boolean' ? [] : [`${path} must be true or false`];
  if (!LISTS.includes(path))
    return [`${JSON.stringify(path)} is no permission: there are ${[...LISTS, ...FLAGS].join(', ')}`];
  return isPatternList(value)
    ? []
    : [`${path} must be a list of at most ${PATTERNS_LIMIT} names or beginnings like "team-*"`];
}

export function matches({ all, exact, prefixes }: Patterns, name: string): boolean {
  if (all || exact.has(name)) return true;
  for (const prefix of prefixes) if (name.startsWith(prefix)) return true;
  return false;
}
function isEmpty({ all, exact, prefixes }: Patterns): boolean {
  return !all && exact.size === 0 && prefixes.length === 0;
}

export function maySend(permissions: Permissions, client: ClientId): boolean {
  return matches(permissions.send, client);
}
/** Broadcast reaches those whom `send` covers; without any there is nobody to reach. */
export function mayBroadcast(permissions: Permissions): boolean {
  return !isEmpty(permissions.send);
}
/** A stream reaches whom both lists cover. */
export function mayStream(permissions: Permissions, client: ClientId): boolean {
  return matches(permissions.streams, client) && maySend(permissions, client);
}
export function mayStreamToAnybody(permissions: Permissions): boolean {
  return !isEmpty(permissions.streams);
}
/** The rooms of a service are its own: who may provide it is in the one of its providers, who may call it in its topics. */
export function mayJoin(permissions: Permissions, room: RoomName): boolean {
  const own = parseServiceRoom(room);
  if (own === null) return matches(permissions.join, room);
  return own.topic === ''
    ? matches(permissions.provide, own.service)
    : mayCall(permissions, own.service) || matches(permissions.provide, own.service);
}
/** Nobody talks to all providers at once; that a session is one of them is for the router to see. */
export function mayPublish(permissions: Permissions, room: RoomName): boolean {
  const own = parseServiceRoom(room);
  if (own === null) return matches(permissions.publish, room);
  return own.topic !== '' && matches(permissions.provide, own.service);
}
export function mayCall(permissions: Permissions, service: ServiceName): boolean {
  return matches(permissions.call, service);
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

/** The patterns of `streams`, as `sendPatterns`. */
export function streamPatterns(permissions: Permissions): string[] {
  return patternsOf(permissions.streams);
}

/** The patterns of `send` as they travel with a broadcast to other workers; `compilePatterns` reads them there. */
export function sendPatterns(permissions: Permissions): string[] {
  return patternsOf(permissions.send);
}

function patternsOf({ all, exact, prefixes }: Patterns): string[] {
  return all ? ['*'] : [...exact, ...prefixes.map((prefix) => `${prefix}*`)];
}
