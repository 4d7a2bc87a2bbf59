// A tapped connection hands over what it is given, as it is given, but for what a plugin drops.
import { expect, test } from '@jest/globals';
import { TappedConnection } from '../../src/plugin/tapped-connection.js';
import { msgpackCodec } from '../../src/protocol/msgpack-codec.js';
import type { Connection, WireFrame } from '../../src/session/connection.js';

test('TappedConnection passes on that a frame can wait', () => {
  const sent: [frame: WireFrame, canWait: boolean | undefined][] = [];
  const inner = {
    codec: msgpackCodec,
    address: '',
    send: (frame: WireFrame, canWait?: boolean) => sent.push([frame, canWait]) > 0,
  } as unknown as Connection;
  const tapped = new TappedConnection(inner);
  const frame = msgpackCodec.encodeGateway({ type: 'ok', ref: 7, result: null });
  const looks: ((() => boolean) | null)[] = [null, () => true, () => false];
  for (const look of looks) {
    tapped.look = look;
    tapped.send(frame, true);
    tapped.send(frame);
  }
  expect(sent).toEqual([true, false, true, false, true, false].map((canWait) => [frame, canWait]));
});
