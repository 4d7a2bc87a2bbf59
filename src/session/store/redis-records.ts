// What Redis gives back, read with suspicion: others may write to it, and older versions did.
import { isClientId, isRoomName, isSessionId } from '../../protocol/ids.js';
import { parseEntryId } from './entry-id.js';
import type { Channel, Entry, Position, ReadResult, Revocation, StoreEvent } from './store.js';

const NEWLINE = 0x0a;

/** An event as scripts publish it: a line of JSON, then the body. Null for anything else. */
export function readEvent(bytes: Buffer): StoreEvent | null {
  const end = bytes.indexOf(NEWLINE);
  if (end < 0) return null;
  let event: unknown;
  try {
    event = JSON.parse(bytes.toString('utf8', 0, end));
  } catch {
    return null;
  }
  if (typeof event !== 'object' || event === null || !('type' in event)) return null;
  const field = (name: string): unknown => Object.getOwnPropertyDescriptor(event, name)?.value;
  const [client, session, room, generation, code, change, count] = [
    field('client'),
    field('session'),
    field('room'),
    field('generation'),
    field('code'),
    field('change'),
    field('count'),
  ];
  switch (event.type) {
    case 'entry':
      return readEntry(field, bytes.subarray(end + 1));
    case 'route':
      return isClientId(client) ? { type: 'route', client } : null;
    case 'fence':
      if (!isClientId(client) || !isSessionId(session) || typeof generation !== 'number') return null;
      return code === 'superseded' || code === 'replaced' || code === 'session_ended_elsewhere'
        ? { type: 'fence', client, session, generation, code }
        : null;
    case 'presence':
      if (!isRoomName(room) || !isClientId(client) || typeof count !== 'number') return null;
      return change === 'joined' || change === 'left'
        ? { type: 'presence', room, client, change, count }
        : null;
    default:
      return null;
  }
}

function readEntry(field: (name: string) => unknown, body: Buffer): StoreEvent | null {
  const [kind, name, id, only, skip] = [
    field('kind'),
    field('name'),
    field('id'),
    field('only'),
    field('skip'),
  ];
  const channel = channelOf(kind, name);
  if (channel === null || typeof id !== 'string' || typeof skip !== 'string') return null;
  const entry = {
    id: id === '' ? null : id,
    only: isSessionId(only) ? only : null,
    skip: wordsOf(skip),
    body,
  };
  return { type: 'entry', channel, entry };
}

function channelOf(kind: unknown, name: unknown): Channel | null {
  if (kind === 'inbox' && isClientId(name)) return { kind, client: name };
  return kind === 'room' && isRoomName(name) ? { kind, room: name } : null;
}

function wordsOf(text: string): string[] {
  return text === '' ? [] : text.split(' ');
}

/** A position as scripts write it: empty before the first entry. */
export function positionOf(value: unknown): Position {
  const text = textOf(value);
  return text !== '' && parseEntryId(text) !== null ? text : null;
}

/** `<after> <last>` of what waits for a client. */
export function keptOf(value: unknown): { after: Position; last: string } | null {
  const [after, last] = textOf(value).split(' ');
  return last !== undefined && parseEntryId(last) !== null ? { after: positionOf(after), last } : null;
}

/** The reply of read.lua; one entry more than asked for where there are more. */
export function readEntries(reply: unknown, limit: number): ReadResult {
  const [status, position, missing, first, rows, epoch] = Array.isArray(reply) ? (reply as unknown[]) : [];
  if (textOf(status) !== 'entries') return { status: 'lost', position: positionOf(position) };
  const found = (Array.isArray(rows) ? (rows as unknown[]) : []).slice(0, limit);
  const result = {
    status: 'entries' as const,
    missing: Number(missing),
    entries: [] as Entry[],
    more: Array.isArray(rows) && rows.length > limit,
    position: positionOf(position),
  };
  let next = Number(first);
  for (const row of found) {
    const [place, fields] = Array.isArray(row) ? (row as unknown[]) : [];
    const id = `${textOf(epoch)}:${textOf(place)}`;
    const offset = parseEntryId(id)?.offset;
    const entry = fields === undefined || fields === null ? 'expired' : streamEntry(id, fields);
    // An entry that was edited, or taken out, is missing like one that was trimmed. What came before it goes first.
    const isWhole = offset === next && entry !== null;
    if (!isWhole && result.entries.length > 0) return { ...result, more: true };
    if (offset !== undefined) {
      result.missing += offset - next + (entry === null ? 1 : 0);
      result.position = id;
      next = offset + 1;
    }
    if (entry !== null && entry !== 'expired') result.entries.push(entry);
  }
  return result;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : Buffer.isBuffer(value) ? value.toString('utf8') : '';
}

function streamEntry(id: string, list: unknown): Entry | null {
  const values = Array.isArray(list) ? (list as unknown[]) : [];
  const fields = new Map<string, unknown>();
  for (let i = 0; i + 1 < values.length; i += 2) fields.set(textOf(values[i]), values[i + 1]);
  const body = fields.get('b');
  if (!Buffer.isBuffer(body)) return null;
  const session = textOf(fields.get('o'));
  return {
    id,
    only: isSessionId(session) ? session : null,
    skip: wordsOf(textOf(fields.get('k'))),
    kept: fields.get('f') !== undefined,
    body,
  };
}

/** Revocations as JSON texts; what is none is passed over. */
export function revocationsOf(list: unknown): Revocation[] {
  return (Array.isArray(list) ? (list as unknown[]) : []).flatMap((text) => {
    try {
      const value: unknown = JSON.parse(textOf(text));
      if (typeof value !== 'object' || value === null) return [];
      const { kind, id, beforeMs, untilMs } = value as Record<string, unknown>;
      if ((kind !== 'client' && kind !== 'token') || typeof id !== 'string') return [];
      return [{ kind, id, beforeMs: Number(beforeMs), untilMs: Number(untilMs) }];
    } catch {
      return [];
    }
  });
}
