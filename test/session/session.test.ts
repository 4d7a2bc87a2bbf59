// A session's answers to appends: they go together where more are to come, and the last one waits for nobody.
import { beforeEach, describe, expect, jest, test } from '@jest/globals';
import { pino } from 'pino';
import type { GatewayFrame } from '../../src/protocol/frame.js';
import { msgpackCodec } from '../../src/protocol/msgpack-codec.js';
import type { Identity } from '../../src/session/authenticator.js';
import type { Connection } from '../../src/session/connection.js';
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
    session.appending();
    session.appending();
    session.appended();
    session.accept(7, 'epoch:1-2');
    session.appended();
    session.accept(8, 'epoch:2-3');
    expect(sent).toEqual([
      [{ type: 'ok', ref: 7, result: { id: 'epoch:1-2' } }, true],
      [{ type: 'ok', ref: 8, result: { id: 'epoch:2-3' } }, false],
    ]);
  });

  test('answers no append that nobody asked an answer for', () => {
    session.accept(0, 'epoch:1-2');
    expect(sent).toEqual([]);
  });

  test('is read more slowly when more than 256 appends are under way', () => {
    for (let i = 0; i < 256; i++) session.appending();
    expect(pause).not.toHaveBeenCalled();
    session.appended();
    session.appending();
    expect(pause).not.toHaveBeenCalled();
    session.appending();
    expect(pause).toHaveBeenCalledTimes(1);
  });
});
