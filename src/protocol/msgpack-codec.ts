// Frames as MessagePack: the binary subprotocol, and the pieces of it that fan-out puts together.
import { ProtocolError } from './errors.js';
import type { Elements } from './fields.js';
import { formatClientFrame, type Outline } from './format-client-frame.js';
import { formatGatewayFrame } from './format-gateway-frame.js';
import { TYPES } from './frame.js';
import type {
  ClientFrame,
  ClientSideCodec,
  FrameCodec,
  GatewayFrame,
  PieceFrame,
  SplitFrame,
} from './frame.js';
import type { EntryId, MessageOptions, Payload } from './frame.js';
import { HEADER_DEPTH_LIMIT, HEADER_ITEMS_LIMIT, RESULT_ITEMS_LIMIT } from './limits.js';
import { Reader } from './msgpack-reader.js';
import { writeValue } from './msgpack-values.js';
import { Writer } from './msgpack-writer.js';
import { parseClientFrame } from './parse-client-frame.js';
import { parseGatewayFrame } from './parse-gateway-frame.js';
import { headOf } from './split-frame.js';
import { MSGPACK_SUBPROTOCOL } from './subprotocol.js';

const NOTHING = /* @__PURE__ */ new Uint8Array(0);

// The one state of this module: memory that the next frame is written into. Frames hold plain data, so that no
// getter of an application runs, and writes again, in the middle of one.
const writer = new Writer();

/** One frame's array, element by element. */
class FrameReader implements Elements {
  readonly type: number;
  readonly #reader: Reader;
  #left: number;

  constructor(bytes: Uint8Array | string, items: number) {
    if (typeof bytes === 'string') throw new ProtocolError('bad_frame', 'text on the binary subprotocol');
    this.#reader = new Reader(bytes, { fault: 'bad_frame', depth: HEADER_DEPTH_LIMIT, items });
    const length = this.#reader.arrayHeader();
    if (length < 1) this.#reader.fail('a frame is an array with a type number');
    this.#left = length;
    this.type = this.uint() ?? -1;
    if (this.type < 0) this.#reader.fail('the first element of a frame is its type number');
  }

  uint(): number | null {
    return this.#take() ? this.#reader.uint() : null;
  }

  value(): unknown {
    return this.#take() ? this.#reader.value(1) : null;
  }

  payload(): Payload | null {
    const encoding = this.uint();
    if (!this.#take()) return null;
    const data = this.#reader.bin();
    return encoding === null || data === null ? null : { encoding, data };
  }

  #take(): boolean {
    return this.#left > 0 && this.#left-- > 0;
  }

