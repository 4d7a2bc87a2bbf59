// One body of tests for every codec: frames go round, and bytes that are no frame end in an error of the table.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ProtocolError } from '../../src/protocol/errors.js';
import { TYPES, type FrameCodec } from '../../src/protocol/frame.js';
import { createJsonCodec } from '../../src/protocol/json-codec.js';
import {
  encodeMessageBody,
  encodeRoomMessageBody,
  encodeSender,
  frameFromBody,
  msgpackClientCodec,
  msgpackCodec,
} from '../../src/protocol/msgpack-codec.js';
import { encodeMsgpack } from '../../src/protocol/msgpack-values.js';
import { clientFrame, gatewayFrame, gatewayFrameWith, unreadablePayload } from './frame-arbitraries.js';

const jsonCodec = createJsonCodec();
const plain = (bytes: Uint8Array | string) => (typeof bytes === 'string' ? bytes : Uint8Array.from(bytes));

/** The error of a decoder, which is a ProtocolError or a failed test. */
function errorOf(run: () => unknown): ProtocolError | null {
  try {
    run();
    return null;
  } catch (error) {
    if (error instanceof ProtocolError) return error;
    throw error;
  }
}

const codecs: [string, FrameCodec][] = [
  ['msgpack', msgpackCodec],
  ['json', jsonCodec],
];

