// What workers say to each other of streams: one step, to the other end of it or to all readers at the destination.
import type { Code } from '../protocol/codes.js';
import type { Ask, Part, Payload } from '../protocol/frame.js';
import type { ClientId, EventName, RoomName, SessionId, StreamId, WorkerId } from '../protocol/ids.js';
import type { FieldReader, FieldWriter } from './fields.js';

const NOTHING = new Uint8Array(0);

/** One step of a stream, to its other end or to all readers of it at the destination. */
export interface StreamEnvelope {
  kind: 'stream';
  origin: WorkerId;
  /** Null: to whom the offer is for, or to each session that holds the other end of the stream. */
  to: { client: ClientId; session: SessionId } | null;
  from: ClientId;
  sender: SessionId;
  stream: StreamId;
  /** Whether the sender opened it: two who say so of themselves, or neither, have no stream. */
  opened: boolean;
  step: StreamStep;
}
/** How a `missing` notice names the step of a stream that found nobody. */
export function handleOf({ sender, stream }: StreamEnvelope): string {
  return `~${sender} ${stream}`;
}
export interface OfferStep {
  kind: 'offer';
  room: RoomName | null;
  name: EventName;
  /** Patterns of clients that an offer to several reaches; both have to match. */
  streams: string[];
  send: string[];
  payload: Payload;
}
export interface ChunkStep {
  kind: 'chunk';
  offset: number;
  part: Part;
  payload: Payload;
}
export type StreamStep =
  | OfferStep
  | ChunkStep
  | { kind: 'attach'; upTo: number; limit: number }
  | { kind: 'credit'; upTo: number; limit: number; ask: Ask }
  | { kind: 'cut'; code: Code; text: string };

/** All but its body, which is returned. */
export function writeStream(
  writer: FieldWriter,
  { origin, to, from, sender, stream, opened, step }: StreamEnvelope,
): Uint8Array {
  writer.string(origin).string(to?.client ?? '');
  writer.string(to?.session ?? '');
  writer.string(from).string(sender).string(stream);
  writer.string(opened ? 'o' : 'a').string(step.kind);
  switch (step.kind) {
    case 'offer':
      writer
        .string(step.room ?? '')
        .string(step.name)
        .list(step.streams)
        .list(step.send)
        .string(String(step.payload.encoding));
      return step.payload.data;
    case 'attach':
      writer.string(String(step.upTo)).string(String(step.limit));
      return NOTHING;
    case 'chunk':
      writer.string(String(step.offset)).string(String(step.part)).string(String(step.payload.encoding));
      return step.payload.data;
    case 'credit':
      writer.string(String(step.upTo)).string(String(step.limit)).string(String(step.ask));
      return NOTHING;
    case 'cut':
      writer.string(step.code).string(step.text);
      return NOTHING;
    default:
      return step satisfies never;
  }
}

/** Null where the step is none of this version. */
export function readStream(reader: FieldReader): StreamEnvelope | null {
  const origin = reader.string() as WorkerId;
  const client = reader.string() as ClientId;
  const session = reader.string() as SessionId;
  const envelope = {
    kind: 'stream',
    origin,
    to: session === '' ? null : { client, session },
    from: reader.string() as ClientId,
    sender: reader.string() as SessionId,
    stream: reader.string() as StreamId,
    opened: reader.string() === 'o',
  } as const;
  const step = readStep(reader);
  return step === null ? null : { ...envelope, step };
}

function readStep(reader: FieldReader): StreamStep | null {
  const kind = reader.string();
  switch (kind) {
    case 'offer': {
      const room = reader.string() as RoomName;
      const name = reader.string() as EventName;
      const streams = reader.list();
      const send = reader.list();
      return { kind, room: room === '' ? null : room, name, streams, send, payload: readPayload(reader) };
    }
    case 'attach':
      return { kind, upTo: Number(reader.string()), limit: Number(reader.string()) };
    case 'chunk': {
      const offset = Number(reader.string());
      const part = Number(reader.string()) as Part;
      return { kind, offset, part, payload: readPayload(reader) };
    }
    case 'credit':
      return {
        kind,
        upTo: Number(reader.string()),
        limit: Number(reader.string()),
        ask: Number(reader.string()) as Ask,
      };
    case 'cut':
      return { kind, code: reader.string() as Code, text: reader.string() };
    default:
      return null;
  }
}

function readPayload(reader: FieldReader): Payload {
  return { encoding: Number(reader.string()), data: reader.rest() };
}
