// The compressor of browsers: pako, streaming, with a hard stop at the limit.
import { Deflate, Inflate } from 'pako';
import type { Compressor } from '../protocol/compression.js';
import { ProtocolError } from '../protocol/errors.js';

/** Small, so that a bomb is found out after little work. */
const CHUNK_BYTES = 16 * 1024;
/** RFC 1950. Set, which makes pako take zlib streams only; left out, it would take gzip too. */
const WINDOW_BITS = 15;
const SMALLEST_WINDOW_BITS = 9;
/** What zlib wants of a window besides the bytes that are looked back at. */
const LOOK_AHEAD_BYTES = 262;
const LARGEST_CHUNK_BYTES = 64 * 1024;
/** zlib's default. */
const MOST_MEMORY_LEVEL = 8;

class BoundedInflate extends Inflate {
  readonly parts: Uint8Array[] = [];
  total = 0;

  constructor(
    private readonly limitBytes: number,
    dictionary: Uint8Array | undefined,
  ) {
    super({
      windowBits: WINDOW_BITS,
      chunkSize: Math.min(CHUNK_BYTES, limitBytes + 1),
      ...(dictionary === undefined ? {} : { dictionary }),
    });
  }

  override onData(chunk: unknown): void {
    if (!(chunk instanceof Uint8Array)) throw new TypeError('pako gave no bytes');
    this.total += chunk.length;
    if (this.total > this.limitBytes) throw new ProtocolError('too_big');
    this.parts.push(chunk);
  }

  /** Input that is left after the end of the stream; pako's own field, which its types do not show. */
  get left(): unknown {
    const stream: unknown = Reflect.get(this, 'strm');
    return typeof stream === 'object' && stream !== null && 'avail_in' in stream
      ? stream.avail_in
      : undefined;
  }

  joined(): Uint8Array {
    const [first] = this.parts;
    if (first !== undefined && this.parts.length === 1) return first;
    const whole = new Uint8Array(this.total);
    let at = 0;
    for (const part of this.parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
}

export const pakoCompressor: Compressor = {
  // Tables as large as these bytes need: for a description, a third of a megabyte less to clear.
  deflate(data, dictionary) {
    const bytes = data.length + (dictionary?.length ?? 0) + LOOK_AHEAD_BYTES;
    const windowBits = Math.min(Math.max(SMALLEST_WINDOW_BITS, Math.ceil(Math.log2(bytes))), WINDOW_BITS);
    const deflater = new Deflate({
      windowBits,
      memLevel: Math.min(windowBits - 6, MOST_MEMORY_LEVEL),
      chunkSize: Math.min(data.length + 1, LARGEST_CHUNK_BYTES),
      ...(dictionary === undefined ? {} : { dictionary }),
    });
    deflater.push(data, true);
    const { result, msg } = deflater;
    if (!(result instanceof Uint8Array)) throw new TypeError(`pako gave no bytes: ${msg}`);
    return result;
  },

  inflate(data, dictionary, limitBytes) {
    if (data.length === 0) throw new ProtocolError('bad_payload', 'no bytes to inflate');
    const inflater = new BoundedInflate(limitBytes, dictionary);
    if (!inflater.push(data, true) || inflater.left !== 0) {
      throw new ProtocolError('bad_payload', 'not one zlib stream');
    }
    return inflater.joined();
  },
};
