// When own candidates go out: behind their description, together, and without haste where the connection is there already.
import { expect, test } from '@jest/globals';
import { Candidates } from '../../../src/client/rtc/candidates.js';
import type { Candidate } from '../../../src/client/rtc/signal.js';
import { ManualEnvironment } from '../fixture.js';

const SDP = 'v=0\r\na=ice-ufrag:mine\r\n';

function make() {
  const environment = new ManualEnvironment();
  const connection = {
    localDescription: { type: 'offer', sdp: SDP },
    remoteDescription: null as { sdp: string } | null,
    iceConnectionState: 'new',
    addIceCandidate: (): Promise<void> => Promise.resolve(),
  };
  const sent: string[][] = [];
  const candidates = new Candidates(connection as unknown as RTCPeerConnection, environment, {
    send: (batch: Candidate[]) => sent.push(batch.map(({ candidate }) => candidate)),
    onError: (error) => {
      throw error;
    },
  });
  const gather = (...names: string[]): void => {
    for (const candidate of names)
      candidates.gathered({
        candidate,
        sdpMid: '0',
        sdpMLineIndex: 0,
        usernameFragment: 'mine',
      } as RTCIceCandidate);
  };
  return { candidates, connection, environment, gather, sent };
}

test('candidates wait for their description, and then go together', () => {
  const { candidates, environment, gather, sent } = make();
  gather('one');
  environment.advance(1_000);
  expect(sent).toEqual([]);
  candidates.follow({ sdp: SDP });
  gather('two');
  environment.advance(1);
  expect(sent).toEqual([['one', 'two']]);
  // Later ones usually come from servers, one by one.
  gather('three');
  environment.advance(20);
  gather('four');
  environment.advance(20);
  expect(sent.slice(1)).toEqual([['three', 'four']]);
});

test('candidates take longer also while the first ones of the other side are being taken in', () => {
  const { candidates, connection, environment, gather, sent } = make();
  connection.remoteDescription = { sdp: 'v=0\r\na=ice-ufrag:theirs\r\n' };
  connection.addIceCandidate = () => new Promise(() => {});
  candidates.follow({ sdp: SDP });
  gather('one');
  void candidates.add({ candidate: 'x', sdpMid: '0', sdpMLineIndex: 0, usernameFragment: 'theirs' });
  environment.advance(9);
  expect(sent).toEqual([]);
  environment.advance(1);
  expect(sent).toEqual([['one']]);
});

test('candidates that the description has are not sent again', () => {
  const { candidates, environment, gather, sent } = make();
  gather('candidate:1 1 udp 5 10.0.0.1 9 typ host', 'candidate:2 1 udp 5 10.0.0.2 9 typ host');
  candidates.follow({ sdp: `${SDP}a=candidate:1 1 udp 5 10.0.0.1 9 typ host generation 0\r\n` });
  environment.advance(1_000);
  expect(sent).toEqual([['candidate:2 1 udp 5 10.0.0.2 9 typ host']]);
});

test('candidates take a little longer where the other side can be reached already, and are in no hurry when it was', () => {
  const { candidates, connection, environment, gather, sent } = make();
  connection.remoteDescription = { sdp: 'v=0\r\na=candidate:1 1 udp 5 10.0.0.1 9 typ host\r\n' };
  candidates.follow({ sdp: SDP });
  gather('one');
  environment.advance(9);
  expect(sent).toEqual([]);
  connection.iceConnectionState = 'connected';
  environment.advance(50);
  gather('two');
  expect(sent).toEqual([]);
  environment.advance(60);
  // They are told all the same: a better way may be among them.
  expect(sent).toEqual([['one', 'two']]);
});

test('candidates of an ICE restart hurry, though the connection before it still holds', () => {
  const { candidates, connection, environment, gather, sent } = make();
  candidates.follow({ sdp: SDP });
  connection.iceConnectionState = 'connected';
  connection.localDescription.sdp = SDP.replace('mine', 'next');
  candidates.follow({ sdp: connection.localDescription.sdp });
  gather('stale');
  candidates.gathered({
    candidate: 'fresh',
    sdpMid: '0',
    sdpMLineIndex: 0,
    usernameFragment: 'next',
  } as RTCIceCandidate);
  environment.advance(1);
  expect(sent).toEqual([['fresh']]);
});
