// Chunks framed in their own memory: the same bytes as any codec's, as often as they are sent.
import { describe, expect, test } from '@jest/globals';
import { ChunkMemory, encodeChunk, RoomyPayload } from '../../../src/client/streams/roomy-payload.js';
import { type ChunkFrame, PARTS, type Payload } from '../../../src/protocol/frame.js';
import type { StreamId } from '../../../src/protocol/ids.js';
import { jsonClientCodec } from '../../../src/protocol/json-codec.js';
import { msgpackClientCodec } from '../../../src/protocol/msgpack-codec.js';

const written = Uint8Array.from({ length: 32_768 }, (_, i) => i & 0xff);

function chunkOf(payload: Payload, offset = 0, stream = 'A'.repeat(22)): ChunkFrame {
  return { type: 'chunk', stream: stream as StreamId, offset, part: PARTS.data, payload };
}

test.each([0, 1, 255, 256, 32_768])('a chunk of %i bytes is the frame that the codec writes', (length) => {
  const payload = new RoomyPayload(3, written.subarray(0, length));
  for (const offset of [0, 2 ** 40]) {
    const chunk = chunkOf(payload, offset);
    const frame = encodeChunk(msgpackClientCodec, chunk);
    expect(Buffer.from(frame)).toEqual(Buffer.from(msgpackClientCodec.encodeClient(chunk)));
    if (length > 0) expect((frame as Uint8Array).buffer).toBe(payload.data.buffer);
    expect(encodeChunk(msgpackClientCodec, chunk)).toEqual(frame);
  }
});

test('what an application has written it may use again', () => {
  const own = written.slice(0, 100);
  const payload = new RoomyPayload(3, own);
  own.fill(0);
  expect(payload.data).toEqual(written.subarray(0, 100));
});

test('text, an id that leaves no room, and memory of others are written as ever', () => {
  const roomy = new RoomyPayload(3, written.subarray(0, 100));
  expect(encodeChunk(jsonClientCodec, chunkOf(roomy))).toBe(jsonClientCodec.encodeClient(chunkOf(roomy)));
  const long = chunkOf(roomy, 2 ** 40, 'B'.repeat(60));
  expect(Buffer.from(encodeChunk(msgpackClientCodec, long))).toEqual(
    Buffer.from(msgpackClientCodec.encodeClient(long)),
  );
  const memory = written.slice(0, 200);
  const chunk = chunkOf({ encoding: 3, data: memory.subarray(100) });
  expect(Buffer.from(encodeChunk(msgpackClientCodec, chunk))).toEqual(
    Buffer.from(msgpackClientCodec.encodeClient(chunk)),
  );
  expect(memory).toEqual(written.slice(0, 200));
});

describe('the memory of chunks', () => {
  test('is used again once it is free, for whatever is written next', () => {
    const memory = new ChunkMemory();
    const first = memory.payloadOf(3, written);
    const second = memory.payloadOf(3, written);
    expect(second.data.buffer).not.toBe(first.data.buffer);
    memory.free(first);
    const third = memory.payloadOf(
      4,
      written.subarray(0, 20_000).map((byte) => byte ^ 1),
    );
    expect(third.data.buffer).toBe(first.data.buffer);
    expect(third.data).toEqual(written.subarray(0, 20_000).map((byte) => byte ^ 1));
    expect(third.encoding).toBe(4);
    const chunk = chunkOf(third);
    expect(Buffer.from(encodeChunk(msgpackClientCodec, chunk))).toEqual(
      Buffer.from(msgpackClientCodec.encodeClient(chunk)),
    );
  });

  test('is as large as a small chunk, and that is not kept', () => {
    const memory = new ChunkMemory();
    const small = memory.payloadOf(3, written.subarray(0, 100));
    expect(small.data.buffer.byteLength).toBeLessThan(1000);
    memory.free(small);
    expect(memory.payloadOf(3, written).data.buffer).not.toBe(small.data.buffer);
  });

  test('is not kept beyond its limit, nor where nothing is on its way', () => {
    const memory = new ChunkMemory();
    const payloads = Array.from({ length: 40 }, () => memory.payloadOf(3, written));
    for (const payload of payloads) memory.free(payload);
    const again = payloads.map(() => memory.payloadOf(3, written).data.buffer);
    const used = again.filter((buffer) => payloads.some(({ data }) => data.buffer === buffer));
    expect(used).toHaveLength(16);
    const [one] = payloads;
    if (one !== undefined) memory.free(one);
    memory.clear();
    expect(memory.payloadOf(3, written).data.buffer).not.toBe(one?.data.buffer);
  });
});
