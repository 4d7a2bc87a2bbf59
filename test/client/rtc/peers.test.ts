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

test('what compresses is made ready once, with the first use of peers', () => {
  const client = { on: () => () => undefined, onMessage: () => () => undefined };
  const peers = new Peers(client as unknown as GatewayClient);
  const verbs = { warmUp: jest.fn(() => Promise.reject(new Error('it cannot be had'))) };
  const port = {
    tryWrite: () => true,
    call: (_options: unknown, make: (those: unknown) => unknown) => make(verbs),
  };
  for (let use = 0; use < 3; use++) peers.reportTo(port as unknown as PeersPort);
  expect(verbs.warmUp).toHaveBeenCalledTimes(1);
});
