// Names that travel on the wire: client ids, session ids, room and event names, addresses and patterns.

export type ClientId = string & { readonly __brand: 'ClientId' };
export type SessionId = string & { readonly __brand: 'SessionId' };
export type RoomName = string & { readonly __brand: 'RoomName' };
export type EventName = string & { readonly __brand: 'EventName' };
export type StreamId = string & { readonly __brand: 'StreamId' };
export type ServiceName = string & { readonly __brand: 'ServiceName' };
export type PairId = string & { readonly __brand: 'PairId' };
export type WorkerId = string & { readonly __brand: 'WorkerId' };
export type NodeId = string & { readonly __brand: 'NodeId' };

/** Longest client id, room or event name, in characters (all of them ASCII, so also in bytes). */
export const NAME_LENGTH_LIMIT = 128;

/** Begins the ids of all guests of the connection test page, which anybody may be, under any number of names. */
export const GUEST_PREFIX = '~test-';

export const NAME = /^[A-Za-z0-9._~@:/+-]{1,128}$/;
export const SESSION = /^[A-Za-z0-9_-]{22}$/;

export function isName(value: unknown): value is string {
  return typeof value === 'string' && NAME.test(value);
}
export function isClientId(value: unknown): value is ClientId {
  return isName(value);
}
export function isRoomName(value: unknown): value is RoomName {
  return isName(value);
}
export function isEventName(value: unknown): value is EventName {
  return isName(value);
}
/** A session id is 128 random bits in base64url. */
export function isSessionId(value: unknown): value is SessionId {
  return typeof value === 'string' && SESSION.test(value);
}

/** A stream id is 128 random bits in base64url, chosen by whoever opens the stream. */
export function isStreamId(value: unknown): value is StreamId {
  return typeof value === 'string' && SESSION.test(value);
}

/** Shorter than other names, and without `~`: the rooms of a service have its name between two of these. */
const SERVICE = /^[A-Za-z0-9._@:/+-]{1,100}$/;

export function isServiceName(value: unknown): value is ServiceName {
  return typeof value === 'string' && SERVICE.test(value);
}

/** A room that belongs to a service: `~<service>~<topic>`; those in `~<service>~` are its providers. */
export interface ServiceRoom {
  service: ServiceName;
  /** Empty: the providers. */
  topic: string;
}

export function parseServiceRoom(room: RoomName): ServiceRoom | null {
  if (!room.startsWith('~')) return null;
  const end = room.indexOf('~', 1);
  const service = room.slice(1, end);
  return end > 0 && isServiceName(service) ? { service, topic: room.slice(end + 1) } : null;
}

/** The room of those who provide a service. */
export function providersOf(service: ServiceName): RoomName {
  return `~${service}~` as RoomName;
}

/** A pair's id is 128 random bits in base64url, chosen by the gateway: who knows it is an end of the pair. */
export function isPairId(value: unknown): value is PairId {
  return typeof value === 'string' && SESSION.test(value);
}

/** Where a message goes: every session of a client, or one of them. */
export interface Address {
  client: ClientId;
  session: SessionId | null;
}

/** `bob` or `bob#<session id>`; `#` cannot stand in a client id, so the form is never ambiguous. */
export function parseAddress(value: unknown): Address | null {
  if (typeof value !== 'string') return null;
  const hash = value.indexOf('#');
  if (hash < 0) return isClientId(value) ? { client: value, session: null } : null;
  const client = value.slice(0, hash);
  const session = value.slice(hash + 1);
  return isClientId(client) && isSessionId(session) ? { client, session } : null;
}

export function formatAddress(address: Address): string {
  return address.session === null ? address.client : `${address.client}#${address.session}`;
}
