// What an application writes, cut into chunks of a stream.
import { PAYLOAD_CODECS } from '../../protocol/encoding.js';
import { ProtocolError } from '../../protocol/errors.js';
import type { Payload } from '../../protocol/frame.js';
import { STREAM_CHUNK_LIMIT_BYTES } from '../../protocol/limits.js';
import { type ChunkMemory, RoomyPayload } from './roomy-payload.js';
import type { StreamCodec } from './stream-codec.js';

/** A chunk of the application as chunks of the stream, all of them copies: bytes in pieces, all else whole. */
export function* payloadsOf(chunk: unknown, codec: StreamCodec, memory: ChunkMemory): Generator<Payload> {
  const { encoding, data } = codec.encode(chunk);
  if (encoding !== PAYLOAD_CODECS.bytes) {
    if (data.length > STREAM_CHUNK_LIMIT_BYTES)
      throw new ProtocolError(
        'bad_payload',
        `Chunks that are not bytes may have ${STREAM_CHUNK_LIMIT_BYTES} bytes.`,
      );
    yield new RoomyPayload(encoding, data);
    return;
  }
  for (let at = 0; at < data.length; at += STREAM_CHUNK_LIMIT_BYTES)
    yield memory.payloadOf(encoding, data.subarray(at, at + STREAM_CHUNK_LIMIT_BYTES));
}
