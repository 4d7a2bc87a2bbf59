// Frames in two pieces: together the bytes that a codec writes in one.
import { expect, test } from '@jest/globals';
import type { StreamId } from '../../src/protocol/ids.js';
import { PARTS, type PieceFrame } from '../../src/protocol/frame.js';
import { msgpackCodec } from '../../src/protocol/msgpack-codec.js';

test.each([0, 1, 255, 256, 65_535, 65_536, 200_000])(
  'a piece of %i bytes in two pieces is the frame, and its payload no copy',
  (length) => {
    const data = new Uint8Array(length).fill(7);
    const piece: PieceFrame = {
      type: 'piece',
      stream: 'A'.repeat(22) as StreamId,
      offset: 2 ** 40,
      part: PARTS.data,
      payload: { encoding: 3, data },
    };
    const { head, body } = msgpackCodec.splitPiece?.(piece) ?? { head: null, body: null };
    expect(body).toBe(data);
    expect(Buffer.concat([head ?? data, data])).toEqual(Buffer.from(msgpackCodec.encodeGateway(piece)));
  },
);
