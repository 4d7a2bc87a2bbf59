// An offer to many: written once for all of them, and whoever accepts finds its opener without asking the store.
import { expect, test } from '@jest/globals';
import type { AttachStreamFrame } from '../../src/protocol/frame.js';
import type { ClientId, EventName, RoomName, SessionId, StreamId, WorkerId } from '../../src/protocol/ids.js';
import { msgpackCodec } from '../../src/protocol/msgpack-codec.js';
import { NO_PAYLOAD } from '../../src/protocol/payload.js';
import type { Envelope } from '../../src/relay/envelope.js';
import type { StreamEnvelope } from '../../src/relay/stream-envelope.js';
import { Streams } from '../../src/relay/streams.js';
import { parsePermissions } from '../../src/session/permissions.js';
import type { PreparedFrame } from '../../src/session/prepared-frame.js';
import type { SessionRegistry } from '../../src/session/registry.js';
import type { Session } from '../../src/session/session.js';
import { TimerWheel } from '../../src/session/wheel.js';

const [HERE, THERE] = ['node.1' as WorkerId, 'node.2' as WorkerId];
const ALICE = { client: 'alice' as ClientId, session: 'AAAAAAAAAAAAAAAAAAAAAA' as SessionId };
const STREAM = 'StReAmStReAmStReAmStRe' as StreamId;
const ROOM = 'lobby' as RoomName;
const READERS = 3;

/** A worker with readers in a room; the opener is at another one, and the store is asked in vain. */
function worker() {
  const wheel = new TimerWheel();
  const delivered: PreparedFrame[][] = [];
  const sessions = Array.from({ length: READERS }, (_, at) => {
    const frames: PreparedFrame[] = [];
    delivered.push(frames);
    const session = {
      ref: { client: `bob${String(at)}`, session: `B${String(at)}` },
      identity: { permissions: parsePermissions('*') },
      connection: { queuedBytes: 0, codec: msgpackCodec },
      deliver: (frame: PreparedFrame) => {
        frames.push(frame);
        return 'queued';
      },
    };
    return session as unknown as Session;
  });
  const sent: [WorkerId, Envelope][] = [];
  let asked = 0;
  const streams = new Streams({
    worker: HERE,
    registry: { inRoom: () => sessions, all: () => sessions } as unknown as SessionRegistry,
    relay: {
      width: 2,
      send: (to, envelope) => sent.push([to, envelope]) > 0,
      sendToAll: () => true,
      close: () => Promise.resolve(),
    },
    routes: {
      forget: () => undefined,
      load: () => {
        asked++;
        return new Promise(() => undefined);
      },
    } as never,
    wheel,
    refusals: { charge: () => true } as never,
    streamsPerSessionLimit: 10,
    outboxLimitBytes: 1024 * 1024,
    countCut: () => undefined,
    countDropped: () => undefined,
  });
  return { streams, sessions, delivered, sent, asked: () => asked, close: () => wheel.close() };
}

function offer(stream: StreamId): StreamEnvelope {
  const step = {
    kind: 'offer' as const,
    room: ROOM,
    name: 'cast' as EventName,
    streams: ['*'],
    send: ['*'],
    payload: NO_PAYLOAD,
  };
  const { client: from, session: sender } = ALICE;
  return { kind: 'stream', origin: THERE, to: null, from, sender, stream, opened: true, step };
}

function accepting(stream: StreamId): AttachStreamFrame {
  const to = `${ALICE.client}#${ALICE.session}`;
  return { type: 'attachStream', stream, to, room: null, opened: false, upTo: 0, limit: 1000, drop: false };
}

test('all sessions in the room get the very same bytes, which their transports put together once', () => {
  const { streams, delivered, close } = worker();
  streams.receive(offer(STREAM));
  const [first] = delivered.map(([frame]) => frame?.for(msgpackCodec));
  expect(first).toBeDefined();
  for (const frames of delivered) {
    expect(frames).toHaveLength(1);
    expect(frames[0]?.for(msgpackCodec)).toBe(first);
  }
  close();
});

test('whoever accepts an offer is heard where it came from; the store is not asked', () => {
  const { streams, sessions, sent, asked, close } = worker();
  streams.receive(offer(STREAM));
  for (const session of sessions) streams.attach(session, accepting(STREAM));
  expect(sent.map(([to]) => to)).toEqual(sessions.map(() => THERE));
  expect(sent.map(([, envelope]) => envelope.kind === 'stream' && envelope.step.kind)).toEqual(
    sessions.map(() => 'attach'),
  );
  expect(asked()).toBe(0);
  close();
});

test('where nothing is known of an offer, or not any more, the store is asked for the opener', () => {
  const { streams, sessions, sent, asked, close } = worker();
  const [bob] = sessions;
  if (bob === undefined) throw new Error('no session');
  streams.receive(offer(STREAM));
  for (let i = 0; i < 1_000; i++) streams.receive(offer(String(i).padStart(22, 'x') as StreamId));
  streams.attach(bob, accepting(STREAM));
  expect([sent.length, asked()]).toEqual([0, 1]);
  streams.attach(bob, accepting('x'.repeat(19).concat('999') as StreamId));
  expect([sent.length, asked()]).toEqual([1, 1]);
  close();
});
