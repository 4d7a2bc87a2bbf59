// The envelope: what workers say to each other. A small binary form of its own, so that no client frame can be one.
import { type CloseCode, type Code, codeOfClose, CODES } from '../protocol/codes.js';
import type { ClientId, PairId, RoomName, SessionId, WorkerId } from '../protocol/ids.js';
import { FieldReader, FieldWriter } from './fields.js';
import type { Names } from './names.js';
import {
  readServe,
  readServed,
  type ServedEnvelope,
  type ServeEnvelope,
  writeServe,
  writeServed,
} from './service-envelope.js';
import { readStream, type StreamEnvelope, writeStream } from './stream-envelope.js';

/** A volatile message for sessions of a client that the origin believes to be at the destination. */
export interface DeliverEnvelope {
  kind: 'deliver';
  origin: WorkerId;
  client: ClientId;
  sessions: SessionId[];
  body: Uint8Array;
}
/** Answer to a deliver or request whose session is not here: the origin's route was wrong. */
export interface MissingEnvelope {
  kind: 'missing';
  client: ClientId;
  /** Handle of the request that could not be given, `~<sender> <stream>` of a stream's step, or empty. */
  handle: string;
}
export interface RequestEnvelope {
  kind: 'request';
  origin: WorkerId;
  /** `<worker>!<number>`: whoever holds it can answer, from any worker. */
  handle: string;
  client: ClientId;
  session: SessionId;
  body: Uint8Array;
}
/** Answer to a request. `body` is the encoding byte and the payload; a refusal has a code and a text instead. */
export interface ResponseEnvelope {
  kind: 'response';
  handle: string;
  /** Who answers: must be the session that was asked. */
  session: SessionId;
  code: Code | '';
  text: string;
  body: Uint8Array;
}
/** A message for every session whose client matches one of the patterns. */
export interface BroadcastEnvelope {
  kind: 'broadcast';
  origin: WorkerId;
  patterns: string[];
  /** The sender's own session does not get it. */
  except: SessionId;
  /** Nor do these clients. */
  skip: ClientId[];
  body: Uint8Array;
}
/** A small frame for one session. */
export interface LetterEnvelope {
  kind: 'letter';
  origin: WorkerId;
  client: ClientId;
  session: SessionId;
  letter:
    | { kind: 'response'; ref: number; code: Code | ''; text: string; encoding: number; data: Uint8Array }
    /** A session of `by` has handed the message over. */
    | { kind: 'delivered'; by: ClientId; seq: number }
    /** Has the session handed over the message with this number from that session? */
    | { kind: 'asked'; from: ClientId; sender: SessionId; seq: number }
    /** The session's pair is over. */
    | { kind: 'unpaired'; pair: PairId; code: Code }
    /** The session's standing offer is wanted by that one, which is at the origin; `name` is its own for what it gets. */
    | { kind: 'wanted'; from: ClientId; sender: SessionId; name: string }
    /** The session's connection ends: for good where the code says `stop`. */
    | { kind: 'close'; code: CloseCode }
    /** On behalf of a server the session joins or leaves a room, or leaves all (null); `handle` is whom to tell. */
    | { kind: 'move'; handle: string; room: RoomName | null; joins: boolean };
}
/** An HTTP request of a connection that the destination holds. */
export interface ErrandEnvelope {
  kind: 'errand';
  origin: WorkerId;
  /** The origin's own name for it. */
  handle: string;
  /** Secret of the connection. */
  connection: string;
  work: 'post' | 'poll';
  number: number;
  /** Whether the body is for a binary codec. */
  binary: boolean;
  body: Uint8Array;
}
/** What became of an errand, see `ErrandOutcome`. */
export interface ErrandDoneEnvelope {
  kind: 'errandDone';
  handle: string;
  outcome: string;
  /** The number with which the connection ended; 0 while it goes on. */
  close: number;
  body: Uint8Array;
}
export type Envelope =
  | DeliverEnvelope
  | MissingEnvelope
  | RequestEnvelope
  | ResponseEnvelope
  | BroadcastEnvelope
  | LetterEnvelope
  | ErrandEnvelope
  | ErrandDoneEnvelope
  | StreamEnvelope
  | ServeEnvelope
  | ServedEnvelope;

