// Delivery into the connections of one worker: who gets a message, and who does not.
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { ClientId, RoomName } from '../../src/protocol/ids.js';
import { encodeMessageBody, encodeSender, msgpackCodec } from '../../src/protocol/msgpack-codec.js';
import { Delivery } from '../../src/relay/delivery.js';
import { SessionRegistry } from '../../src/session/registry.js';
import { createReceiver, sessionId } from './receiver.js';

const room = 'lobby' as RoomName;
const message = {
  options: {},
  sender: encodeSender('sender', sessionId('sender')),
  event: 'chat' as Parameters<typeof encodeMessageBody>[0]['event'],
  payload: { encoding: 2, data: Buffer.from('1') } as Parameters<typeof encodeMessageBody>[0]['payload'],
};
const body = encodeMessageBody(message);
const NAMES = ['alice', 'alice/2', 'bob', 'team-1', 'team-2'];

describe('delivery', () => {
  let receivers: Map<string, ReturnType<typeof createReceiver>>;
  let delivery: Delivery;
  let counted: number;
  beforeEach(() => {
    counted = 0;
    const registry = new SessionRegistry();
    receivers = new Map(
      NAMES.map((name) => [name, createReceiver(name.split('/')[0] ?? '', name.replace('/', ''))]),
    );
    for (const { session } of receivers.values()) {
      registry.add(session);
      registry.enter(session, room);
    }
    delivery = new Delivery(registry, msgpackCodec, (_, count) => {
      counted += count;
    });
  });
  /** Who got something since the test began. */
  const reached = () => {
    const names = NAMES.filter((name) => (receivers.get(name)?.frames.length ?? 0) > 0);
    const frames = [...receivers.values()].reduce((sum, each) => sum + each.frames.length, 0);
    expect([frames, counted]).toEqual([names.length, names.length]);
    return names;
  };

  test.each([
    [['*'], ['alice/2', 'bob', 'team-1', 'team-2']],
    [['bob'], ['bob']],
    [['alice'], ['alice/2']],
    [['bob', 'nobody', 'bob'], ['bob']],
    [['team-*'], ['team-1', 'team-2']],
    [
      ['team-*', 'team-1', 'alice'],
      ['alice/2', 'team-1', 'team-2'],
    ],
    [['ali'], []],
    [['not a client id'], []],
    [[], []],
  ])('of a broadcast to %j reaches each match once, but not its sender', (patterns, expected) => {
    delivery.toMatching({ patterns, except: sessionId('alice'), skip: [], body });
    expect(reached()).toEqual(expected);
  });

  test('to sessions tells when one is not here or is somebody else’s', () => {
    const alice = 'alice' as ClientId;
    expect(delivery.toSessions(alice, [sessionId('alice'), sessionId('alice2')], body)).toBe(true);
    expect(delivery.toSessions(alice, [sessionId('gone')], body)).toBe(false);
    expect(delivery.toSessions(alice, [sessionId('bob')], body)).toBe(false);
    expect(reached()).toEqual(['alice', 'alice/2']);
  });

  test('of a request goes to the one session, and says so when it is not here', () => {
    const ask = (client: string, session: string) =>
      delivery.requestTo({
        kind: 'request',
        origin: 'n.1' as never,
        handle: 'n.1!1',
        client: client as ClientId,
        session: sessionId(session),
        body,
      });
    expect([ask('bob', 'bob'), ask('bob', 'alice'), ask('bob', 'gone')]).toEqual([true, false, false]);
    expect(receivers.get('bob')?.frames).toMatchObject([{ type: 'requested', handle: 'n.1!1' }]);
    expect(reached()).toEqual(['bob']);
  });
});
