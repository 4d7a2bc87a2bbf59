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
    currentRemoteDescription: null as { sdp: string } | null,
    signalingState: 'stable',
    iceConnectionState: 'new',
    addIceCandidate: (_candidate: RTCIceCandidateInit): Promise<void> => Promise.resolve(),
  };
  const sent: string[][] = [];
  const candidates = new Candidates(connection as unknown as RTCPeerConnection, environment, {
    send: (batch: Candidate[]) => sent.push(batch.map(({ candidate }) => candidate)),
    onError: (error) => {
      throw error;
    },
  });
  const gatherOf =
    (usernameFragment: string) =>
    (...names: string[]): void => {
      for (const candidate of names)
        candidates.gathered({
          candidate,
          sdpMid: '0',
          sdpMLineIndex: 0,
          usernameFragment,
        } as RTCIceCandidate);
    };
  const gather = gatherOf('mine');
  /** Connected, and again described: ICE is restarted. */
  const restart = (): void => {
    candidates.follow(connection.localDescription);
    connection.iceConnectionState = 'connected';
    connection.localDescription.sdp = connection.localDescription.sdp.replace('mine', 'next');
    candidates.follow(connection.localDescription);
  };
  return { candidates, connection, environment, gather, gatherNext: gatherOf('next'), restart, sent };
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
  const { environment, gather, gatherNext, restart, sent } = make();
  restart();
  gather('stale');
  gatherNext('fresh');
  environment.advance(1);
  expect(sent).toEqual([['fresh']]);
});

/** As Firefox writes it, and what Chromium has of it then. */
const FIREFOX = 'v=0\r\no=mozilla...THIS_IS_SDPARTA-99.0 1 0 IN IP4 0.0.0.0\r\n';
const theirs = (fragment: string) => ({ sdp: `v=0\r\na=mid:0\r\na=ice-ufrag:${fragment}\r\n` });
const candidateOf = (usernameFragment: string): Candidate => ({
  candidate: 'x',
  sdpMid: '0',
  sdpMLineIndex: 0,
  usernameFragment,
});

test('candidates of an offer that restarts ICE wait for those of Firefox', () => {
  const { candidates, connection, environment, gatherNext, restart, sent } = make();
  candidates.heard({ sdp: FIREFOX });
  connection.remoteDescription = theirs('before');
  void candidates.add(candidateOf('before'));
  restart();
  connection.signalingState = 'have-local-offer';
  gatherNext('one');
  environment.advance(1_000);
  connection.signalingState = 'stable';
  connection.remoteDescription = theirs('after');
  candidates.look();
  environment.advance(1_000);
  expect(sent).toEqual([]);
  void candidates.add(candidateOf('after'));
  environment.advance(10);
  expect(sent).toEqual([['one']]);
});

test('candidates of an offer that restarts ICE leave when the answer of Firefox has its own', () => {
  const { candidates, connection, environment, gatherNext, restart, sent } = make();
  candidates.heard({ sdp: FIREFOX });
  restart();
  connection.signalingState = 'have-local-offer';
  gatherNext('one');
  environment.advance(1_000);
  connection.signalingState = 'stable';
  connection.remoteDescription = {
    sdp: `${theirs('after').sdp}a=candidate:1 1 udp 5 10.0.0.1 9 typ host\r\n`,
  };
  candidates.look();
  environment.advance(10);
  expect(sent).toEqual([['one']]);
});

test('candidates of a restart that Firefox is told before the call is connected wait as well', () => {
  const { candidates, connection, environment, gatherNext, restart, sent } = make();
  candidates.heard({ sdp: FIREFOX });
  restart();
  Object.assign(connection, { iceConnectionState: 'checking', signalingState: 'have-local-offer' });
  gatherNext('one');
  environment.advance(1_000);
  connection.signalingState = 'stable';
  connection.remoteDescription = theirs('after');
  candidates.look();
  environment.advance(1_000);
  expect(sent).toEqual([]);
  void candidates.add(candidateOf('after'));
  environment.advance(10);
  expect(sent).toEqual([['one']]);
});

