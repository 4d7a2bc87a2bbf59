// What the peers of a client hear of it.
import { expect, jest, test } from '@jest/globals';
import type { GatewayClient } from '../../../src/client/rtc/gateway-signaling.js';
import { Peers, type PeersPort } from '../../../src/client/rtc/peers.js';
import { ManualEnvironment } from '../fixture.js';
import { useTestConnections } from './test-connection.js';

useTestConnections();

test('peers look for another way when the gateway has other servers for them', async () => {
  const environment = new ManualEnvironment();
  const listeners = new Set<() => void>();
  const client = {
    id: 'alice',
    state: 'connected',
    iceServers: [],
    connect: () => Promise.resolve(),
    send: () => Promise.resolve(),
    onMessage: () => () => undefined,
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
