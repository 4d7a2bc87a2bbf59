// Frames as JSON text: the subprotocol for people with wscat and for languages without MessagePack.
import { DEFLATED, DICTIONARY_SHIFT, PAYLOAD_CODECS, isEncoding } from './encoding.js';
import { ProtocolError } from './errors.js';
import type { Elements } from './fields.js';
import { formatClientFrame, type Outline } from './format-client-frame.js';
import { formatGatewayFrame } from './format-gateway-frame.js';
import type { ClientSideCodec, FrameCodec, Payload } from './frame.js';
import { elementText, isJsonSafe } from './json-text.js';
import { FRAME_LIMIT_BYTES, PAYLOAD_DEPTH_LIMIT } from './limits.js';
import { decodeMsgpack } from './msgpack-reader.js';
import type { Inflate } from './payload.js';
import { parseClientFrame } from './parse-client-frame.js';
import { parseGatewayFrame } from './parse-gateway-frame.js';
import { JSON_SUBPROTOCOL } from './subprotocol.js';

export interface JsonCodecOptions {
  /** For clients that read JSON. Without it, or where it throws, deflated payloads go out as they are, in base64. */
  inflate?: Inflate;
}

const ENCODE = new TextEncoder();
const DECODE = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Names of payload codecs 0–15; `json+raw` are bytes that say they are JSON, in base64 since nobody has looked. */
const CODEC_NAMES = [
  'none',
  'msgpack',
  'json+raw',
  'bytes',
  ...[4, 5, 6, 7].map((codec) => `codec${codec}`),
  ...[8, 9, 10, 11, 12, 13, 14, 15].map((codec) => `app${codec}`),
];

/** `app9+deflate/1`: codec, then deflated or not, then the dictionary. `json+deflate`, not `json+raw+deflate`. */
function nameOf(encoding: number): string {
  if ((encoding & DEFLATED) === 0) return CODEC_NAMES[encoding & 0x0f] ?? 'none';
  const codec = encoding & 0x0f;
  const name = codec === PAYLOAD_CODECS.json ? 'json' : CODEC_NAMES[codec];
  const dictionary = encoding >> DICTIONARY_SHIFT;
  return `${name}+deflate${dictionary === 0 ? '' : `/${dictionary}`}`;
}

