// WebSocket frames as a server writes them: whole messages, unmasked, several of them in one piece of memory.
import type { WireFrame as Message } from '../session/connection.js';

const FINAL_TEXT = 0x81;
const FINAL_BINARY = 0x82;
/** Messages up to this size are put together; larger ones are not worth the copy, bytes. */
const COPY_LIMIT_BYTES = 16 * 1024;

/** The bytes of one message with its header. */
export function frameBytes(message: Message): number {
  const length = lengthOf(message);
  return headerBytes(length) + length;
}

/**
 * Puts the messages of a tick together for one connection after another. The members of a room mostly get the very same
 * messages in a tick: they share what was put together for the first of them.
 */
export class Framer {
  private messages: readonly Message[] = [];
  private made: readonly Uint8Array[] = [];
  /** The same where it was a single one, as in a room it mostly is. */
  private message: Message | null = null;
  private ones: readonly Uint8Array[] = [];

  /** Messages as chunks to be written one after the other, and never changed. */
  chunks(messages: readonly Message[]): readonly Uint8Array[] {
    if (!areSame(messages, this.messages)) {
      this.messages = messages;
      this.made = frameChunks(messages);
    }
    return this.made;
  }

  /** The same of one message. */
  chunksOfOne(message: Message): readonly Uint8Array[] {
    // A frame in two pieces is for one session: nobody shares it, and its bytes are not to be kept.
    if (typeof message !== 'string' && 'head' in message) return frameChunks([message]);
    if (message !== this.message) {
      this.message = message;
      this.ones = frameChunks([message]);
    }
    return this.ones;
  }
}

function areSame(some: readonly Message[], others: readonly Message[]): boolean {
  if (some.length !== others.length) return false;
  for (let at = 0; at < some.length; at++) if (some[at] !== others[at]) return false;
  return true;
}

function frameChunks(messages: readonly Message[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let from = 0;
  let bytes = 0;
  for (const [at, message] of messages.entries()) {
    const length = lengthOf(message);
    if (length <= COPY_LIMIT_BYTES) {
      bytes += headerBytes(length) + length;
      continue;
    }
    if (bytes > 0) chunks.push(join(messages.slice(from, at), bytes));
    chunks.push(...wholeChunks(message, length));
    from = at + 1;
    bytes = 0;
  }
  if (bytes > 0) chunks.push(join(from === 0 ? messages : messages.slice(from), bytes));
  return chunks;
}

/** A large message with its header: its bytes as they are. */
function wholeChunks(message: Message, length: number): Uint8Array[] {
  const header = Buffer.allocUnsafe(headerBytes(length));
  writeHeader(header, 0, message, length);
  if (typeof message === 'string') return [header, Buffer.from(message)];
  if (message instanceof Uint8Array) return [header, message];
  return [Buffer.concat([header, message.head]), message.body];
}

function join(messages: readonly Message[], bytes: number): Buffer {
  const joined = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const message of messages) {
    const length = lengthOf(message);
    at = writeHeader(joined, at, message, length);
    if (typeof message === 'string') joined.write(message, at, 'utf8');
    else if (message instanceof Uint8Array) joined.set(message, at);
    else {
      joined.set(message.head, at);
      joined.set(message.body, at + message.head.length);
    }
    at += length;
  }
  return joined;
}

function lengthOf(message: Message): number {
  if (typeof message === 'string') return Buffer.byteLength(message);
  return message instanceof Uint8Array ? message.length : message.head.length + message.body.length;
}

/** RFC 6455 §5.2: 7 bits of length, or 126 and 16, or 127 and 64. */
function headerBytes(length: number): number {
  return length < 126 ? 2 : length < 65_536 ? 4 : 10;
}

function writeHeader(into: Buffer, at: number, message: Message, length: number): number {
  into[at] = typeof message === 'string' ? FINAL_TEXT : FINAL_BINARY;
  if (length < 126) {
    into[at + 1] = length;
    return at + 2;
  }
  if (length < 65_536) {
    into[at + 1] = 126;
    return into.writeUInt16BE(length, at + 2);
  }
  into[at + 1] = 127;
  into.writeUInt32BE(0, at + 2);
  return into.writeUInt32BE(length, at + 6);
}