test('candidates that were there when a restart was described for Firefox wait as well', () => {
  const { candidates, connection, environment, gatherNext, restart, sent } = make();
  const own = 'candidate:1 1 udp 5 10.0.0.1 9 typ host';
  const next = SDP.replace('mine', 'next');
  candidates.heard({ sdp: FIREFOX });
  restart();
  candidates.follow({ sdp: SDP });
  connection.signalingState = 'have-local-offer';
  gatherNext(own);
  const description = { type: 'offer', sdp: `${next}a=${own} generation 0\r\na=end-of-candidates\r\n` };
  expect(candidates.follow(description)).toEqual({ type: 'offer', sdp: next });
  connection.signalingState = 'stable';
  connection.remoteDescription = theirs('after');
  void candidates.add(candidateOf('after'));
  environment.advance(10);
  expect(sent).toEqual([[own]]);
});

test('candidates of a restart wait for those of Firefox also where the next offer follows at once', () => {
  const { candidates, connection, environment, gatherNext, restart, sent } = make();
  const own = 'candidate:1 1 udp 5 10.0.0.1 9 typ host';
  const next = SDP.replace('mine', 'next');
  candidates.heard({ sdp: FIREFOX });
  restart();
  gatherNext(own);
  connection.remoteDescription = theirs('after');
  environment.advance(1_000);
  connection.signalingState = 'have-local-offer';
  expect(candidates.follow({ sdp: `${next}a=${own} generation 0\r\n` })).toEqual({ sdp: next });
  environment.advance(1_000);
  connection.signalingState = 'stable';
  candidates.look();
  environment.advance(1_000);
  expect(sent).toEqual([]);
  void candidates.add(candidateOf('after'));
  environment.advance(10);
  expect(sent).toEqual([[own]]);
  // Over: later ones have nothing to wait for.
  connection.signalingState = 'have-local-offer';
  candidates.follow({ sdp: next });
  gatherNext('two');
  environment.advance(40);
  expect(sent.slice(1)).toEqual([['two']]);
});

test.each([
  ['the other side is not Firefox', 'v=0\r\n', SDP, 'connected'],
  ['both are Firefox', FIREFOX, SDP.replace('v=0\r\n', FIREFOX), 'connected'],
  ['the connection is lost', FIREFOX, SDP, 'disconnected'],
  ['the connection failed', FIREFOX, SDP, 'failed'],
])('candidates of a restart do not wait where %s', (_when, remote, local, iceConnectionState) => {
  const { candidates, connection, environment, gatherNext, restart, sent } = make();
  connection.localDescription.sdp = local;
  candidates.heard({ sdp: remote });
  restart();
  Object.assign(connection, { signalingState: 'have-local-offer', iceConnectionState });
  gatherNext('one');
  environment.advance(1);
  expect(sent).toEqual([['one']]);
});

test.each([
  ['Firefox restarts, or is restarted by another browser', FIREFOX, SDP, ['0', 'video']],
  ['the other side is not Firefox', 'v=0\r\n', SDP, []],
  ['both are Firefox', FIREFOX, SDP.replace('v=0\r\n', FIREFOX), []],
])('the candidates of before are forgotten, or not, where %s', async (_when, remote, local, expected) => {
  const { candidates, connection } = make();
  const added: RTCIceCandidateInit[] = [];
  connection.addIceCandidate = (candidate) => {
    added.push(candidate);
    // What a browser says that does not forget.
    return Promise.reject(new Error('Unknown ufrag'));
  };
  connection.localDescription.sdp = local;
  connection.currentRemoteDescription = { sdp: `${theirs('before').sdp}a=mid:video\r\n` };
  candidates.heard({ sdp: remote });
  candidates.restarts();
  await Promise.resolve();
  expect(added.map(({ sdpMid }) => sdpMid)).toEqual(expected);
  // Of a gathering that is not known yet, and of an address that is never called.
  for (const { candidate, usernameFragment } of added)
    expect(candidate).toMatch(new RegExp(`tcptype active ufrag ${String(usernameFragment)}$`));
});

test('an answer waits for the first candidates, and not for long', async () => {
  const { candidates, environment, gather } = make();
  const waits = async (): Promise<() => boolean> => {
    let isOver = false;
    void candidates.first().then(() => (isOver = true));
    await Promise.resolve();
    return () => isOver;
  };
  const advance = async (ms: number): Promise<void> => {
    environment.advance(ms);
    await Promise.resolve();
  };
  const without = await waits();
  await advance(4);
  expect(without()).toBe(false);
  await advance(1);
  expect(without()).toBe(true);
  const until = await waits();
  await advance(2);
  gather('one');
  expect(until()).toBe(false);
  // Those that come along have come by then.
  await advance(0);
  expect(until()).toBe(true);
  // They came before it was asked.
  const after = await waits();
  await advance(0);
  expect(after()).toBe(true);
});
