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
    hear: (signal: Signal) => {
      for (const handler of handlers) handler(signal, BOB);
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

test('of one client so many calls are taken that nothing was agreed on with; the oldest ends', () => {
  const client = aliceClient();
  const environment = new ManualEnvironment();
  const peers = new Peers(client);
  const taken: RTCSignalingPeer[] = [];
  peers.onPeer((peer) => taken.push(peer), {}, { environment });
  for (let n = 0; n < 20; n++)
    client.hear({ type: 'hello', route: [String(n).padStart(22, 'b'), null, 1, 0] });
  expect(taken.map(({ state }) => state)).toEqual([
    ...Array.from({ length: 4 }, () => 'closed'),
    ...Array.from({ length: 16 }, () => 'new'),
  ]);
  for (const peer of taken) peer.close();
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
