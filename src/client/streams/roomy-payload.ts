// A chunk's payload with room before it: the beginning of its frame is put there, and its bytes are not copied once more.
import type { ChunkFrame, ClientSideCodec, Payload } from '../../protocol/frame.js';
import { NO_PAYLOAD } from '../../protocol/payload.js';
import { headOf } from '../../protocol/split-frame.js';

/** Of a chunk's frame, what stands before its payload: four short fields, and the id of the stream. */
const ROOM_BYTES = 64;

/** Holds a copy: what an application has written it may use again. */
export class RoomyPayload implements Payload {
  readonly encoding: number;
  readonly data: Uint8Array<ArrayBuffer>;

  constructor(encoding: number, bytes: Uint8Array) {
    const memory = new Uint8Array(ROOM_BYTES + bytes.length);
    memory.set(bytes, ROOM_BYTES);
    this.encoding = encoding;
    this.data = memory.subarray(ROOM_BYTES);
  }
}

/** The frame, in the memory of its payload where that has room. Sent again it is the same bytes. */
export function encodeChunk(codec: ClientSideCodec, chunk: ChunkFrame): Uint8Array | string {
  const { payload } = chunk;
  if (!codec.binary || !(payload instanceof RoomyPayload)) return codec.encodeClient(chunk);
  const { encoding, data } = payload;
  const empty = codec.encodeClient({ ...chunk, payload: { ...NO_PAYLOAD, encoding } });
  if (typeof empty === 'string' || empty.length + 4 > ROOM_BYTES) return codec.encodeClient(chunk);
  const head = headOf(empty, data.length);
  const frame = new Uint8Array(data.buffer, data.byteOffset - head.length, head.length + data.length);
  frame.set(head);
  return frame;
}
