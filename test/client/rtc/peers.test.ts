// What the peers of a client hear of it.
import { expect, jest, test } from '@jest/globals';
import type { GatewayClient } from '../../../src/client/rtc/gateway-signaling.js';
import { Peers, type PeersPort } from '../../../src/client/rtc/peers.js';
import type { Signal } from '../../../src/client/rtc/signal.js';
import type { RTCSignalingPeer } from '../../../src/client/rtc/signaling-peer.js';
import { ManualEnvironment } from '../fixture.js';
import { useTestConnections } from './test-connection.js';

const connections = useTestConnections();
const BOB = { client: 'bob', session: 'BBBBBBBBBBBBBBBBBBBBBB' };
const OWN = [{ urls: 'turn:own.example' }];

/** As much of alice's client as peers look at, and what it sends and hears. */
function aliceClient() {
  const sent: Signal[] = [];
  const handlers: ((data: unknown, from: typeof BOB) => unknown)[] = [];
  return {
    id: 'alice',
    state: 'connected',
    iceServers: [{ urls: 'turn:gateway.example' }],
    connect: jest.fn<GatewayClient['connect']>(() => Promise.resolve()),
    send: (_to: string, _event: string, data: unknown) => {
      sent.push(data as Signal);
      return Promise.resolve();
    },
    onMessage: (_event: string, handler: (typeof handlers)[number]) => {
      handlers.push(handler);
      return () => undefined;
    },
    on: () => () => undefined,
    sent,
    hear: (signal: Signal, from = BOB) => {
      for (const handler of handlers) handler(signal, from);
    },
  };
}
const settle = () => new Promise((resolve) => setImmediate(resolve));

test('whom nobody answered is called again by the same peer', async () => {
  const environment = new ManualEnvironment();
  const client = aliceClient();
  const peers = new Peers(client);
  const peer = await peers.peer('bob', {}, { environment });
  environment.advance(0);
  await settle();
  expect(client.sent.map(({ type }) => type)).toEqual(['hello']);
  // Bob was not there, and is now.
  environment.advance(60_000);
  expect(await peers.peer('bob', {}, { environment })).toBe(peer);
  expect(client.sent.map(({ type }) => type)).toEqual(['hello', 'hello']);
  peer.close();
});

test('servers that the application gives are used, whatever the gateway has', async () => {
  const peers = new Peers(aliceClient());
  const environment = new ManualEnvironment();
  const peer = await peers.peer('bob', {}, { environment, iceServers: () => OWN });
  expect(peer.peer.getConfiguration().iceServers).toEqual(OWN);
  peer.close();
  const others = await peers.peer('carol', {}, { environment });
  expect(others.peer.getConfiguration().iceServers).toEqual([{ urls: 'turn:gateway.example' }]);
  others.close();
});

test('whoever waits for the gateway can give that up', async () => {
  const client = aliceClient();
  const { signal } = new AbortController();
  const peers = new Peers(client);
  const peer = await peers.peer('bob', {}, { signal });
  expect(client.connect.mock.calls[0]).toEqual([{ signal }]);
  peer.close();
});

test('a name is refused that is the SDK’s own, or too long', async () => {
  const peers = new Peers(aliceClient());
  await expect(peers.peer('bob', {}, { name: '~streams' })).rejects.toThrow(TypeError);
  await expect(peers.peer('bob', {}, { name: 'n'.repeat(161) })).rejects.toThrow(TypeError);
  expect(connections).toHaveLength(0);
});

test('what waits at a peer that is closed already does not wait', async () => {
  const peers = new Peers(aliceClient());
  const peer = await peers.peer('bob');
  peer.close();
  for (const wait of [peer.agreed(), peer.connect(), peer.createDataChannel('x')])
    await expect(wait).rejects.toMatchObject({ code: 'closed' });
});

/** Bob calls for the nth time. */
const hello = (n: number, name?: string): Signal => ({
  type: 'hello',
  route: [String(n).padStart(22, 'b'), null, 1, 0],
  ...(name !== undefined && { name }),
});
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, n) => from + n);

/** A peer's connection comes so far, as after an answer. */
function moveTo(peer: RTCSignalingPeer, state: RTCPeerConnectionState): void {
  Object.defineProperty(peer, 'counts', { value: { rounds: 1 } });
  Reflect.set(peer.peer, 'connectionState', state);
  peer.peer.dispatchEvent(new Event('connectionstatechange'));
}

function takingCalls(handler: (peer: RTCSignalingPeer) => unknown = () => undefined) {
  const client = aliceClient();
  const environment = new ManualEnvironment();
  const peers = new Peers(client);
  const taken: RTCSignalingPeer[] = [];
  peers.onPeer(
    (peer) => {
      taken.push(peer);
      return handler(peer);
    },
    {},
    { environment },
  );
  return { client, environment, peers, taken };
}

test.each(['new', 'connecting'] as const)(
  'of one client so many calls are taken that never were connected, but are %s; the oldest ends',
  (state) => {
    const { client, taken } = takingCalls();
    for (const n of range(0, 20)) {
      client.hear(hello(n));
      const peer = taken.at(-1);
      if (peer !== undefined && state !== 'new') moveTo(peer, state);
    }
    expect(taken.map((peer) => peer.state)).toEqual([
      ...Array.from({ length: 4 }, () => 'closed'),
      ...Array.from({ length: 16 }, () => state),
    ]);
    for (const peer of taken) peer.close();
  },
);

