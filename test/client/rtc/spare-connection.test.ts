// Who takes calls has one connection ready, for the configuration that it takes them with, and no more than one.
import { describe, expect, test } from '@jest/globals';
import { SpareConnection } from '../../../src/client/rtc/spare-connection.js';
import { type GatewayClient } from '../../../src/client/rtc/gateway-signaling.js';
import { Peers } from '../../../src/client/rtc/peers.js';
import { ManualEnvironment } from '../fixture.js';
import { useTestConnections } from './test-connection.js';

const STUN = { iceServers: [{ urls: 'stun:192.0.2.1' }] };
const RELAY = { iceTransportPolicy: 'relay' } as const;
const made = useTestConnections();

describe('a spare connection', () => {
  test('is taken once, by who wants one like it', () => {
    const spare = new SpareConnection();
    expect(spare.take({})).toBeNull();
    spare.prepare({});
    spare.prepare({});
    expect(made).toHaveLength(1);
    expect(spare.take(RELAY)).toBeNull();
    expect(spare.take({})).toBe(made[0]);
    expect(spare.take({})).toBeNull();
  });

  test('is told of the servers of who takes it', () => {
    const spare = new SpareConnection();
    spare.prepare({ ...RELAY, iceServers: [] });
    const [first] = made;
    spare.prepare({ ...STUN, ...RELAY });
    const taken = spare.take({ ...STUN, ...RELAY });
    expect(taken).toBe(first);
    expect(taken?.getConfiguration()).toEqual({ bundlePolicy: 'max-bundle', ...STUN, ...RELAY });
  });

  test('is closed where the browser cannot tell it of other servers', () => {
    const spare = new SpareConnection();
    spare.prepare({});
    if (made[0] !== undefined) Reflect.set(made[0], 'setConfiguration', undefined);
    expect(spare.take(STUN)).toBeNull();
    expect(made).toHaveLength(0);
    spare.prepare({});
    expect(spare.take({})).toBe(made[0]);
  });

  test('is not one that the browser closed', () => {
    const spare = new SpareConnection();
    spare.prepare({});
    const [first] = made;
    first?.close();
    if (first !== undefined) first.signalingState = 'closed';
    expect(spare.take({})).toBeNull();
    spare.prepare({});
    expect(made).toHaveLength(1);
    if (made[0] !== undefined) made[0].signalingState = 'closed';
    spare.prepare({});
    expect(made.at(-1)?.signalingState).toBe('stable');
  });

  test('makes room for one of another configuration, and is closed with its owner', () => {
    const spare = new SpareConnection();
    spare.prepare({});
    const [first] = made;
    spare.prepare(RELAY);
    expect(made).toHaveLength(1);
    expect(made[0]).not.toBe(first);
    spare.close();
    expect(made).toHaveLength(0);
    spare.close();
  });

  test('is none where certificates are given, which cannot be compared', () => {
    const spare = new SpareConnection();
    spare.prepare({ certificates: [] });
    expect(made).toHaveLength(0);
    expect(spare.take({ certificates: [] })).toBeNull();
  });

  test('is left out where the platform has no WebRTC', () => {
    Reflect.deleteProperty(globalThis, 'RTCPeerConnection');
    const spare = new SpareConnection();
    spare.prepare({});
    expect(spare.take({})).toBeNull();
  });
});

interface TestClient {
  client: GatewayClient;
  /** The gateway's, from now on. */
  serve: (iceServers: RTCIceServer[]) => void;
  close: () => void;
}

function client(): TestClient {
  const listeners: ((state: string, info: { code: null }) => void)[] = [];
  const it = {
    id: 'alice',
    state: 'connected',
    iceServers: [] as RTCIceServer[],
    connect: () => Promise.resolve(),
    send: () => Promise.resolve(),
    onMessage: () => () => undefined,
    on(event: string, listener: (state: string, info: { code: null }) => void) {
      if (event === 'state') listeners.push(listener);
      return () => undefined;
    },
  };
  const serve = (iceServers: RTCIceServer[]): void => {
    it.iceServers = iceServers;
  };
  const close = (): void => {
    it.state = 'closed';
    for (const tell of listeners) tell('closed', { code: null });
  };
  return { client: it as unknown as GatewayClient, serve, close };
}

describe('the peers of a client', () => {
  test('have a connection ready while there is a handler for calls, and another one a second after it was used', async () => {
    const environment = new ManualEnvironment();
    const { client: alice, close } = client();
    const peers = new Peers(alice);
    const remove = peers.onPeer(() => undefined, {}, { environment });
    environment.advance(0);
    const [spare] = made;
    expect(made).toHaveLength(1);
    const peer = await peers.peer('bob', {}, { environment });
    expect(peer.peer).toBe(spare);
    expect(made).toHaveLength(1);
    environment.advance(999);
    expect(made).toHaveLength(1);
    environment.advance(1);
    expect(made).toHaveLength(2);
    remove();
    expect(made).toEqual([spare]);
    peers.onPeer(() => undefined, {}, { environment });
    environment.advance(0);
    expect(made).toHaveLength(2);
    close();
    expect(made).toEqual([spare]);
    peer.close();
    environment.advance(5_000);
    expect(made).toEqual([]);
  });

  test('use it also with the servers of a welcome that came after the handler, and with renewed ones', async () => {
    const environment = new ManualEnvironment();
    const { client: alice, serve } = client();
    const peers = new Peers(alice);
    peers.onPeer(() => undefined, {}, { environment });
    environment.advance(0);
    for (const credential of ['first', 'renewed']) {
      const [spare] = made;
      expect(made).toHaveLength(1);
      const iceServers = [{ urls: 'turn:192.0.2.1', username: 'alice', credential }];
      serve(iceServers);
      const peer = await peers.peer('bob', {}, { environment });
      expect(peer.peer).toBe(spare);
      expect(peer.peer.getConfiguration().iceServers).toEqual(iceServers);
      peer.close();
      environment.advance(1_000);
    }
  });

  test('have none where nobody takes calls', async () => {
    const environment = new ManualEnvironment();
    const peers = new Peers(client().client);
    const peer = await peers.peer('bob', {}, { environment });
    environment.advance(5_000);
    expect(made).toHaveLength(1);
    peer.close();
  });
});
