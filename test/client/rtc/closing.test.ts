// A client with calls on is closed: the other side hears of it at once, over a real gateway.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client } from '../../../src/client/client.js';
import type { ClientOptions } from '../../../src/client/options.js';
import type { RTCSignalingPeer } from '../../../src/client/rtc/signaling-peer.js';
import { type GatewayProcess, startGateway, tokenOf, until } from '../../gateway-process.js';
import { TestConnection } from './test-connection.js';

/** Offers, and takes what is offered; it never connects. */
class OfferingConnection extends TestConnection {
  localDescription: object | null = null;
  constructor() {
    super([]);
  }
  createOffer(): Promise<{ sdp: string }> {
    return Promise.resolve({ sdp: 'v=0' });
  }
  setLocalDescription(): Promise<void> {
    this.localDescription = { type: 'offer', sdp: 'v=0' };
    this.signalingState = 'have-local-offer';
    return Promise.resolve();
  }
  setRemoteDescription(): Promise<void> {
    return Promise.resolve();
  }
}

beforeEach(() => void Reflect.set(globalThis, 'RTCPeerConnection', OfferingConnection));
afterEach(() => void Reflect.deleteProperty(globalThis, 'RTCPeerConnection'));
let gateway: GatewayProcess;
beforeAll(async () => {
  gateway = await startGateway();
}, 30_000);
afterAll(() => gateway.stop(), 30_000);

async function connected(name: string, options: Partial<ClientOptions> = {}): Promise<Client> {
  const client = new Client(gateway.url, { token: tokenOf(name), ...options });
  await client.connect();
  return client;
}

/** Bob, who takes calls, and what becomes of them. */
async function called(): Promise<{ bob: Client; taken: RTCSignalingPeer[]; closes: unknown[] }> {
  const bob = await connected('bob');
  const taken: RTCSignalingPeer[] = [];
  const closes: unknown[] = [];
  await bob.onPeer((peer) => {
    taken.push(peer);
    peer.on('close', (reason) => closes.push(reason));
  });
  return { bob, taken, closes };
}

const WAYS: [string, Partial<ClientOptions>][] = [
  ['a WebSocket', {}],
  ['JSON', { codec: 'json' }],
  ['an event stream', { transports: ['sse'] }],
  ['polls', { transports: ['poll'] }],
];

describe.each(WAYS)('over %s', (_name, options) => {
  test('every peer of a client says good-bye before its session ends', async () => {
    const { bob, taken, closes } = await called();
    const alice = await connected('alice', options);
    try {
      const peers = [await alice.peer('bob'), await alice.peer('bob', {}, { name: 'chat' })];
      const own: unknown[] = [];
      for (const peer of peers) peer.on('close', (reason) => own.push(reason));
      for (const { peer } of peers) peer.dispatchEvent(new Event('negotiationneeded'));
      await until(() => taken.length === 2);
      await alice.close();
      expect(own).toEqual(peers.map(() => expect.objectContaining({ code: 'closed' })));
      await until(() => closes.length === 2);
      expect(closes).toEqual(['remote', 'remote']);
    } finally {
      await Promise.all([alice.close(), bob.close()]);
    }
  }, 30_000);
});

test('a client without a connection closes, and its peers do', async () => {
  const gone = await startGateway();
  const alice = new Client(gone.url, { token: tokenOf('alice') });
  await alice.connect();
  const peer = await alice.peer('bob');
  const closes: unknown[] = [];
  peer.on('close', (reason) => closes.push(reason));
  await gone.stop();
  await until(() => alice.state === 'reconnecting');
  await alice.close();
  expect(closes).toEqual([expect.objectContaining({ code: 'closed' })]);
}, 30_000);
