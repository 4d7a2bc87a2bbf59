// What recovery is told of a connection, where browsers say less, or other.
import { expect, test } from '@jest/globals';
import { PeerCondition } from '../../../src/client/rtc/condition.js';

function condition(connectionState: string, rounds: number, iceConnectionState = 'new'): PeerCondition {
  const currentLocalDescription = { sdp: 'v=0\r\na=ice-ufrag:mine\r\n' };
  const peer = { connectionState, iceConnectionState, currentLocalDescription };
  return new PeerCondition({ peer: peer as unknown as RTCPeerConnection, counts: { rounds } });
}

test.each([
  ['failed', 0, 'new'],
  ['connecting', 0, 'new'],
  ['connected', 0, 'connected'],
  ['new', 1, 'connecting'],
  ['failed', 1, 'failed'],
])('%s after %i rounds is %s', (state, rounds, said) => {
  expect(condition(state, rounds).connectionState).toBe(said);
});

test('ICE is up when it is connected or completed', () => {
  const states = ['new', 'checking', 'connected', 'completed', 'disconnected', 'failed', 'closed'];
  expect(states.filter((ice) => condition('connecting', 1, ice).isIceUp)).toEqual(['connected', 'completed']);
});

test('the fragments are those that are in force', () => {
  expect(condition('connected', 2)).toMatchObject({ rounds: 2, fragments: 'mine' });
});
