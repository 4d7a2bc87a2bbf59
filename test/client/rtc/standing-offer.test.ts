// One standing offer at a time: when it is left with the gateway, replaced, taken back, and whose call it becomes.
import { beforeEach, describe, expect, test } from '@jest/globals';
import { Crossing } from '../../../src/client/rtc/crossing.js';
import { type GatewayClient, GatewaySignaling } from '../../../src/client/rtc/gateway-signaling.js';
import type { Signal, SignalBody } from '../../../src/client/rtc/signal.js';
import type { LineReceiver } from '../../../src/client/rtc/signaling.js';
import type { TakenEnd } from '../../../src/client/rtc/standing.js';
import { StandingOffer } from '../../../src/client/rtc/standing-offer.js';
import { ManualEnvironment } from '../fixture.js';
import { TestConnection, useTestConnections } from './test-connection.js';

class OfferedConnection extends TestConnection {
  static readonly made: OfferedConnection[] = [];
  /** What each finds at once, as lines of its description. */
  static candidates = '';
  iceGatheringState = 'complete';
  localDescription: { sdp: string } | null = null;
  override connectionState: RTCPeerConnectionState = 'new';
  isClosed = false;
  constructor(configuration: RTCConfiguration) {
    super([], configuration);
    OfferedConnection.made.push(this);
  }
  /** As Firefox, which is no lite agent and numbers the sections of each offer anew. */
  static refusesLite = false;
  offers = 0;
  createOffer(): Promise<{ sdp: string }> {
    const number = OfferedConnection.made.indexOf(this) + 1;
    return Promise.resolve({ sdp: `offer ${String(number)}${'!'.repeat(this.offers++)}\nm=application` });
  }
  setLocalDescription({ sdp }: { sdp: string }): Promise<void> {
    if (OfferedConnection.refusesLite && sdp.includes('a=ice-lite'))
      return Promise.reject(new DOMException('Running ICE in lite mode is unsupported'));
    this.localDescription = { sdp: sdp + OfferedConnection.candidates };
    return Promise.resolve();
  }
  finds(candidate: string): void {
    this.dispatchEvent(Object.assign(new Event('icecandidate'), { candidate: { candidate } }));
  }
  connects(): void {
    this.connectionState = 'connected';
    this.dispatchEvent(new Event('connectionstatechange'));
  }
  override close(): void {
    this.isClosed = true;
  }
}