test('calls that were connected do not count', () => {
  const { client, taken } = takingCalls();
  for (const n of range(0, 20)) {
    client.hear(hello(n));
    const peer = taken.at(-1);
    if (peer !== undefined) moveTo(peer, 'connected');
  }
  expect(new Set(taken.map(({ state }) => state))).toEqual(new Set(['connected']));
  for (const peer of taken) peer.close();
});

test('so many calls of one client are taken in 10 s, and so many of all, also where each was closed at once', () => {
  const { client, environment, taken } = takingCalls((peer) => peer.close());
  for (const n of range(0, 40)) client.hear(hello(n));
  expect(taken).toHaveLength(30);
  for (const n of range(40, 140)) client.hear(hello(n), { ...BOB, client: `c${String(n)}` });
  expect(taken).toHaveLength(100);
  environment.advance(10_000);
  client.hear(hello(140));
  expect(taken).toHaveLength(101);
});

test('of all clients so many calls are taken that never were connected, as of callers that greeted and went; the oldest ends', () => {
  const { client, environment, taken } = takingCalls();
  for (const n of range(0, 120)) {
    environment.advance(200);
    client.hear(hello(n), { ...BOB, client: `c${String(n % 10)}` });
    if (n === 0 && taken[0] !== undefined) moveTo(taken[0], 'connected');
  }
  const states = taken.map(({ state }) => state);
  expect(states.slice(0, 21)).toEqual(['connected', ...Array.from({ length: 19 }, () => 'closed'), 'new']);
  expect(states.filter((state) => state === 'new')).toHaveLength(100);
  for (const peer of taken) peer.close();
});

test('a handler that throws has refused the call; one whose promise rejects is told of, and has it', async () => {
  const failing = takingCalls(() => {
    throw new Error('a mistake');
  });
  expect(() => failing.client.hear(hello(1))).toThrow('a mistake');
  expect(failing.taken[0]?.state).toBe('closed');
  const late = takingCalls(() => Promise.reject(new Error('a late mistake')));
  const report = jest.fn();
  late.peers.reportTo({ tryWrite: () => true, report } as unknown as PeersPort);
  late.client.hear(hello(1));
  await settle();
  expect(report.mock.calls).toEqual([[new Error('a late mistake')]]);
  expect(late.taken[0]?.state).toBe('new');
  late.taken[0]?.close();
});

test('a client that was closed is not connected again by a call', async () => {
  const client = aliceClient();
  const peers = new Peers(client);
  client.state = 'closed';
  await expect(peers.peer('bob')).rejects.toMatchObject({ code: 'closed' });
  expect(client.connect).not.toHaveBeenCalled();
});

test('what is no client, name or handler is refused with what it should be', async () => {
  const peers = new Peers(aliceClient());
  for (const nobody of [undefined, 5, ''])
    await expect(peers.peer(nobody as string)).rejects.toThrow(/id of a client/);
  await expect(peers.peer('bob', {}, { name: 5 as unknown as string })).rejects.toThrow(/name of a peer/);
  expect(() => peers.onPeer(null as unknown as () => void)).toThrow(/function/);
  expect(() => peers.onPeer(() => null, {}, { name: 5 as unknown as string })).toThrow(/name of a peer/);
  expect(connections).toHaveLength(0);
});

test('peers look for another way when the gateway has other servers for them', async () => {
  const environment = new ManualEnvironment();
  const listeners = new Set<() => void>();
  const client = {
    ...aliceClient(),
    on(event: string, listener: () => void) {
      if (event === 'iceServers') listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const peers = new Peers(client as unknown as GatewayClient);
  const bob = await peers.peer('bob', {}, { environment });
  const carol = await peers.peer('carol', { iceServers: [{ urls: 'stun:192.0.2.1' }] }, { environment });
  const seen = [bob, carol].map((peer) => jest.spyOn(peer, 'networkChanged'));
  for (const tell of listeners) tell();
  // Only where it is not connected; and not with servers of the application's own.
  expect(seen.map(({ mock }) => mock.calls)).toEqual([[[false]], []]);
  bob.close();
  carol.close();
  expect(listeners.size).toBe(0);
});

test('what compresses is made ready once, for who takes calls and is connected, and again where that failed', async () => {
  let tell: (state: string) => void = () => undefined;
  const client = {
    state: 'connecting',
    iceServers: [],
    on(_event: string, listener: typeof tell) {
      tell = listener;
      return () => undefined;
    },
    onMessage: () => () => undefined,
  };
  const connect = async (): Promise<void> => {
    client.state = 'connected';
    tell('connected');
    await Promise.resolve().then(() => null);
  };
  const peers = new Peers(client as unknown as GatewayClient);
  const warmUp = jest.fn<() => Promise<void>>(() => Promise.resolve());
  const call = (_options: unknown, make: (those: unknown) => unknown): unknown => make({ warmUp });
  peers.reportTo({ tryWrite: () => true, call } as unknown as PeersPort);
  await connect();
  expect(warmUp).not.toHaveBeenCalled();
  client.state = 'connecting';
  const stop = peers.onPeer(() => null);
  expect(warmUp).not.toHaveBeenCalled();
  warmUp.mockRejectedValueOnce(new Error('it cannot be had'));
  await connect();
  await new Promise((resolve) => setTimeout(resolve, 0));
  expect(warmUp).toHaveBeenCalledTimes(1);
  for (let time = 0; time < 3; time++) await connect();
  expect(warmUp).toHaveBeenCalledTimes(2);
  stop();
});
