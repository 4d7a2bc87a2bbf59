// What the two ends of a stream say to each other over a data channel of its own: chunks and credit, without the gateway.
import { isEncoding } from './encoding.js';
import { type Ask, ASKS, type Part, PARTS, type Payload } from './frame.js';
import { STREAM_CHUNK_LIMIT_BYTES } from './limits.js';

export type PathFrame =
  | { type: 'chunk'; offset: number; part: Part; payload: Payload }
  | { type: 'credit'; upTo: number; limit: number; ask: Ask };

/** First byte: a part of a chunk, or behind these what a credit asks. */
const CREDIT = 3;
/** Kind, encoding, and an offset of 48 bits. A credit has its limit behind it. */
const HEADER_BYTES = 8;
const CREDIT_BYTES = 16;
/** What every implementation of data channels takes as one message (RFC 8841 §6.1: 64 KiB where nothing is said). */
export const PATH_FRAME_LIMIT_BYTES = HEADER_BYTES + STREAM_CHUNK_LIMIT_BYTES;

export function writePathFrame(frame: PathFrame): Uint8Array<ArrayBuffer> {
  const isChunk = frame.type === 'chunk';
  const bytes = new Uint8Array(isChunk ? HEADER_BYTES + frame.payload.data.length : CREDIT_BYTES);
  const view = new DataView(bytes.buffer);
  if (isChunk) {
    bytes[0] = frame.part;
    bytes[1] = frame.payload.encoding;
    writeUint48(view, 2, frame.offset);
    bytes.set(frame.payload.data, HEADER_BYTES);
  } else {
    bytes[0] = CREDIT + frame.ask;
    writeUint48(view, 2, frame.upTo);
    writeUint48(view, 10, frame.limit);
  }
  return bytes;
}

/** Null for what is none: another client said it, and no gateway has looked at it. The payload is a view of `bytes`. */
export function readPathFrame(bytes: Uint8Array): PathFrame | null {
  const [kind = 0, encoding = 0] = bytes;
  if (bytes.length < HEADER_BYTES || bytes.length > PATH_FRAME_LIMIT_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const at = readUint48(view, 2);
  const part = Object.values(PARTS).find((one) => one === kind);
  if (part !== undefined && isEncoding(encoding))
    return { type: 'chunk', offset: at, part, payload: { encoding, data: bytes.subarray(HEADER_BYTES) } };
  const ask = Object.values(ASKS).find((one) => CREDIT + one === kind);
  if (ask === undefined || bytes.length !== CREDIT_BYTES) return null;
  return { type: 'credit', upTo: at, limit: readUint48(view, 10), ask };
}

function writeUint48(view: DataView, at: number, value: number): void {
  view.setUint16(at, Math.floor(value / 2 ** 32));
  view.setUint32(at + 2, value >>> 0);
}

function readUint48(view: DataView, at: number): number {
  return view.getUint16(at) * 2 ** 32 + view.getUint32(at + 2);
}
