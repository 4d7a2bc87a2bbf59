// What an application writes, cut into chunks of a stream.
import { ProtocolError } from '../../protocol/errors.js';
import type { Payload } from '../../protocol/frame.js';
import { STREAM_CHUNK_LIMIT_BYTES } from '../../protocol/limits.js';
import { encodePayload } from '../../protocol/payload.js';

/** A chunk of the application as chunks of the stream: bytes in pieces, which are copied, all else whole. */
export function* payloadsOf(chunk: unknown): Generator<Payload> {
  const payload = encodePayload(chunk);
  const { encoding, data } = payload;
  if (!(chunk instanceof Uint8Array || chunk instanceof ArrayBuffer)) {
    if (data.length > STREAM_CHUNK_LIMIT_BYTES)
      throw new ProtocolError(
        'bad_payload',
        `Chunks that are not bytes may have ${STREAM_CHUNK_LIMIT_BYTES} bytes.`,
      );
    yield payload;
    return;
  }
  for (let at = 0; at < data.length; at += STREAM_CHUNK_LIMIT_BYTES)
    yield { encoding, data: data.slice(at, at + STREAM_CHUNK_LIMIT_BYTES) };
}
