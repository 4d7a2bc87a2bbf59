// Presence events on their way to watching sessions: coalesced, and never a frame of many thousand names.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import type { GatewayFrame } from '../../src/protocol/frame.js';
import { isClientId, isRoomName, isSessionId } from '../../src/protocol/ids.js';
import { createJsonCodec } from '../../src/protocol/json-codec.js';
import { PresenceFeed } from '../../src/relay/presence-feed.js';
import { type Connection, wholeFrame } from '../../src/session/connection.js';
import { parsePermissions } from '../../src/session/permissions.js';
import { SessionRegistry } from '../../src/session/registry.js';
import { Session } from '../../src/session/session.js';
import { TimerWheel } from '../../src/session/wheel.js';

function guarded<To extends string>(value: string, guard: (value: unknown) => value is To): To {
  if (!guard(value)) throw new TypeError(`${value} is not what it should be`);
  return value;
}
const client = (name: string) => guarded(name, isClientId);
const room = guarded('lobby', isRoomName);
const codec = createJsonCodec();
const many = Array.from({ length: 1001 }, (_, at) => client(`c${at}`));

describe('the presence feed', () => {
  let now = 0;
  let wheel: TimerWheel;
  let feed: PresenceFeed;
  let frames: GatewayFrame[];

  beforeEach(() => {
    now = 0;
    frames = [];
    wheel = new TimerWheel(() => now);
    const registry = new SessionRegistry();
    feed = new PresenceFeed(registry, wheel);
    const connection: Connection = {
      codec,
      address: '127.0.0.1',
      queuedBytes: 0,
      send: (frame) => frames.push(codec.decodeGateway(wholeFrame(frame))) > 0,
      pause: () => undefined,
      close: () => undefined,
      terminate: () => undefined,
    };
    const ref = {
      client: client('alice'),
      session: guarded('AbCdEfGhIjKlMnOpQrStUv', isSessionId),
      generation: 1,
    };
    const identity = {
      client: ref.client,
      expiresAtMs: 0,
      issuedAtMs: null,
      tokenId: null,
      permissions: parsePermissions('*'),
    };
    const session = new Session(ref, identity, connection, 1_000_000, pino({ level: 'silent' }));
    registry.add(session);
    registry.enter(session, room);
    session.watched = new Set([room]);
  });
  afterEach(() => wheel.close());

  const flush = () => {
    now += 1000;
    wheel.advance();
  };

  test('tells who came and went since the last frame when the room is small', () => {
    feed.add({ type: 'presence', room, client: client('bob'), change: 'joined', count: 2 });
    feed.add({ type: 'presence', room, client: client('carol'), change: 'joined', count: 3 });
    feed.add({ type: 'presence', room, client: client('carol'), change: 'left', count: 2 });
    flush();
    expect(frames).toEqual([{ type: 'presence', room, joined: ['bob'], left: [], count: 2 }]);
  });

  test('tells the count alone when more than a thousand clients are in the room', () => {
    feed.add({ type: 'presence', room, client: client('bob'), change: 'joined', count: 1001 });
    flush();
    expect(frames).toEqual([{ type: 'presence', room, joined: [], left: [], count: 1001 }]);
  });

  test('tells the count alone when more than a thousand clients leave at once', () => {
    many.forEach((each, at) => {
      feed.add({ type: 'presence', room, client: each, change: 'left', count: 1001 - at });
    });
    flush();
    expect(frames).toEqual([{ type: 'presence', room, joined: [], left: [], count: 1 }]);
  });
});
