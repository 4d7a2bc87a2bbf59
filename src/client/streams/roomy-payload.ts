// A chunk's payload with room before it: the beginning of its frame is put there, and its bytes are not copied once more.
import type { ChunkFrame, ClientSideCodec, Payload } from '../../protocol/frame.js';
import { STREAM_CHUNK_LIMIT_BYTES } from '../../protocol/limits.js';
import { NO_PAYLOAD } from '../../protocol/payload.js';
import { headOf } from '../../protocol/split-frame.js';

/** Of a chunk's frame, what stands before its payload: four short fields, and the id of the stream. */
const ROOM_BYTES = 64;
const WHOLE_BYTES = ROOM_BYTES + STREAM_CHUNK_LIMIT_BYTES;
/** Chunks that wait to be used again: the other side tells of 8 at once. */
const FREE_LIMIT = 16;

/** Holds a copy: what an application has written it may use again. */
export class RoomyPayload implements Payload {
  readonly encoding: number;
  readonly data: Uint8Array<ArrayBuffer>;

  /** @param memory with room before the bytes, and for them */
  constructor(encoding: number, bytes: Uint8Array, memory = new Uint8Array(ROOM_BYTES + bytes.length)) {
    memory.set(bytes, ROOM_BYTES);
    this.encoding = encoding;
    this.data = memory.subarray(ROOM_BYTES, ROOM_BYTES + bytes.length);
  }
}

/** Memory of one stream's chunks. Never of several streams: a peer that says too early what it has would read what is for another one. */
export class ChunkMemory {
  readonly #free: Uint8Array<ArrayBuffer>[] = [];

  /** Of large chunks in memory that was used before, where there is some. */
  payloadOf(encoding: number, bytes: Uint8Array): RoomyPayload {
    if (bytes.length <= STREAM_CHUNK_LIMIT_BYTES / 2) return new RoomyPayload(encoding, bytes);
    return new RoomyPayload(encoding, bytes, this.#free.pop() ?? new Uint8Array(WHOLE_BYTES));
  }

  /** Nobody needs the payload any more. */
  free({ data: { buffer } }: Payload): void {
    if (buffer.byteLength === WHOLE_BYTES && buffer instanceof ArrayBuffer && this.#free.length < FREE_LIMIT)
      this.#free.push(new Uint8Array(buffer));
  }

  /** Nothing is on its way: what is idle holds no memory. */
  clear(): void {
    this.#free.length = 0;
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
