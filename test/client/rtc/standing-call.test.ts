// What a peer that comes of a standing offer says, and what becomes of it where nobody takes the call.
import { beforeEach, expect, test } from '@jest/globals';
import type { GatewayClient } from '../../../src/client/rtc/gateway-signaling.js';
import { Peers, type PeersPort } from '../../../src/client/rtc/peers.js';
import type { Signal } from '../../../src/client/rtc/signal.js';
import { ManualEnvironment } from '../fixture.js';
import { TestConnection, useTestConnections } from './test-connection.js';

const ALICE = { client: 'alice', session: 'AAAAAAAAAAAAAAAAAAAAAA' };
const SDP = 'v=0\na=ice-ufrag:me\na=setup:actpass\n';
const CANDIDATE = 'candidate:9 1 udp 1 192.0.2.9 3478 typ relay raddr 0.0.0.0 rport 0';

class OfferedConnection extends TestConnection {
  static readonly offered: OfferedConnection[] = [];
  readonly iceGatheringState = 'gathering';
  localDescription: object | null = null;
  remoteDescription: object | null = null;
  constructor() {
    super([]);
  }
  createOffer(): Promise<{ sdp: string }> {
    return Promise.resolve({ sdp: '' });
  }
  setLocalDescription(): Promise<void> {
    OfferedConnection.offered.push(this);
    this.localDescription = { type: 'offer', sdp: SDP };
    this.signalingState = 'have-local-offer';
    return Promise.resolve();
  }
  setRemoteDescription(description: object): Promise<void> {
    this.remoteDescription = description;
    this.signalingState = 'stable';
    return Promise.resolve();
  }
  finds(candidate: string): void {
    const rest = { sdpMid: '0', sdpMLineIndex: 0, usernameFragment: 'me' };
    this.dispatchEvent(Object.assign(new Event('icecandidate'), { candidate: { candidate, ...rest } }));
  }
  override close(): void {
    this.signalingState = 'closed';
  }
}

useTestConnections();
const settle = (): Promise<unknown> => new Promise((resolve) => setImmediate(resolve));
let environment: ManualEnvironment;
let sent: Signal[];
let hear: (data: unknown, trace?: string) => void;
/** The id of the standing offer. */
let stood: string;
let peers: Peers;
let called: number;
let stop: () => void;

beforeEach(async () => {
  environment = new ManualEnvironment();
  sent = [];
  OfferedConnection.offered.length = 0;
  Reflect.set(globalThis, 'RTCPeerConnection', OfferedConnection);
  const client: GatewayClient = {
    id: 'bob',
    state: 'connected',
    iceServers: [],
    connect: () => Promise.resolve(),
    send: (_to, _event, data) => {
      sent.push(data as Signal);
      return Promise.resolve();
    },
    onMessage: (_event, handler) => {
      hear = (data, trace) => void handler(data, ALICE, { trace: trace ?? null });
      return () => undefined;
    },
    on: () => () => undefined,
  };
  const left = new Promise<string>((resolve) => {
    const stand = (id: string): Promise<void> => {
      resolve(id);
      return Promise.resolve();
    };
    const call = (_options: unknown, make: (verbs: object, made: object) => unknown): unknown =>
      make({ stand }, {});
    peers = new Peers(client);
    peers.reportTo({ tryWrite: () => true, call } as unknown as PeersPort);
    called = 0;
    stop = peers.onPeer(() => called++, {}, { standing: true, environment });
  });
  // Its code is loaded first.
  for (let turns = 0; turns < 1_000 && OfferedConnection.offered.length === 0; turns++) await settle();
  await settle();
  environment.advance(1_000);
  stood = await left;
});
const call = (): void => {
  hear(stood, 'alice-1');
  hear({ type: 'offer', round: 1, sdp: SDP, cross: true, route: ['alice-1', null, 1, 0] });
};

test('a candidate that is found when the offer stands follows when it is taken', async () => {
  OfferedConnection.offered[0]?.finds(CANDIDATE);
  call();
  await settle();
  environment.advance(100);
  const candidates = sent.flatMap((signal) => (signal.type === 'candidate' ? signal.candidate : []));
  expect(candidates.map(({ candidate }) => candidate)).toEqual([CANDIDATE]);
});

test('who takes one whose handler is gone is told so', () => {
  stop();
  call();
  expect(sent).toEqual([{ type: 'gone', route: [stood, 'alice-1', 0, 0] }]);
  expect(OfferedConnection.offered[0]?.signalingState).toBe('closed');
});

test.each([
  ['was never heard of goes on with it', null, 0],
  ['was heard of, but never spoken to, goes on with it', null, 1],
  ['was spoken to stays as it is', 'it', 1],
] as const)('an own call to who takes one that %s', async (_what, to, count) => {
  const own = await peers.peer('alice', {}, { environment });
  const { peer: first } = own;
  const connections: RTCPeerConnection[] = [];
  own.on('connection', (connection) => connections.push(connection));
  environment.advance(0);
  await settle();
  const end = sent[0]?.route[0] ?? '';
  const said = { type: 'want', route: ['alice-1', to === null ? null : end, 1, 0] } as const;
  if (count > 0) hear({ ...said, route: [...said.route] });
  // The gateway's word that it was taken was lost: who takes it says so.
  hear({ type: 'offer', round: 1, sdp: SDP, cross: true, route: ['alice-1', stood, 2, 1] });
  expect([own.peer !== first, connections.length, called]).toEqual(
    to === null ? [true, 1, 0] : [false, 0, 1],
  );
});