useTestConnections();
const ALICE = { client: 'alice', session: 'AAAAAAAAAAAAAAAAAAAAAA' };
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('a standing offer', () => {
  let environment: ManualEnvironment;
  /** What the gateway was left with, the newest last; null where it was taken back. */
  let left: { id: string; sdp: string }[];
  let states: ((state: string) => unknown)[];
  let hear: (data: unknown, trace?: string | null, from?: typeof ALICE) => void;
  let sent: Signal[];
  let options: (object | undefined)[];
  /** Who called, with the end of the standing offer that it took and what that found later. */
  let strangers: { name?: string; id: string | null; found: string[] }[];
  let accept: (end: TakenEnd) => void;
  let crossing: Crossing;
  let signaling: GatewaySignaling;
  let offer: StandingOffer;
  let client: { state: string } & Omit<GatewayClient, 'state'>;
  let stand: () => StandingOffer;
  beforeEach(async () => {
    environment = new ManualEnvironment();
    [left, states, sent, options, strangers] = [[], [], [], [], []];
    OfferedConnection.made.length = 0;
    OfferedConnection.candidates = '';
    OfferedConnection.refusesLite = false;
    Reflect.set(globalThis, 'RTCPeerConnection', OfferedConnection);
    const handlers: ((data: unknown, from: typeof ALICE, info: { trace: string | null }) => unknown)[] = [];
    client = {
      id: 'bob',
      state: 'connected',
      iceServers: [],
      connect: () => Promise.resolve(),
      send: (_to, _event, data, how) => {
        sent.push(data as Signal);
        options.push(how);
        return Promise.resolve();
      },
      onMessage: (_event, handler) => {
        handlers.push(handler);
        return () => undefined;
      },
      on: ((event: string, listener: (state: string, info: { code: null }) => unknown) => {
        const tell = (state: string): unknown => listener(state, { code: null });
        if (event === 'state') states.push(tell);
        return () => states.splice(states.indexOf(tell), 1);
      }) as unknown as GatewayClient['on'],
    };
    hear = (data, trace = null, from = ALICE) => {
      for (const handler of handlers) handler(data, from, { trace });
    };
    signaling = new GatewaySignaling(client);
    signaling.onStranger((_from, name) => void strangers.push({ name, id: null, found: [] }));
    accept = ({ connection, signaling: { id = null }, begin }) => {
      const found: string[] = [];
      connection.addEventListener('icecandidate', ({ candidate }) => found.push(candidate?.candidate ?? ''));
      begin();
      strangers.push({ id, found });
    };
    crossing = Crossing.of(signaling.exchange, environment);
    crossing.hold({ all: new Set(), accept: (_from, end) => accept(end) });
    const verbs = {
      stand: (id: string | null, _event: string, signal: (Signal & { sdp: string }) | null) => {
        left.push({ id: id ?? 'none', sdp: signal?.sdp ?? '' });
        return Promise.resolve();
      },
    };
    const calls = {
      call: (_options: unknown, make: (verbs: unknown, made: unknown) => Promise<unknown>) => make(verbs, {}),
    } as unknown as ConstructorParameters<typeof StandingOffer>[2];
    stand = () => new StandingOffer(client, crossing, calls, environment, () => ({ iceServers: [] }));
    offer = stand();
    await settle();
    // The next one is not made sooner.
    environment.advance(1_000);
  });
  const pass = async (ms: number): Promise<void> => {
    environment.advance(ms);
    await settle();
  };
  const sdps = () => left.map(({ sdp }) => sdp.split('\n')[0] ?? '');
  const closed = () => OfferedConnection.made.map(({ isClosed }) => isClosed);
  const call = (seq = 1, to: string | null = null, body?: SignalBody): Signal => ({
    ...(body ?? { type: 'offer', round: 1, sdp: 'a call', cross: true }),
    route: ['alice-1', to, seq, 0],
  });
  const newest = (): string => left.at(-1)?.id ?? '';
  const become = async (state: string): Promise<void> => {
    client.state = state;
    for (const tell of [...states]) tell(state);
    await settle();
  };

  test('is set as the one of a lite agent, which makes its end the controlled one, and left as the one of a full agent', () => {
    expect(OfferedConnection.made[0]?.localDescription?.sdp).toBe('offer 1\na=ice-lite\r\nm=application');
    expect(left).toMatchObject([{ sdp: 'offer 1\nm=application' }]);
  });

  test('is set as it was made where the browser refuses lite ones', async () => {
    OfferedConnection.refusesLite = true;
    await become('connected');
    expect(OfferedConnection.made.at(-1)?.localDescription?.sdp).toBe('offer 2\nm=application');
    expect(sdps()).toEqual(['offer 1', 'offer 2']);
  });

  test('is left when there is a connection, and anew with the next, after five minutes, and when it was taken', async () => {
    expect(sdps()).toEqual(['offer 1']);
    states[0]?.('reconnecting');
    await settle();
    expect(sdps()).toEqual(['offer 1']);
    for (const tell of [...states]) tell('connected');
    await settle();
    expect(sdps()).toEqual(['offer 1', 'offer 2']);
    await pass(5 * 60_000);
    expect(sdps()).toEqual(['offer 1', 'offer 2', 'offer 3']);
    hear(newest(), 'alice-1');
    await pass(999);
    expect(left).toHaveLength(3);
    await pass(1);
    expect(sdps()).toEqual(['offer 1', 'offer 2', 'offer 3', 'offer 4']);
    expect(new Set(left.map(({ id }) => id)).size).toBe(4);
  });

  test('is kept for 30 s when it was replaced, and then closed', async () => {
    for (const tell of [...states]) tell('connected');
    await settle();
    await pass(29_999);
    expect(closed()).toEqual([false, false]);
    await pass(1);
    expect(closed()).toEqual([true, false]);
  });

  test('is taken back when it is not wanted any more', async () => {
    offer.close();
    await pass(30_000);
    expect(left.at(-1)).toEqual({ id: 'none', sdp: '' });
    expect(closed()).toEqual([true]);
    await pass(10 * 60_000);
    expect(left).toHaveLength(2);
    expect(states.length).toBe(1);
    expect(environment.pending).toBe(0);
  });

  test('is nothing to wait for where none was left yet', async () => {
    offer.close();
    await become('closed');
    const before = states.length;
    client.state = 'connecting';
    stand().close();
    expect(states.length).toBe(before);
  });

  test('is closed with its client, and another one left where that connects again', async () => {
    await become('closed');
    expect(closed()).toEqual([true]);
    expect(environment.pending).toBe(0);
    await become('connected');
    expect(sdps()).toEqual(['offer 1', 'offer 2']);
    // Nor does what is taken back keep a program running that has closed its client.
    offer.close();
    await become('closed');
    expect([closed(), environment.pending, states.length]).toEqual([[true, true], 0, 1]);
  });

  test('is left later and later while those that are taken do not connect', async () => {
    const waits: number[] = [];
    for (let taken = 0; taken < 9; taken++) {
      const before = left.length;
      hear(newest(), 'alice-1');
      let seconds = 0;
      for (; left.length === before; seconds++) await pass(1_000);
      waits.push(seconds);
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
    expect(closed().filter((isClosed) => !isClosed)).toHaveLength(1);
    hear(newest(), 'alice-1');
    await pass(500);
    OfferedConnection.made.at(-1)?.connects();
    const before = left.length;
    await pass(999);
    expect(left).toHaveLength(before);
    await pass(1);
    expect(left).toHaveLength(before + 1);
    hear(newest(), 'alice-1');
    await pass(1_000);
    expect(left).toHaveLength(before + 2);
  });

  test('is told the candidates that its description has not', async () => {
    const found = (n: number): string => `candidate:${n} 1 udp ${n} 192.0.2.${n} 3478 typ relay`;
    OfferedConnection.candidates = `\na=${found(1)}`;
    for (const tell of [...states]) tell('connected');
    const [, connection] = OfferedConnection.made;
    connection?.finds(found(1));
    await settle();
    connection?.finds(found(2));
    hear(newest(), 'alice-1');
    connection?.finds(found(3));
    hear(call());
    expect(strangers[0]?.found).toEqual([found(2), found(3)]);
  });

  test('has as many candidates as the gateway takes; the others follow', async () => {
    const found = (n: number): string =>
      `candidate:${n} 1 udp ${n} 192.0.2.${n} 3478 typ relay raddr 192.0.2.1 rport 9 ${'x'.repeat(100)}`;
    const all = Array.from({ length: 60 }, (_, i) => found(i + 1));
    OfferedConnection.candidates = [...all.map((line) => `\na=${line}`), '\na=end-of-candidates\n'].join('');
    for (const tell of [...states]) tell('connected');
    for (const candidate of all) OfferedConnection.made[1]?.finds(candidate);
    await settle();
    const { sdp = '', id = '' } = left.at(-1) ?? {};
    expect(sdp.length).toBeLessThanOrEqual(7_000);
    expect(sdp).not.toContain('end-of-candidates');
    const count = sdp.split('a=candidate:').length - 1;
    expect(count).toBeGreaterThan(30);
    hear(id, 'alice-1');
    hear(call());
    expect(strangers[0]?.found).toEqual(all.slice(count));
  });

  test('is left when who was called before has heard of it, and each call of its holder says that it is one', async () => {
    const receiver = { onSignal: () => {} } as unknown as LineReceiver;
    const line = signaling.connect({ localId: 'bob', remoteId: 'carol', name: '' }, receiver);
    const say = (heard: string | null, isSure: boolean): void =>
      line.send({ type: 'hello', route: ['bob-1', heard, 0, 0] }, null, isSure);
    say(null, false);
    say(null, true);
    say('carol-1', false);
    expect(options).toMatchObject([{ volatile: true, standing: '' }, { standing: '' }, { volatile: true }]);
    expect(options[2]).not.toHaveProperty('standing');
    offer.close();
    const before = left.length;
    stand();
    await pass(4_999);
    expect(left).toHaveLength(before);
    await pass(1);
    expect(left).toHaveLength(before + 1);
  });

  test('is closed where its taker is never heard', async () => {
    hear(newest(), 'alice-1');
    await pass(30_000);
    expect(closed()[0]).toBe(true);
    expect(closed()[1]).toBe(false);
  });

  test('becomes the call of who took it, by its offer and nothing else', () => {
    const id = newest();
    hear(id, 'alice-1');
    hear(call(2, null, { type: 'candidate', candidate: [] }));
    hear({ ...call(), route: ['carol-1', null, 1, 0] }, null, { client: 'carol', session: 'C'.repeat(22) });
    expect(strangers).toEqual([{ name: '', id: null, found: [] }]);
    hear(call());
    expect(strangers[1]).toMatchObject({ id });
    // Nobody made a peer of it, and who took it is told.
    expect(closed()).toEqual([true]);
    expect(sent).toEqual([{ type: 'gone', route: [id, 'alice-1', 0, 0] }]);
    // And it is nobody's after that.
    hear(id, 'alice-2');
    hear({ ...call(), route: ['alice-2', null, 1, 0] });
    expect(strangers[2]).toMatchObject({ name: '', id: null });
  });

  test('is not for a call under a name: who takes those has a configuration of its own', () => {
    const id = newest();
    hear(id, 'alice-1');
    hear({ ...call(), name: 'second' });
    expect([strangers, closed()]).toEqual([[], [true]]);
    expect(sent).toEqual([{ type: 'gone', route: [id, 'alice-1', 0, 0] }]);
  });

  test('is honoured where its taker is heard and the gateway was not', () => {
    const id = newest();
    // Not dismissed: its offer is said again.
    hear(call(3, id, { type: 'ack' }));
    expect([sent, strangers]).toEqual([[], []]);
    const heard: string[] = [];
    const receiver = { onSignal: ({ type }: Signal) => heard.push(type) } as unknown as LineReceiver;
    accept = ({ signaling: mechanism, begin }) => {
      mechanism.connect({ localId: 'bob', remoteId: 'alice', name: '' }, receiver);
      begin();
    };
    hear(call(1, id));
    hear(call(2, id, { type: 'candidate', candidate: [] }));
    // It is told whose end it is, and then what that said, in the order in which it came.
    expect(heard).toEqual(['ack', 'ack', 'offer', 'candidate']);
    expect(closed()).toEqual([false]);
  });

  test('keeps no words of others than its taker, who may invent ends', async () => {
    const id = newest();
    hear(call(1, id, { type: 'ack' }));
    for (let end = 2; end < 8; end++)
      hear({ type: 'offer', round: 1, sdp: 'a call', cross: true, route: [`alice-${end}`, id, 1, 0] });
    expect(strangers).toEqual([]);
    // It counts as taken from the first word of that one on.
    await pass(1_000);
    expect(left).toHaveLength(2);
    hear(call(1, id));
    expect(strangers).toMatchObject([{ id }]);
  });

  describe('where both called', () => {
    const receiverOf = (heard: string[]): LineReceiver =>
      ({
        onSignal: ({ type, route: [from] }: Signal) => heard.push(`${type} of ${from}`),
      }) as unknown as LineReceiver;
    const card: Signal = {
      type: 'offer',
      round: 1,
      sdp: 'it stood',
      standing: true,
      route: ['alice-s', null, 1, 0],
    };

    test('goes to nobody whose end has heard another one of that session', () => {
      const heard: string[] = [];
      const line = signaling.connect({ localId: 'bob', remoteId: 'alice', name: '' }, receiverOf(heard));
      line.send({ ...call(), route: ['bob-1', null, 1, 0] }, null, false);
      hear({ type: 'hello', route: ['alice-1', null, 0, 0] });
      hear(card, 'bob-1');
      hear({ type: 'grant', route: ['alice-1', 'bob-1', 1, 1] });
      expect(heard).toEqual(['hello of alice-1', 'grant of alice-1']);
      expect(sent.slice(1)).toEqual([{ type: 'gone', route: ['bob-1', 'alice-s', 0, 0] }]);
    });

    test('is all that its taker hears of that session, whatever an own call of its holder says', () => {
      const heard: string[] = [];
      const line = signaling.connect({ localId: 'bob', remoteId: 'alice', name: '' }, receiverOf(heard));
      line.send({ ...call(), route: ['bob-1', null, 1, 0] }, null, false);
      hear(card, 'bob-1');
      hear({ ...call(), route: ['alice-1', null, 1, 0] });
      hear({ type: 'answer', round: 1, sdp: 'x', route: ['alice-1', 'bob-1', 2, 1] });
      hear({ type: 'gone', route: ['alice-1', 'bob-1', 0, 0] });
      hear({ type: 'ack', route: ['alice-s', 'bob-1', 0, 1] });
      expect(heard).toEqual(['offer of alice-s', 'ack of alice-s']);
      // Nobody is told that it is gone, and nobody has called.
      expect([sent.length, strangers]).toEqual([1, []]);
      // Another name is another call.
      hear({ ...call(), name: 'second', route: ['alice-2', null, 1, 0] });
      expect(strangers).toMatchObject([{ name: 'second' }]);
    });

    test('that cannot be honoured, and was lost on the way to its taker, is as none: the call is said again', () => {
      const heard: string[] = [];
      const receiver = { ...receiverOf(heard), onResync: () => heard.push('resync') };
      const line = signaling.connect({ localId: 'bob', remoteId: 'alice', name: '' }, receiver);
      line.send({ ...call(), route: ['bob-1', null, 1, 0] }, null, false);
      hear({ type: 'gone', route: ['alice-s', 'bob-1', 0, 0] });
      hear({ type: 'answer', round: 1, sdp: 'x', route: ['alice-2', 'bob-1', 1, 1] });
      expect(heard).toEqual(['resync', 'answer of alice-2']);
    });

    test('whose connection is closed ends the peer that its taker has greeted, too', () => {
      const heard: string[] = [];
      signaling.onStranger(() =>
        signaling.connect({ localId: 'bob', remoteId: 'alice', name: '' }, receiverOf(heard)),
      );
      hear({ type: 'hello', route: ['alice-1', null, 0, 0] });
      const id = newest();
      hear(id, 'alice-1');
      Object.assign(OfferedConnection.made[0] ?? {}, { signalingState: 'closed' });
      hear(call(1, id));
      expect(sent).toEqual([{ type: 'gone', route: [id, 'alice-1', 0, 0] }]);
      expect(heard).toEqual(['hello of alice-1', 'gone of alice-1']);
    });

    test('lets its holder call again whose farewell is still on its way', async () => {
      const line = signaling.connect({ localId: 'bob', remoteId: 'alice', name: '' }, receiverOf([]));
      line.send({ ...call(), route: ['bob-1', null, 1, 0] }, null, false);
      hear(card, 'bob-1');
      await pass(60_000);
      // It may not have heard yet that it was taken.
      hear({ ...call(), route: ['alice-1', null, 1, 0] });
      hear({ type: 'ack', route: ['alice-s', 'bob-1', 0, 1] });
      await pass(1_999);
      hear({ type: 'ack', route: ['alice-s', 'bob-1', 0, 1] });
      hear({ ...call(), route: ['alice-1', null, 1, 0] });
      expect(strangers).toEqual([]);
      await pass(1);
      hear({ ...call(), route: ['alice-2', null, 1, 0] });
      expect(strangers).toMatchObject([{ name: '' }]);
    });

    /** Bob, who holds it, has called alice, who got it before she heard. */
    const met = (heard: string[]): string => {
      const own = signaling.connect({ localId: 'bob', remoteId: 'alice', name: '' }, receiverOf(heard));
      own.send({ type: 'hello', route: ['bob-1', null, 0, 0] }, null, false);
      const id = newest();
      hear(id, 'alice-1');
      hear(call());
      hear(call(2, null, { type: 'candidate', candidate: [] }));
      expect([heard, strangers]).toEqual([[], []]);
      return id;
    };

    test('waits until its taker has said which of both ends it hears', () => {
      const id = met([]);
      hear(call(0, id, { type: 'ack' }));
      expect(strangers).toMatchObject([{ id }]);
    });

    test('gives way where its taker hears the other end', () => {
      const heard: string[] = [];
      met(heard);
      hear(call(3, 'bob-1', { type: 'want' }));
      expect(heard).toEqual(['offer of alice-1', 'candidate of alice-1', 'want of alice-1']);
      expect([strangers, closed()[0]]).toEqual([[], true]);
    });

    test('gives way where its taker says so, and the call waits for the end that it hears', () => {
      const heard: string[] = [];
      const id = met(heard);
      hear(call(0, id, { type: 'gone' }));
      expect([heard, strangers, closed()[0]]).toEqual([[], [], true]);
      hear(call(3, 'bob-1', { type: 'want' }));
      expect(heard).toEqual(['offer of alice-1', 'candidate of alice-1', 'want of alice-1']);
    });

    test('keeps few words of few', () => {
      const heard: string[] = [];
      met(heard);
      for (let seq = 3; seq < 100; seq++) hear(call(seq, null, { type: 'candidate', candidate: [] }));
      hear(call(100, 'bob-1', { type: 'want' }));
      expect(heard).toHaveLength(9);
    });
  });

  test('that comes when the call is over is told so', () => {
    hear(
      { type: 'offer', round: 1, sdp: 'it stood', standing: true, route: ['alice-s', null, 1, 0] },
      'bob-gone',
    );
    expect(sent).toEqual([{ type: 'gone', route: ['bob-gone', 'alice-s', 0, 0] }]);
    expect(strangers).toEqual([]);
  });
});
