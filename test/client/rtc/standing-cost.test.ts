// What standing offers may cost who leaves them: few connections, whatever the network, the browser and the gateway do.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Code } from '../../../src/protocol/codes.js';
import { GatewayError } from '../../../src/protocol/errors.js';
import { Crossing } from '../../../src/client/rtc/crossing.js';
import { type GatewayClient, GatewaySignaling } from '../../../src/client/rtc/gateway-signaling.js';
import { StandingOffer } from '../../../src/client/rtc/standing-offer.js';
import { ManualEnvironment } from '../fixture.js';
import { TestConnection, useTestConnections } from './test-connection.js';

class CountedConnection extends TestConnection {
  static made = 0;
  static isBroken = false;
  static readonly open = new Set<CountedConnection>();
  iceGatheringState = 'complete';
  readonly localDescription = { sdp: 'an offer' };
  constructor(configuration: RTCConfiguration) {
    super([], configuration);
    CountedConnection.made++;
    CountedConnection.open.add(this);
  }
  createOffer(): Promise<{ sdp: string }> {
    return Promise.resolve(this.localDescription);
  }
  setLocalDescription(): Promise<void> {
    return CountedConnection.isBroken ? Promise.reject(new Error('no description')) : Promise.resolve();
  }
  override close(): void {
    CountedConnection.open.delete(this);
  }
}

useTestConnections();
const settle = () => new Promise((resolve) => setImmediate(resolve));
const { open } = CountedConnection;

describe('standing offers', () => {
  const navigator = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  const network = new EventTarget();
  let environment: ManualEnvironment;
  let become: (state: string) => void;
  let put: () => Promise<void>;
  let puts: number;
  const offers: StandingOffer[] = [];
  let stand: () => Promise<StandingOffer>;
  beforeEach(() => {
    environment = new ManualEnvironment();
    CountedConnection.made = puts = 0;
    CountedConnection.isBroken = false;
    open.clear();
    put = () => Promise.resolve();
    Reflect.set(globalThis, 'RTCPeerConnection', CountedConnection);
    Object.defineProperty(globalThis, 'navigator', { value: { connection: network }, configurable: true });
    const listeners: ((state: string, info: { code: null }) => unknown)[] = [];
    const client = {
      id: 'bob',
      state: 'connected',
      onMessage: () => () => undefined,
      on: (event: string, listener: (typeof listeners)[0]) => {
        if (event === 'state') listeners.push(listener);
        return () => undefined;
      },
    };
    become = (state) => {
      client.state = state;
      for (const tell of listeners) tell(state, { code: null });
    };
    const crossing = Crossing.of(new GatewaySignaling(client as unknown as GatewayClient).exchange);
    crossing.hold({ all: new Set(), accept: () => undefined });
    const stands = { stand: () => (puts++, put()) };
    const calls = {
      call: (_options: unknown, make: (verbs: unknown) => Promise<void>) => make(stands),
    } as unknown as ConstructorParameters<typeof StandingOffer>[2];
    stand = async () => {
      const offer = new StandingOffer(
        client as unknown as GatewayClient,
        crossing,
        calls,
        environment,
        () => ({}),
      );
      offers.push(offer);
      await settle();
      return offer;
    };
  });
  afterEach(() => {
    become('closed');
    for (const offer of offers.splice(0)) offer.close();
    if (navigator === undefined) Reflect.deleteProperty(globalThis, 'navigator');
    else Object.defineProperty(globalThis, 'navigator', navigator);
  });
  const pass = async (ms: number): Promise<void> => {
    environment.advance(ms);
    await settle();
  };

  test.each([
    ['the measures of the network move', () => network.dispatchEvent(new Event('change'))],
    ['the line flaps', () => ['reconnecting', 'connected'].forEach(become)],
  ])('are few where %s, and none is left out', async (_what, happens) => {
    const offer = await stand();
    let most = 0;
    for (let i = 0; i < 200; i++) {
      happens();
      await pass(100);
      most = Math.max(most, open.size);
    }
    // One a second, of which the last eight are honoured while the newest one stands.
    expect([CountedConnection.made, most]).toEqual([21, 9]);
    expect(puts).toBe(21);
    await pass(30_000);
    expect(open.size).toBe(1);
    offer.close();
    await pass(30_000);
    expect([open.size, environment.pending]).toEqual([0, 0]);
  });

  test('leave no connection open that has no description', async () => {
    CountedConnection.isBroken = true;
    await stand();
    for (let i = 0; i < 10; i++) await pass(5 * 60_000);
    expect([CountedConnection.made, open.size, puts]).toEqual([11, 0, 0]);
  });

  test.each<[Code, open: number, made: number]>([
    ['forbidden', 0, 3],
    // It tries no more until there is another connection.
    ['unknown_type', 0, 2],
    // The gateway may have it.
    ['unknown_outcome', 1, 3],
  ])('where the gateway answers %s leave %i connections open of %i', async (code, left, made) => {
    put = () => Promise.reject(new GatewayError(code));
    await stand();
    expect(open.size).toBe(left);
    await pass(5 * 60_000);
    become('reconnecting');
    await pass(1_000);
    become('connected');
    await settle();
    await pass(30_000);
    expect([open.size, CountedConnection.made]).toEqual([left, made]);
    network.dispatchEvent(new Event('change'));
    await pass(60_000);
    expect(CountedConnection.made).toBe(code === 'unknown_type' ? made : made + 1);
  });
});
