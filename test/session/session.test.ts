// A session's answers to appends: they go together where more are to come, and the last one waits for nobody.
import { beforeEach, describe, expect, jest, test } from '@jest/globals';
import { pino } from 'pino';
import { type GatewayFrame, PARTS } from '../../src/protocol/frame.js';
import type { StreamId } from '../../src/protocol/ids.js';
import { msgpackCodec } from '../../src/protocol/msgpack-codec.js';
import type { Identity } from '../../src/session/authenticator.js';
import type { Connection, WireFrame } from '../../src/session/connection.js';
import { Session } from '../../src/session/session.js';
import type { SessionRef } from '../../src/session/store/store.js';

describe('a session', () => {
  let sent: [frame: GatewayFrame, canWait: boolean | undefined][];
  let pause: jest.Mock<(ms: number) => void>;
  let session: Session;
  beforeEach(() => {
    sent = [];
    pause = jest.fn();
    const connection = {
      codec: msgpackCodec,
      queuedBytes: 0,
      send: (bytes: Uint8Array, canWait?: boolean) =>
        sent.push([msgpackCodec.decodeGateway(bytes), canWait]) > 0,
      pause,
    } as unknown as Connection;
    const ref = { client: 'alice', session: 's1', generation: 1 } as SessionRef;
    session = new Session(ref, {} as Identity, connection, 1000, pino({ level: 'silent' }));
  });

  test('lets the answer to an append wait while another is under way, and sends the last one at once', () => {
    session.appending(true);
    session.appending(true);
    session.appended(true);
    session.accept(7, 'epoch:1-2');
    session.appended(true);
    session.accept(8, 'epoch:2-3');
    expect(sent).toEqual([
      [{ type: 'ok', ref: 7, result: { id: 'epoch:1-2' } }, true],
      [{ type: 'ok', ref: 8, result: { id: 'epoch:2-3' } }, false],
    ]);
  });

  test('lets no answer wait for an append that has none', () => {
    session.appending(true);
    session.appending(false);
    session.appended(true);
    session.accept(7, 'epoch:1-2');
    session.appended(false);
    expect(sent).toEqual([[{ type: 'ok', ref: 7, result: { id: 'epoch:1-2' } }, false]]);
  });

  test.each([
    ['that came in memory of its own goes on as it came', 32_768, true],
    ['that came in a large batch does not hold all of that for a slow reader', 1_048_576, false],
  ])('a chunk %s', (_what, memory, isSplit) => {
    const wires: WireFrame[] = [];
    const connection = {
      codec: msgpackCodec,
      queuedBytes: 0,
      send: (wire: WireFrame) => wires.push(wire) > 0,
    } as unknown as Connection;
    const ref = { client: 'bob', session: 's2', generation: 1 } as SessionRef;
    const reader = new Session(ref, {} as Identity, connection, 1000, pino({ level: 'silent' }));
    const data = new Uint8Array(memory).subarray(0, 32_768);
    const stream = 'A'.repeat(22) as StreamId;
    reader.sendPiece({ type: 'piece', stream, offset: 0, part: PARTS.data, payload: { encoding: 1, data } });
    expect(wires.map((wire) => !(wire instanceof Uint8Array))).toEqual([isSplit]);
  });

  test('answers no append that nobody asked an answer for', () => {
    session.accept(0, 'epoch:1-2');
    expect(sent).toEqual([]);
  });

  test('is read more slowly when more than 256 appends are under way', () => {
    for (let i = 0; i < 256; i++) session.appending(i % 2 === 0);
    expect(pause).not.toHaveBeenCalled();
    session.appended(false);
    session.appending(false);
    expect(pause).not.toHaveBeenCalled();
    session.appending(true);
    expect(pause).toHaveBeenCalledTimes(1);
  });
});