  /** Passes over what a newer version may have added. @throws ProtocolError `bad_frame` where the rest is broken */
  end(): void {
    while (this.#left > 0) this.value();
    this.#reader.end();
  }
}

function decode<Frame>(
  bytes: Uint8Array | string,
  items: number,
  parse: (type: number, elements: Elements) => Frame,
): Frame {
  const reader = new FrameReader(bytes, items);
  let frame: Frame;
  try {
    frame = parse(reader.type, reader);
  } catch (error) {
    // Bytes that are no MessagePack to their end are the graver fault.
    if (error instanceof ProtocolError && error.code !== 'bad_frame') reader.end();
    throw error;
  }
  reader.end();
  return frame;
}

function writePayload(payload: Payload): void {
  writer.integer(payload.encoding);
  writer.bin(payload.data);
}

function encode({ fields, payload }: Outline, write: (field: unknown) => void): Uint8Array {
  writer.reset().array(payload === null ? fields.length : fields.length + 2);
  for (const field of fields) write(field);
  if (payload !== null) writePayload(payload);
  return writer.take();
}

function encodeGateway(frame: GatewayFrame): Uint8Array {
  return encode(formatGatewayFrame(frame), (field) => writeValue(writer, field));
}

function splitPiece(piece: PieceFrame): SplitFrame {
  const { encoding, data: body } = piece.payload;
  const frame = encodeGateway({ ...piece, payload: { encoding, data: NOTHING } });
  return { head: headOf(frame, body.length), body };
}

function encodeClient(frame: ClientFrame): Uint8Array {
  return encode(formatClientFrame(frame), (field) => writer.field(field));
}

function decodeClient(bytes: Uint8Array | string): ClientFrame {
  return decode(bytes, HEADER_ITEMS_LIMIT, parseClientFrame);
}

function decodeGateway(bytes: Uint8Array | string): GatewayFrame {
  return decode(bytes, RESULT_ITEMS_LIMIT, parseGatewayFrame);
}

/** The client's half alone: a browser's bundle leaves the other out. */
export const msgpackClientCodec: ClientSideCodec = {
  subprotocol: MSGPACK_SUBPROTOCOL,
  binary: true,
  encodeClient,
  decodeGateway,
};

/**
 * Frames that it encodes share memory with each other (as Node's pooled buffers do): copy what is kept for long.
 * The payload of a decoded frame is a view of the bytes that it came in.
 */
export const msgpackCodec: FrameCodec = {
  subprotocol: MSGPACK_SUBPROTOCOL,
  binary: true,
  encodeClient,
  encodeGateway,
  splitPiece,
  decodeClient,
  decodeGateway,
};

/** Frames whose second element differs by receiver or channel, while the rest is the same bytes for all of them. */
export type BodyType = 'message' | 'roomMessage' | 'requested' | 'called' | 'pairing';

/** Elements after the first two. */
const BODY_ELEMENTS = {
  message: 6,
  requested: 6,
  called: 6,
  pairing: 6,
  roomMessage: 7,
} as const satisfies Record<BodyType, number>;

/** What receivers see of a message, but for its id and room. */
export interface MessageBody {
  options: MessageOptions;
  /** The sender's client and session, as `encodeSender` writes them: the same for all of its messages. */
  sender: Uint8Array;
  event: string;
  payload: Payload;
}

/** A copy, to be kept. */
export function encodeSender(client: string, session: string): Uint8Array {
  writer.reset().text(client);
  writer.text(session);
  return Uint8Array.from(writer.take());
}

/** The rest of a `message` after its id, which is also the rest of a `requested` or `called` after its handle. Shares memory, see above. */
export function encodeMessageBody(message: MessageBody): Uint8Array {
  writeOptions(message.options);
  return finishBody(message);
}

/** The rest of a `roomMessage` after its id. Shares memory, see above. */
export function encodeRoomMessageBody(room: string, message: MessageBody): Uint8Array {
  writeOptions(message.options);
  writer.text(room);
  return finishBody(message);
}

/** Most messages have none. */
export const NO_OPTIONS: MessageOptions = /* @__PURE__ */ Object.freeze({});

function writeOptions(options: MessageOptions): void {
  writer.reset();
  const { seq, trace, delivered } = options;
  if (options === NO_OPTIONS) writer.map(0);
  else if (seq !== undefined && trace === undefined && delivered === undefined) {
    // Of most kept messages: without a list of names and one of values.
    writer.map(1);
    writer.text('seq');
    writer.integer(seq);
  } else writeValue(writer, options);
}

function finishBody({ sender, event, payload }: MessageBody): Uint8Array {
  writer.raw(sender);
  writer.text(event);
  writePayload(payload);
  return writer.take();
}

/** A whole frame from its body: byte by byte what `encodeGateway` makes of the same frame. `id` is the handle of a `requested` or `called`. */
export function frameFromBody(type: BodyType, id: EntryId | null, body: Uint8Array): Uint8Array {
  writer.reset().array(BODY_ELEMENTS[type] + 2);
  writer.byte(TYPES[type]);
  if (id === null) writer.nil();
  else writer.text(id);
  writer.raw(body);
  return writer.take();
}
