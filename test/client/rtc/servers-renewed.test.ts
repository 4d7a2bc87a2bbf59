// Both ends of a peer look for their way with the servers of now when ICE is restarted: who answers a restart gathers as well as who asked for it.
import { expect, test } from '@jest/globals';
import { LoopbackSignaling } from '../../../src/client/rtc/loopback-signaling.js';
import { RTCSignalingPeer } from '../../../src/client/rtc/signaling-peer.js';
import { TestConnection } from './test-connection.js';

type Description = { type: string; sdp: string };

/** One that negotiates: an offer or answer is its ICE fragment and nothing else. */
class NegotiatingConnection extends TestConnection {
  localDescription: Description | null = null;
  remoteDescription: Description | null = null;
  #restarts = 0;

  get currentLocalDescription(): Description | null {
    return this.localDescription;
  }
  get currentRemoteDescription(): Description | null {
    return this.remoteDescription;
  }
  override createDataChannel(): EventTarget {
    this.#need();
    return new EventTarget();
  }
  createOffer(): Promise<Description> {
    return Promise.resolve(this.#describe('offer'));
  }
  setLocalDescription(): Promise<void> {
    const isAnswer = this.signalingState === 'have-remote-offer';
    this.localDescription = this.#describe(isAnswer ? 'answer' : 'offer');
    this.signalingState = isAnswer ? 'stable' : 'have-local-offer';
    return Promise.resolve();
  }
  setRemoteDescription(description: Description): Promise<void> {
    if (description.type === 'offer' && this.remoteDescription !== null) this.#restarts++;
    this.remoteDescription = description;
    this.signalingState = description.type === 'offer' ? 'have-remote-offer' : 'stable';
    return Promise.resolve();
  }
  restartIce(): void {
    this.#restarts++;
    this.#need();
  }
  #need(): void {
    setTimeout(() => this.dispatchEvent(new Event('negotiationneeded')), 0);
  }
  #describe(type: string): Description {
    return { type, sdp: `v=0\r\na=ice-ufrag:${type}${String(this.#restarts)}\r\n` };
  }
}

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
