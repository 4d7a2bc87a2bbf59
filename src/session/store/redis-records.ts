// What Redis gives back, read with suspicion: others may write to it, and older versions did.
import { isClientId, isRoomName, isSessionId } from '../../protocol/ids.js';
import { parseEntryId } from './entry-id.js';
import type { WorkerId } from '../../protocol/ids.js';
import type { Channel, Entry, MemberPlace, Position, ReadResult, Revocation, StoreEvent } from './store.js';

const NEWLINE = 0x0a;

/**
 * What scripts publish in one message: for each event a line of JSON, or for an entry a line of words and the body.
 * `isWhole` is false where something in it is none of ours; what came before it is good.
 */
export function readEvents(bytes: Buffer): { events: StoreEvent[]; isWhole: boolean } {
  const events: StoreEvent[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(NEWLINE, at);
    if (end < 0) return { events, isWhole: false };
    const line = bytes.toString('latin1', at, end);
    at = end + 1;
    let event: StoreEvent | null;
    if (line.startsWith('entry ')) {
      const [, kind, name, id = '-', previous = '', only, length, ...skip] = line.split(' ');
      const until = at + Number(length);
      const channel = channelOf(kind, name);
      if (channel === null || !(until <= bytes.length)) return { events, isWhole: false };
      const entry = {
        id: id === '-' ? null : id,
        after: previous === '' ? null : placeBefore(id, previous),
        only: isSessionId(only) ? only : null,
        skip,
      };
      event = { type: 'entry', channel, entry: { ...entry, body: bytes.subarray(at, until) } };
      at = until;
    } else {
      event = readEvent(line);
    }
    if (event === null) return { events, isWhole: false };
    events.push(event);
  }
  return { events, isWhole: bytes.length > 0 };
}

/** The id of the entry before `id`, whose tag was sent along. */
function placeBefore(id: string, tag: string): Position {
  const place = parseEntryId(id);
  return place === null ? null : `${place.epoch}:${String(place.offset - 1)}-${tag}`;
}

function readEvent(line: string): StoreEvent | null {
  let event: unknown;
  try {
    event = JSON.parse(line);
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
    case 'route':
      return isClientId(client) ? { type: 'route', client } : null;
    case 'members':
      return isRoomName(room) ? { type: 'members', room } : null;
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

export function nameOf(channel: Channel): string {
  return channel.kind === 'inbox' ? channel.client : channel.room;
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
  const [status, position, missing, first, rows, epoch, cut] = Array.isArray(reply)
    ? (reply as unknown[])
    : [];
  const top = positionOf(position);
  if (textOf(status) !== 'entries') return { status: 'lost', position: top };
  const found = Array.isArray(rows) ? (rows as unknown[]) : [];
  const result = {
    status: 'entries' as const,
    missing: Number(missing),
    entries: [] as Entry[],
    more: found.length > limit || cut === 1,
    position: top,
  };
  // An entry that was edited or taken out is missing like one that was trimmed, and told before what comes after it.
  let next = Number(first);
  for (const row of found.slice(0, limit)) {
    const { id, offset, entry } = streamRow(textOf(epoch), row);
    // Somebody else's beside ours: ours was there first.
    if (offset < next) continue;
    const lost = offset - next + (entry === null ? 1 : 0);
    if (lost > 0 && result.entries.length > 0) return { ...result, more: true };
    result.missing += lost;
    result.position = id;
    next = offset + 1;
    if (entry !== null && entry !== 'expired') result.entries.push(entry);
  }
  const lost = result.more || top === null ? 0 : (parseEntryId(top)?.offset ?? 0) - next + 1;
  if (lost <= 0) return result;
  if (result.entries.length > 0) return { ...result, more: true };
  return { ...result, missing: result.missing + lost, position: top };
}

/** Stream ids are pairs of numbers, whoever wrote the entry. */
function streamRow(
  epoch: string,
  row: unknown,
): { id: string; offset: number; entry: Entry | 'expired' | null } {
  const [place, fields] = Array.isArray(row) ? (row as unknown[]) : [];
  const id = `${epoch}:${textOf(place)}`;
  const entry = fields === undefined || fields === null ? 'expired' : streamEntry(id, fields);
  return { id, offset: Number.parseInt(textOf(place), 10), entry };
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

/** The reply of places.lua; a row that somebody edited is as good as none. */
export function memberPlacesOf(reply: unknown): MemberPlace[] {
  return (Array.isArray(reply) ? (reply as unknown[]) : []).flatMap((row) => {
    const [session, generation, worker, connected] = Array.isArray(row) ? (row as unknown[]) : [];
    if (!isSessionId(session) || typeof worker !== 'string') return [];
    return [
      {
        session,
        generation: Number(generation),
        worker: worker as WorkerId,
        connected: connected === '1',
      },
    ];
  });
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
