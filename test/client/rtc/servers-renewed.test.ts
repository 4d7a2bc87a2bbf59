// Both ends of a peer look for their way with the servers of now when ICE is restarted: who answers a restart gathers as well as who asked for it.
import { expect, test } from '@jest/globals';
import { LoopbackSignaling } from '../../../src/client/rtc/loopback-signaling.js';
import { RTCSignalingPeer } from '../../../src/client/rtc/signaling-peer.js';
import { NegotiatingConnection, type TestConnection } from './test-connection.js';

test('an ICE restart renews the servers at both ends', async () => {
  const servers = [{ urls: 'turn:before.example' }];
  const signaling = new LoopbackSignaling();
  const made: TestConnection[] = [];
  const [alice, bob] = [
    ['alice', 'bob'],
    ['bob', 'alice'],
  ].map(
    ([local = '', remote = '']) =>
      new RTCSignalingPeer(
        local,
        remote,
        { iceServers: [...servers] },
        {
          signaling,
          connection: new NegotiatingConnection(made, {
            iceServers: [...servers],
          }) as unknown as RTCPeerConnection,
          iceServers: () => servers,
          RTCPeerConnection: NegotiatingConnection as unknown as typeof RTCPeerConnection,
        },
      ),
  ) as [RTCSignalingPeer, RTCSignalingPeer];
  const agreed = async (rounds: number): Promise<void> => {
    while (alice.counts.rounds < rounds || bob.counts.rounds < rounds)
      await new Promise((resolve) => setTimeout(resolve, 5));
  };
  const known = (): unknown[] => [alice, bob].map(({ peer }) => peer.getConfiguration().iceServers);
  alice.createDataChannel('first').catch(() => {});
  await agreed(1);
  servers[0] = { urls: 'turn:now.example' };
  expect(known()).toEqual([[{ urls: 'turn:before.example' }], [{ urls: 'turn:before.example' }]]);
  bob.restartIce();
  await agreed(2);
  expect(known()).toEqual([servers, servers]);
  alice.close();
  bob.close();
});