describe.each(codecs)('the %s codec', (_, codec) => {
  test('reads every client frame that it writes as the same frame', () => {
    fc.assert(
      fc.property(clientFrame, (frame) => {
        expect(codec.decodeClient(plain(codec.encodeClient(frame)))).toEqual(frame);
      }),
      { numRuns: 500 },
    );
  });

  test('reads every gateway frame that it writes as the same frame', () => {
    // The JSON codec makes MessagePack payloads readable: another encoding of the same data.
    const frames = codec.binary ? gatewayFrame : gatewayFrameWith(unreadablePayload);
    fc.assert(
      fc.property(frames, (frame) => {
        expect(codec.decodeGateway(plain(codec.encodeGateway(frame)))).toEqual(frame);
      }),
      { numRuns: 500 },
    );
  });

  test('writes the same frame as the same bytes again', () => {
    fc.assert(
      fc.property(clientFrame, (frame) => {
        const once = plain(codec.encodeClient(frame));
        expect(plain(codec.encodeClient(codec.decodeClient(once)))).toEqual(once);
      }),
    );
  });

  test("refuses every gateway's frame from a client, and the reverse, as of unknown type", () => {
    fc.assert(
      fc.property(clientFrame, gatewayFrame, (ours, theirs) => {
        expect(errorOf(() => codec.decodeClient(plain(codec.encodeGateway(theirs))))?.code).toBe(
          'unknown_type',
        );
        expect(errorOf(() => codec.decodeGateway(plain(codec.encodeClient(ours))))?.code).toBe(
          'unknown_type',
        );
      }),
    );
  });

  test('refuses every frame that is cut at any place', () => {
    fc.assert(
      fc.property(clientFrame, (frame) => {
        const whole = plain(codec.encodeClient(frame));
        for (let at = 0; at < whole.length; at++) {
          expect(errorOf(() => codec.decodeClient(whole.slice(0, at)))?.code).toBe('bad_frame');
        }
      }),
      { numRuns: 60 },
    );
  });

  test('refuses every frame that something follows', () => {
    fc.assert(
      fc.property(clientFrame, (frame) => {
        const whole = plain(codec.encodeClient(frame));
        const longer = typeof whole === 'string' ? `${whole},` : Uint8Array.from([...whole, 0xc0]);
        expect(errorOf(() => codec.decodeClient(longer))?.code).toBe('bad_frame');
      }),
    );
  });

  const edits = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 4,
  });

  test('answers changed bytes of a client with a frame or an error of the table', () => {
    fc.assert(
      fc.property(clientFrame, edits, (frame, changes) => {
        const error = errorOf(() => codec.decodeClient(changed(codec.encodeClient(frame), changes)));
        if (error !== null) expect(['bad_frame', 'unknown_type', 'bad_parameter']).toContain(error.code);
      }),
      { numRuns: 2000 },
    );
  });

  test('answers changed bytes of a gateway with a frame or an error of the table', () => {
    fc.assert(
      fc.property(gatewayFrame, edits, (frame, changes) => {
        const error = errorOf(() => codec.decodeGateway(changed(codec.encodeGateway(frame), changes)));
        if (error !== null) expect(['bad_frame', 'unknown_type', 'bad_parameter']).toContain(error.code);
      }),
      { numRuns: 2000 },
    );
  });

  test('answers any bytes at all with a frame or an error of the table', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        for (const decode of [codec.decodeClient, codec.decodeGateway]) {
          const error = errorOf(() => decode(plain(bytes)));
          if (error !== null) expect(['bad_frame', 'unknown_type', 'bad_parameter']).toContain(error.code);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

/** Bytes of a frame after some of them changed. */
function changed(frame: Uint8Array | string, changes: [at: number, value: number][]): Uint8Array {
  const bytes = Uint8Array.from(Buffer.from(frame));
  for (const [at, value] of changes) bytes[at % bytes.length] = value;
  return bytes;
}

const ping = msgpackCodec.decodeClient(new Uint8Array([0x91, TYPES.pong]));
const f = (...elements: unknown[]) => encodeMsgpack(elements);

describe('the msgpack codec', () => {
  test('gives a payload that is a view of the frame', () => {
    const bytes = f(18, 4, {}, 'news', 3, new Uint8Array([7, 8]));
    const frame = msgpackCodec.decodeClient(bytes);
    bytes[bytes.length - 1] = 9;
    expect(frame).toMatchObject({ payload: { encoding: 3, data: new Uint8Array([7, 9]) } });
  });

  test('refuses text', () => {
    expect(errorOf(() => msgpackCodec.decodeClient('[3]'))?.code).toBe('bad_frame');
  });

  test('reads a frame in the middle of a larger buffer, and Buffers', () => {
    const larger = Buffer.from([0xff, 0x91, TYPES.pong, 0xff]);
    expect(msgpackCodec.decodeClient(larger.subarray(1, 3))).toEqual(ping);
  });

  test('passes over elements of a later version, but not over broken ones', () => {
    expect(msgpackCodec.decodeClient(f(TYPES.pong, { later: [1.5] }))).toEqual(ping);
    expect(errorOf(() => msgpackCodec.decodeClient(new Uint8Array([0x92, TYPES.pong, 0xc1])))?.code).toBe(
      'bad_frame',
    );
  });

  test('calls a frame bad that has a wrong field and is broken behind it', () => {
    const wrong = f(TYPES.join, 8, 'a b');
    expect(errorOf(() => msgpackCodec.decodeClient(wrong))?.code).toBe('bad_parameter');
    expect(errorOf(() => msgpackCodec.decodeClient(Uint8Array.from([...wrong, 0])))?.code).toBe('bad_frame');
    const unknown = new Uint8Array([0x93, 0x7f, 0x07, 0xa5, 0x61]);
    expect(errorOf(() => msgpackCodec.decodeClient(unknown))?.code).toBe('bad_frame');
  });

  test('refuses 60,000 empty maps without making them', () => {
    const bombs = [
      f(
        TYPES.send,
        1,
        null,
        Array.from({ length: 60_000 }, () => ({})),
        'bob',
        'e',
        0,
        new Uint8Array(),
      ),
    ];
    bombs.push(
      f(
        TYPES.pong,
        Array.from({ length: 60_000 }, () => ({})),
      ),
    );
    for (const bomb of bombs) {
      const error = errorOf(() => msgpackCodec.decodeClient(bomb));
      expect(error?.message).toBe('MessagePack: too many values');
      expect(error?.code).toBe('bad_frame');
    }
  });

  test('takes two full lists of targets, and a full page of members', () => {
    const all = Array.from({ length: 256 }, (_, at) => `c${at}`);
    const frame = msgpackCodec.decodeClient(f(16, 1, null, { except: all }, all, 'e', 0, new Uint8Array()));
    expect(frame).toMatchObject({ to: all, options: { except: all } });
    const members = Array.from({ length: 1000 }, (_, at) => ({ client: `c${at}`, sessions: 1 }));
    const result = { members, cursor: null, count: 5000 };
    expect(msgpackCodec.decodeGateway(f(5, 1, result))).toEqual({ type: 'ok', ref: 1, result });
  });

  test('has a client half that is the same', () => {
    expect(msgpackClientCodec.encodeClient).toBe(msgpackCodec.encodeClient);
    expect(msgpackClientCodec.decodeGateway).toBe(msgpackCodec.decodeGateway);
  });
});

describe('frameFromBody', () => {
  test('makes the bytes that encodeGateway makes of the same frame', () => {
    fc.assert(
      fc.property(gatewayFrame, (frame) => {
        const whole = plain(msgpackCodec.encodeGateway(frame));
        if (frame.type !== 'roomMessage' && frame.type !== 'message' && frame.type !== 'requested') return;
        const message = { ...frame, sender: encodeSender(frame.from, frame.session) };
        const made =
          frame.type === 'roomMessage'
            ? frameFromBody('roomMessage', frame.id, encodeRoomMessageBody(frame.room, message))
            : frame.type === 'message'
              ? frameFromBody('message', frame.id, encodeMessageBody(message))
              : frameFromBody('requested', frame.handle, encodeMessageBody(message));
        expect(plain(made)).toEqual(whole);
      }),
      { numRuns: 600 },
    );
  });
});
