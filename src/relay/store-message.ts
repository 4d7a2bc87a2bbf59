// What passes between a worker and the embedded store for every kept message: the append, its answer and the entry, in a binary form
// that costs a fifth of JSON with bytes behind it.
import type { RoomName, ClientId, SessionId } from '../protocol/ids.js';
import type { AppendRequest, AppendResult, Channel, StoreEvent } from '../session/store/store.js';
import { FieldReader, FieldWriter } from './fields.js';
import type { Names } from './names.js';

/** First bytes, none of which begins a value of the other forms on the link. */
const APPEND = 0x10;
const APPENDED = 0x11;
const ENTRY = 0x12;

const ROOM = 1;
const KEEP = 2;

export type EntryEvent = Extract<StoreEvent, { type: 'entry' }>;
export type StoreMessage =
  | { kind: 'append'; id: number; request: AppendRequest }
  | { kind: 'appended'; id: number; result: AppendResult }
  | { kind: 'entry'; event: EntryEvent };

const STATUS = [
  'accepted',
  'duplicate',
  'superseded',
  'absent',
  'out_of_order',
] as const satisfies readonly AppendResult['status'][];

/** Writes into one scratch memory: what it returns is overwritten by the next. */
export class StoreMessageWriter {
  private readonly writer = new FieldWriter();

  append(id: number, { channel, sender, seq, first, ttlMs, keep, only, skip }: AppendRequest): Buffer {
    return channelInto(
      this.writer
        .start(APPEND)
        .byte(flagsOf(channel) | (keep ? KEEP : 0))
        .number(id),
      channel,
    )
      .string(sender.client)
      .string(sender.session)
      .number(sender.generation)
      .number(seq)
      .number(first)
      .number(ttlMs)
      .string(only ?? '')
      .list(skip).view;
  }

  appended(id: number, result: AppendResult): Buffer {
    return this.writer
      .start(APPENDED)
      .byte(STATUS.indexOf(result.status))
      .number(id)
      .number('expected' in result ? result.expected : 'readers' in result ? result.readers : null)
      .string('id' in result ? (result.id ?? '') : '').view;
  }

  entry({ channel, entry: { id, after, only, skip } }: EntryEvent): Buffer {
    return channelInto(this.writer.start(ENTRY).byte(flagsOf(channel)), channel)
      .string(id ?? '')
      .string(after ?? '')
      .string(only ?? '')
      .list(skip).view;
  }
}

/**
 * Null for a message of another form. `body` is a view of the bytes.
 * @param names those that came before: of clients, sessions and rooms
 * @throws RangeError where it is cut short
 */
export function readStoreMessage(bytes: Buffer, names: Names): StoreMessage | null {
  const kind = bytes[0];
  if (kind !== APPEND && kind !== APPENDED && kind !== ENTRY) return null;
  const reader = new FieldReader(bytes, 1, names);
  const flags = reader.byte();
  if (kind === APPENDED) {
    const id = reader.number() ?? 0;
    const number = reader.number() ?? 0;
    return { kind: 'appended', id, result: resultOf(STATUS[flags], reader.string(), number) };
  }
  if (kind === ENTRY) {
    const channel = channelOf(flags, reader.name());
    const [id, after] = [reader.string(), reader.string()];
    const only = (reader.name() || null) as SessionId | null;
    const skip = reader.list();
    const entry = { id: id || null, after: after || null, only, skip, body: reader.rest() };
    return { kind: 'entry', event: { type: 'entry', channel, entry } };
  }
  const id = reader.number() ?? 0;
  const channel = channelOf(flags, reader.name());
  const sender = {
    client: reader.name() as ClientId,
    session: reader.name() as SessionId,
    generation: reader.number() ?? 0,
  };
  const [seq, first, ttlMs] = [reader.number(), reader.number(), reader.number()];
  const only = (reader.name() || null) as SessionId | null;
  const skip = reader.list();
  const keep = (flags & KEEP) !== 0;
  return {
    kind: 'append',
    id,
    request: { channel, sender, seq, first, ttlMs, keep, only, skip, body: reader.rest() },
  };
}

function flagsOf(channel: Channel): number {
  return channel.kind === 'room' ? ROOM : 0;
}

function channelInto(writer: FieldWriter, channel: Channel): FieldWriter {
  return writer.string(channel.kind === 'room' ? channel.room : channel.client);
}

function channelOf(flags: number, name: string): Channel {
  return (flags & ROOM) !== 0
    ? { kind: 'room', room: name as RoomName }
    : { kind: 'inbox', client: name as ClientId };
}

function resultOf(status: (typeof STATUS)[number] | undefined, id: string, number: number): AppendResult {
  switch (status) {
    case 'accepted':
      return { status, id: id || null, readers: number };
    case 'out_of_order':
      return { status, expected: number };
    case 'duplicate':
    case 'superseded':
    case 'absent':
      return { status };
    case undefined:
      throw new RangeError('no such result');
  }
}
