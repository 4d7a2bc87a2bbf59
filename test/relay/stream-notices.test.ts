// What a writer is told of its reader while its connection has no room: the newest of it, once, and what was asked with it.
import { expect, test } from '@jest/globals';
import { ASKS, type GatewayFrame } from '../../src/protocol/frame.js';
import type { StreamId } from '../../src/protocol/ids.js';
import { newEnd, StreamEnds } from '../../src/relay/stream-ends.js';
import { StreamNotices } from '../../src/relay/stream-notices.js';
import type { Refusals } from '../../src/session/refusals.js';
import type { Session } from '../../src/session/session.js';
import { TimerWheel } from '../../src/session/wheel.js';

/** An end whose session has room when the test says so, and a clock to turn by hand. */
function end() {
  let ms = 0;
  const wheel = new TimerWheel(() => ms);
  const ends = new StreamEnds();
  const sent: GatewayFrame[] = [];
  const room = { hasRoomForWords: true, send: (frame: GatewayFrame) => sent.push(frame) };
  const session = room as unknown as Session;
  const made = newEnd({
    session,
    stream: 's' as StreamId,
    opened: true,
    room: null,
    peer: null,
    group: null,
  });
  ends.add(made);
  const notices = new StreamNotices({
    ends,
    wheel,
    refusals: {} as unknown as Refusals,
    countCut: () => undefined,
    countDropped: () => undefined,
  });
  return {
    room,
    ends,
    made,
    heard: () =>
      sent.splice(0).map((frame) => (frame.type === 'credited' ? [frame.upTo, frame.limit, frame.ask] : [])),
    credited: (upTo: number, ask: (typeof ASKS)[keyof typeof ASKS] = ASKS.nothing) => {
      notices.credited(made, { upTo, limit: upTo + 100, ask });
    },
    pass: (by: number) => {
      for (const until = ms + by; ms < until; ms += 100) wheel.advance();
      wheel.advance();
    },
    close: () => {
      wheel.close();
    },
  };
}

test('what was not said goes with the next that is, and not behind it', () => {
  const { room, credited, heard, pass, close } = end();
  room.hasRoomForWords = false;
  credited(10, ASKS.again);
  room.hasRoomForWords = true;
  credited(20);
  expect(heard()).toEqual([[20, 120, ASKS.again]]);
  pass(1_000);
  expect(heard()).toEqual([]);
  close();
});

test('what there was no room for is said once there is, the newest of it, with what was asked before', () => {
  const { room, credited, heard, pass, close } = end();
  room.hasRoomForWords = false;
  credited(10, ASKS.again);
  credited(20);
  pass(1_000);
  expect(heard()).toEqual([]);
  room.hasRoomForWords = true;
  pass(300);
  expect(heard()).toEqual([[20, 120, ASKS.again]]);
  pass(1_000);
  expect(heard()).toEqual([]);
  close();
});

test('nothing is said again of a stream that is over', () => {
  const { room, ends, made, credited, heard, pass, close } = end();
  room.hasRoomForWords = false;
  credited(10);
  ends.remove(made);
  room.hasRoomForWords = true;
  pass(1_000);
  expect(heard()).toEqual([]);
  close();
});