const KINDS = {
  deliver: 1,
  missing: 2,
  request: 3,
  response: 4,
  broadcast: 5,
  letter: 6,
  errand: 7,
  errandDone: 8,
  stream: 9,
  serve: 10,
  served: 11,
} as const;
const VERSION = 1;

const NOTHING = new Uint8Array(0);

/** Encodes envelopes of one worker; owns its scratch memory. */
export class EnvelopeEncoder {
  private readonly writer = new FieldWriter();

  encode(envelope: Envelope): Buffer {
    const writer = this.writer.start(VERSION, KINDS[envelope.kind]);
    switch (envelope.kind) {
      case 'deliver':
        return deliverInto(writer, envelope).end(envelope.body);
      case 'missing':
        return writer.string(envelope.client).string(envelope.handle).end(NOTHING);
      case 'request':
        return writer
          .string(envelope.origin)
          .string(envelope.handle)
          .string(envelope.client)
          .string(envelope.session)
          .end(envelope.body);
      case 'response':
        return writer
          .string(envelope.handle)
          .string(envelope.session)
          .string(envelope.code)
          .string(envelope.text)
          .end(envelope.body);
      case 'broadcast':
        return (
          writer
            .string(envelope.origin)
            .list(envelope.patterns)
            // In one field, which a worker of the build before reads as a session that nobody has.
            .string([envelope.except, ...envelope.skip].join(' '))
            .end(envelope.body)
        );
      case 'letter':
        return this.letter(writer, envelope);
      case 'errand':
        return writer
          .string(envelope.origin)
          .string(envelope.handle)
          .string(envelope.connection)
          .string(envelope.work)
          .string(String(envelope.number))
          .string(envelope.binary ? '1' : '')
          .end(envelope.body);
      case 'errandDone':
        return writer
          .string(envelope.handle)
          .string(envelope.outcome)
          .string(String(envelope.close))
          .end(envelope.body);
      case 'stream':
        return writer.end(writeStream(writer, envelope));
      case 'serve':
        return writeServe(writer, envelope);
      case 'served':
        return writeServed(writer, envelope);
      default:
        return envelope satisfies never;
    }
  }

  /** All of a volatile message but its body: a view of memory that the next envelope overwrites. */
  deliverHead(envelope: DeliverEnvelope): Buffer {
    return deliverInto(this.writer.start(VERSION, KINDS.deliver), envelope).view;
  }

  /** All of a stream's step but its bytes: a view of memory that the next envelope overwrites. */
  streamHead(envelope: StreamEnvelope): Buffer {
    const writer = this.writer.start(VERSION, KINDS.stream);
    writeStream(writer, envelope);
    return writer.view;
  }

  private letter(writer: FieldWriter, { origin, client, session, letter }: LetterEnvelope): Buffer {
    writer.string(origin).string(client).string(session).string(letter.kind);
    switch (letter.kind) {
      case 'response':
        return writer
          .string(String(letter.ref))
          .string(letter.code)
          .string(letter.text)
          .string(String(letter.encoding))
          .end(letter.data);
      case 'delivered':
        return writer.string(letter.by).string(String(letter.seq)).end(NOTHING);
      case 'asked':
        return writer.string(letter.from).string(letter.sender).string(String(letter.seq)).end(NOTHING);
      case 'unpaired':
        return writer.string(letter.pair).string(letter.code).end(NOTHING);
      case 'wanted':
        return writer.string(letter.from).string(letter.sender).string(letter.name).end(NOTHING);
      case 'close':
        return writer.string(String(CODES[letter.code].close)).end(NOTHING);
      case 'move':
        return writer
          .string(letter.handle)
          .string(letter.room ?? '')
          .string(letter.joins ? '1' : '')
          .end(NOTHING);
      default:
        return letter satisfies never;
    }
  }
}

function deliverInto(writer: FieldWriter, { origin, client, sessions }: DeliverEnvelope): FieldWriter {
  return writer.string(origin).string(client).list(sessions);
}

