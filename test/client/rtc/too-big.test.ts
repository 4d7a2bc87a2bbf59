// A description that the other side would not read ends the peer: neither could go on, and nobody would know.
import { expect, test } from '@jest/globals';
import { LoopbackSignaling } from '../../../src/client/rtc/loopback-signaling.js';
import { SDP_LIMIT_CHARACTERS } from '../../../src/client/rtc/signal.js';
import { type PeerEvents, RTCSignalingPeer } from '../../../src/client/rtc/signaling-peer.js';
import { until } from '../../gateway-process.js';
import { NegotiatingConnection } from './test-connection.js';

test('a description that is too big ends the peer here with that code, and there with remote', async () => {
  const signaling = new LoopbackSignaling();
  const make = (local: string, remote: string) => {
    const connection = new NegotiatingConnection([]);
    const peer = new RTCSignalingPeer(
      local,
      remote,
      {},
      {
        signaling,
        connection: connection as unknown as RTCPeerConnection,
        RTCPeerConnection: NegotiatingConnection as unknown as typeof RTCPeerConnection,
      },
    );
    const closes: PeerEvents['close'][0][] = [];
    peer.on('close', (reason) => closes.push(reason));
    return { connection, peer, closes };
  };
  const [alice, bob] = [make('alice', 'bob'), make('bob', 'alice')];
  const first = alice.peer.createDataChannel('first').catch(() => {});
  await until(() => alice.peer.counts.rounds === 1 && bob.peer.counts.rounds === 1);
  bob.connection.more = 'a=x\r\n'.repeat(SDP_LIMIT_CHARACTERS / 5);
  bob.peer.restartIce();
  await until(() => bob.closes.length > 0 && alice.closes.length > 0);
  expect(bob.closes).toEqual([expect.objectContaining({ code: 'too_big' })]);
  expect(alice.closes).toEqual(['remote']);
  await first;
});
