// The compressor of Node: zlib, bounded.
import { deflateSync, inflateSync } from 'node:zlib';
import { inflateWith, type Compressor } from '../protocol/compression.js';
import { ProtocolError } from '../protocol/errors.js';
import type { Inflate } from '../protocol/payload.js';

export const zlibCompressor: Compressor = {
  deflate(data, dictionary) {
    return plain(deflateSync(data, dictionary === undefined ? {} : { dictionary }));
  },

  inflate(data, dictionary, limitBytes) {
    if (data.length === 0) throw new ProtocolError('bad_payload', 'no bytes to inflate');
    let result: unknown;
    try {
      result = inflateSync(data, {
        info: true,
        // Zero means no limit to zlib, one byte is the least.
        maxOutputLength: Math.max(limitBytes, 1),
        ...(dictionary === undefined ? {} : { dictionary }),
      });
    } catch (cause) {
      throw new ProtocolError(isTooLarge(cause) ? 'too_big' : 'bad_payload', undefined, { cause });
    }
    const output = wholeOutput(result, data.length);
    if (output.length > limitBytes) throw new ProtocolError('too_big');
    return output;
  },
};

function isTooLarge(error: unknown): boolean {
  return (
    typeof error === 'object' && error !== null && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
  );
}

/** zlib stops at the end of a stream and ignores what follows; `info` tells how much it has read. */
function wholeOutput(result: unknown, inputBytes: number): Uint8Array {
  const isInfo = typeof result === 'object' && result !== null && 'buffer' in result && 'engine' in result;
  if (!isInfo || !(result.buffer instanceof Uint8Array)) throw new TypeError('zlib gave no info');
  const { engine } = result;
  const read =
    typeof engine === 'object' && engine !== null && 'bytesWritten' in engine && engine.bytesWritten;
  if (read !== inputBytes) throw new ProtocolError('bad_payload', 'bytes after the zlib stream');
  return plain(result.buffer);
}

function plain(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

/** For the JSON codec, which shows deflated payloads to clients that cannot inflate. */
export const inflatePayload: Inflate = inflateWith(zlibCompressor);