/** Every name that a payload in base64 can have. */
const ENCODINGS = new Map(
  Array.from({ length: 256 }, (_, encoding): [string, number] => [nameOf(encoding), encoding]).filter(
    ([, encoding]) => isEncoding(encoding) && encoding !== PAYLOAD_CODECS.none,
  ),
);

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function fromBase64(value: unknown): Uint8Array | null {
  // `atob` forgives spaces and missing padding; two texts for the same bytes are one too many.
  if (typeof value !== 'string' || value.length % 4 !== 0 || !BASE64.test(value)) return null;
  const binary = atob(value);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

function toBase64(bytes: Uint8Array): string {
  let binary = '';
  for (let from = 0; from < bytes.length; from += 0x8000) {
    binary += String.fromCharCode.apply(null, [...bytes.subarray(from, from + 0x8000)]);
  }
  return btoa(binary);
}

/** One frame's array, element by element. */
class TextElements implements Elements {
  readonly type: number;
  private at = 0;

  constructor(
    private readonly text: string,
    private readonly array: readonly unknown[],
  ) {
    this.type = this.uint() ?? -1;
    if (this.type < 0)
      throw new ProtocolError('bad_frame', 'the first element of a frame is its type number');
  }

  uint(): number | null {
    const value = this.value();
    if (value === null) return null;
    return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : -1;
  }

  value(): unknown {
    return this.array[this.at++] ?? null;
  }

  payload(): Payload | null {
    const name = this.value();
    const index = this.at;
    if (typeof name !== 'string' || index >= this.array.length) return null;
    const value = this.value();
    if (name === 'json') {
      return { encoding: PAYLOAD_CODECS.json, data: ENCODE.encode(elementText(this.text, index)) };
    }
    if (name === 'none')
      return value === null ? { encoding: PAYLOAD_CODECS.none, data: new Uint8Array() } : null;
    const encoding = ENCODINGS.get(name);
    const data = fromBase64(value);
    return encoding === undefined || data === null ? null : { encoding, data };
  }
}

function decode<Frame>(
  bytes: Uint8Array | string,
  parse: (type: number, elements: Elements) => Frame,
): Frame {
  const text = typeof bytes === 'string' ? bytes : textOf(bytes);
  let value: unknown;
  try {
    value = text === null ? null : JSON.parse(text);
  } catch (cause) {
    throw new ProtocolError('bad_frame', 'not JSON', { cause });
  }
  if (text === null || !Array.isArray(value)) throw new ProtocolError('bad_frame', 'a frame is a JSON array');
  const elements = new TextElements(text, value);
  return parse(elements.type, elements);
}

function textOf(bytes: Uint8Array): string | null {
  try {
    return DECODE.decode(bytes);
  } catch {
    return null;
  }
}

/** The text of bytes that are JSON; null where they are not, whatever their sender said. */
function jsonText(data: Uint8Array): string | null {
  const text = textOf(data);
  if (text === null) return null;
  try {
    JSON.parse(text);
    return text;
  } catch {
    return null;
  }
}

/** JSON text of a MessagePack payload that JSON can carry unchanged; null for all others. */
function transcode(data: Uint8Array): string | null {
  try {
    const limits = { fault: 'bad_payload', depth: PAYLOAD_DEPTH_LIMIT, items: FRAME_LIMIT_BYTES } as const;
    const value = decodeMsgpack(data, limits);
    if (!isJsonSafe(value, PAYLOAD_DEPTH_LIMIT)) return null;
    const text = JSON.stringify(value);
    // Control characters grow sixfold.
    return text.length <= FRAME_LIMIT_BYTES ? text : null;
  } catch {
    return null;
  }
}

/** Encoding and payload as JSON text. */
type WritePayload = (payload: Payload) => string;

function asSent({ encoding, data }: Payload): string {
  if (encoding === PAYLOAD_CODECS.none) return '"none",null';
  const text = encoding === PAYLOAD_CODECS.json ? jsonText(data) : null;
  return text === null ? `"${nameOf(encoding)}","${toBase64(data)}"` : `"json",${text}`;
}

function readable(inflate: JsonCodecOptions['inflate']): WritePayload {
  const plain = ({ encoding, data }: Payload): Payload | null => {
    if ((encoding & DEFLATED) === 0) return { encoding, data };
    try {
      const inflated = inflate?.(data, encoding >> DICTIONARY_SHIFT, FRAME_LIMIT_BYTES);
      return inflated === undefined ? null : { encoding: encoding & 0x0f, data: inflated };
    } catch {
      return null;
    }
  };
  return (payload) => {
    const codec = payload.encoding & 0x0f;
    if (codec !== PAYLOAD_CODECS.msgpack && codec !== PAYLOAD_CODECS.json) return asSent(payload);
    const inflated = plain(payload);
    if (inflated === null) return asSent(payload);
    const text = codec === PAYLOAD_CODECS.json ? jsonText(inflated.data) : transcode(inflated.data);
    return text === null ? asSent(payload) : `"json",${text}`;
  };
}

function encode({ fields, payload }: Outline, writePayload: WritePayload): string {
  const text = JSON.stringify(fields);
  return payload === null ? text : `${text.slice(0, -1)},${writePayload(payload)}]`;
}

/** The SDK's half: it writes MessagePack payloads as JSON wherever JSON can carry them, for people who look at the frames. */
export const jsonClientCodec: ClientSideCodec = {
  subprotocol: JSON_SUBPROTOCOL,
  binary: false,
  encodeClient: (frame) => encode(formatClientFrame(frame), 'offset' in frame ? asSent : readable(undefined)),
  decodeGateway: (bytes) => decode(bytes, parseGatewayFrame),
};

/** What a client writes keeps its payload's encoding; what a gateway writes is JSON wherever JSON can carry it. */
export function createJsonCodec(options: JsonCodecOptions = {}): FrameCodec {
  const forReading = readable(options.inflate);
  return {
    subprotocol: JSON_SUBPROTOCOL,
    binary: false,
    encodeClient: (frame) => encode(formatClientFrame(frame), asSent),
    // Both ends of a stream count the bytes of its chunks: they stay as they are.
    encodeGateway: (frame) => encode(formatGatewayFrame(frame), 'offset' in frame ? asSent : forReading),
    decodeClient: (bytes) => decode(bytes, parseClientFrame),
    decodeGateway: (bytes) => decode(bytes, parseGatewayFrame),
  };
}