/**
 * Reads an envelope that another worker of the same deployment wrote: its names were checked where they came in.
 * Returns null for bytes that are none (another version, a foreign program on the same Redis).
 * @param names those that came before
 */
export function decodeEnvelope(bytes: Buffer, names: Names | null = null): Envelope | null {
  if (bytes.length < 2 || bytes[0] !== VERSION) return null;
  const reader = new FieldReader(bytes, 2, names);
  try {
    switch (bytes[1]) {
      case KINDS.deliver:
        return {
          kind: 'deliver',
          origin: reader.name() as WorkerId,
          client: reader.name() as ClientId,
          sessions: reader.nameList() as SessionId[],
          body: reader.rest(),
        };
      case KINDS.missing:
        return { kind: 'missing', client: reader.string() as ClientId, handle: reader.string() };
      case KINDS.request:
        return {
          kind: 'request',
          origin: reader.name() as WorkerId,
          handle: reader.string(),
          client: reader.name() as ClientId,
          session: reader.name() as SessionId,
          body: reader.rest(),
        };
      case KINDS.response:
        return {
          kind: 'response',
          handle: reader.string(),
          session: reader.string() as SessionId,
          code: reader.string() as Code | '',
          text: reader.string(),
          body: reader.rest(),
        };
      case KINDS.broadcast: {
        const origin = reader.string() as WorkerId;
        const patterns = reader.list();
        const [except = '', ...skip] = reader.string().split(' ');
        return {
          kind: 'broadcast',
          origin,
          patterns,
          except: except as SessionId,
          skip: skip as ClientId[],
          body: reader.rest(),
        };
      }
      case KINDS.letter: {
        const to = {
          origin: reader.name() as WorkerId,
          client: reader.name() as ClientId,
          session: reader.name() as SessionId,
        };
        const letter = readLetter(reader);
        return letter === null ? null : { kind: 'letter', ...to, letter };
      }
      case KINDS.errand:
        return readErrand(reader);
      case KINDS.errandDone:
        return {
          kind: 'errandDone',
          handle: reader.string(),
          outcome: reader.string(),
          close: Number(reader.string()),
          body: reader.rest(),
        };
      case KINDS.stream:
        return readStream(reader);
      case KINDS.serve:
        return readServe(reader);
      case KINDS.served:
        return readServed(reader);
      default:
        return null;
    }
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

function readErrand(reader: FieldReader): ErrandEnvelope | null {
  const [origin, handle, connection, work] = [
    reader.string() as WorkerId,
    reader.string(),
    reader.string(),
    reader.string(),
  ];
  const number = Number(reader.string());
  const binary = reader.string() !== '';
  if (work !== 'post' && work !== 'poll') return null;
  return { kind: 'errand', origin, handle, connection, work, number, binary, body: reader.rest() };
}

function readLetter(reader: FieldReader): LetterEnvelope['letter'] | null {
  const kind = reader.string();
  switch (kind) {
    case 'response':
      return {
        kind,
        ref: Number(reader.string()),
        code: reader.string() as Code | '',
        text: reader.string(),
        encoding: Number(reader.string()),
        data: reader.rest(),
      };
    case 'delivered':
      return { kind, by: reader.string() as ClientId, seq: Number(reader.string()) };
    case 'asked':
      return {
        kind,
        from: reader.string() as ClientId,
        sender: reader.string() as SessionId,
        seq: Number(reader.string()),
      };
    case 'unpaired':
      return { kind, pair: reader.string() as PairId, code: reader.string() as Code };
    case 'wanted':
      return {
        kind,
        from: reader.string() as ClientId,
        sender: reader.string() as SessionId,
        name: reader.string(),
      };
    case 'close': {
      const code = codeOfClose(Number(reader.string()));
      return code === null ? null : { kind, code };
    }
    case 'move': {
      const [handle, room, joins] = [reader.string(), reader.string(), reader.string() !== ''];
      return { kind, handle, room: room === '' ? null : (room as RoomName), joins };
    }
    default:
      return null;
  }
}
