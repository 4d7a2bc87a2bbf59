// Masks of WebSocket frames (RFC 6455 §5.3), put on and taken off four bytes at a time.

/** What `ws` takes from `node:http` where a version of Node has it; otherwise it goes byte by byte, which takes five times as long. */
export interface Masking {
  websocketMask?: (
    source: Uint8Array,
    mask: Uint8Array,
    output: Uint8Array,
    offset: number,
    length: number,
  ) => void;
  websocketUnmask?: (bytes: Uint8Array, mask: Uint8Array) => void;
}

/**
 * Has to be done before `ws` is loaded: it looks once. What Node has of its own stays.
 * @returns takes it back: in a program of somebody else's, `node:http` is to be as it was once `ws` has looked
 */
export function provideMasking(http: object): () => void {
  const masking: Masking = http;
  if (masking.websocketMask !== undefined || !Object.isExtensible(http)) return () => undefined;
  masking.websocketMask = (source, mask, output, offset, length) => {
    output.set(source.length === length ? source : source.subarray(0, length), offset);
    applyMask(output, mask, offset, length);
  };
  masking.websocketUnmask = (bytes, mask) => {
    applyMask(bytes, mask, 0, bytes.length);
  };
  return () => {
    delete masking.websocketMask;
    delete masking.websocketUnmask;
  };
}

const WORD_BYTES = 4;
/** Below, a view for the words costs more than it saves, bytes. */
const WORDS_FROM_BYTES = 256;

/** In place: a mask is taken off as it was put on. */
export function applyMask(bytes: Uint8Array, mask: Uint8Array, from: number, length: number): void {
  const end = from + length;
  let at = from;
  if (length >= WORDS_FROM_BYTES) {
    // Words begin at every fourth place of the memory, wherever the bytes do.
    while ((bytes.byteOffset + at) % WORD_BYTES !== 0) at = applyByte(bytes, mask, at, at - from);
    const words = Math.floor((end - at) / WORD_BYTES);
    applyWord(new Int32Array(bytes.buffer, bytes.byteOffset + at, words), wordOf(mask, at - from));
    at += words * WORD_BYTES;
  }
  while (at < end) at = applyByte(bytes, mask, at, at - from);
}

function applyByte(bytes: Uint8Array, mask: Uint8Array, at: number, turn: number): number {
  bytes[at] = (bytes[at] ?? 0) ^ (mask[turn & 3] ?? 0);
  return at + 1;
}

function applyWord(words: Int32Array, word: number): void {
  for (let i = 0; i < words.length; i++) words[i] = (words[i] ?? 0) ^ word;
}

/** The mask from that byte of it on, as this machine reads four bytes. */
function wordOf(mask: Uint8Array, turn: number): number {
  const turned = new Uint8Array(WORD_BYTES);
  for (let i = 0; i < WORD_BYTES; i++) turned[i] = mask[(turn + i) % WORD_BYTES] ?? 0;
  return new Int32Array(turned.buffer)[0] ?? 0;
}
