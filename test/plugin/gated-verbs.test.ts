// Frames that wait for a plugin's verdict: in order, and bounded in number and bytes.
import { expect, test } from '@jest/globals';
import { NO_PAYLOAD } from '../../src/protocol/payload.js';
import type { ClientFrame } from '../../src/protocol/frame.js';
import type { RoomName } from '../../src/protocol/ids.js';
import { GatedVerbs } from '../../src/plugin/gated-verbs.js';
import { SessionRegistry } from '../../src/session/registry.js';
import { createReceiver } from '../relay/receiver.js';

function publish(bytes: number): ClientFrame {
  const payload = { ...NO_PAYLOAD, data: new Uint8Array(bytes) };
  return {
    type: 'publish',
    ref: 0,
    seq: 0,
    options: {},
    room: 'r' as RoomName,
    event: 'e' as never,
    payload,
  };
}

test.each([
  ['bytes', 200 * 1024, 21],
  ['frames', 0, 1_001],
])('a session that sends on while a verdict is out is sent away by %s', (_by, bytes, most) => {
  const { session } = createReceiver('ann', 'ann');
  const registry = new SessionRegistry();
  registry.add(session);
  const verbs = { handle: () => undefined, turnAway: () => undefined };
  const gated = new GatedVerbs(verbs, { frameIn: () => new Promise(() => undefined) }, registry);
  let closes = 0;
  Object.assign(session.connection, { close: () => closes++ });
  for (let i = 0; i < most; i++) gated.handle(session, publish(bytes));
  expect(closes).toBe(0);
  gated.handle(session, publish(bytes));
  expect(closes).toBe(1);
});
