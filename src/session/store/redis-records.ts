// What Redis gives back, read with suspicion: others may write to it, and older versions did.
import { isClientId, isRoomName, isSessionId } from '../../protocol/ids.js';
import type { Channel, Entry, ReadResult, StoreEvent } from './store.js';

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

/** The reply of read.lua: status, epoch, oldest offset and stream entries (one more than asked for where there are more). */
export function readEntries(reply: unknown, after: number, limit: number): ReadResult {
  const [status, epochBytes, oldest, rows] = Array.isArray(reply) ? (reply as unknown[]) : [];
  const epoch = String(epochBytes);
  if (String(status) === 'lost') return { status: 'lost', epoch };
  const found = Array.isArray(rows) ? (rows as unknown[]) : [];
  const entries = found.slice(0, limit).flatMap((row) => {
    const entry = streamEntry(row, epoch);
    return entry === null ? [] : [entry];
  });
  const more = found.length > limit;
  if (String(status) === 'gap')
    return { status: 'gap', from: after + 1, to: Number(String(oldest)) - 1, next: entries, more };
  return { status: 'entries', entries, more };
}

function streamEntry(row: unknown, epoch: string): Entry | null {
  const [place, fields] = Array.isArray(row) ? (row as unknown[]) : [];
  const [, only, , skip, , body] = Array.isArray(fields) ? (fields as unknown[]) : [];
  if (!Buffer.isBuffer(body)) return null;
  const session = String(only);
  return {
    id: `${epoch}:${String(place)}`,
    only: isSessionId(session) ? session : null,
    skip: wordsOf(String(skip)),
    body,
  };
}
