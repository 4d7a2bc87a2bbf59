// Calls with peers of the form of simple-peer, over a line where each word is on its way until the test lets it arrive.
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { GatewayClient } from '../../../src/client/rtc/gateway-signaling.js';
import type { Sender } from '../../../src/client/rtc/line.js';
import { onSimplePeer, type SimplePeer, simplePeerSignaling } from '../../../src/client/rtc/simple-peer.js';
import { GatewayError } from '../../../src/protocol/errors.js';

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['queueMicrotask', 'nextTick', 'setImmediate'] });
});
afterEach(() => {
  expect(jest.getTimerCount()).toBe(0);
  jest.useRealTimers();
});
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface TestSignal {
  type: string;
  /** The caller's peer whose call it is about. */
  of?: number;
}

/** Says and does what the library's does, when it does: its end is told a microtask later. */
class TestPeer extends EventEmitter implements SimplePeer {
  static #made = 0;
  readonly number = ++TestPeer.#made;
  destroyed = false;
  connected = false;
  readonly heard: TestSignal[] = [];
  #isDestroying = false;

  constructor(readonly initiator: boolean) {
    super();
    this.on('error', () => {});
  }

  /** Of the initiator. */
  offer(): void {
    this.emit('signal', { type: 'offer', of: this.number });
  }

  signal(data: unknown): void {
    if (this.#isDestroying) return;
    if (this.destroyed) throw new Error('cannot signal after peer is destroyed');
    const signal = data as TestSignal;
    this.heard.push(signal);
    const isOdd = this.connected && signal.type === (this.initiator ? 'answer' : 'offer');
    const isWrong = this.initiator && signal.type === 'answer' && signal.of !== this.number;
    if (isOdd || isWrong) return this.destroy(new Error(`not of this call: ${JSON.stringify(signal)}`));
    if (signal.type === 'offer') this.emit('signal', { type: 'answer', of: signal.of });
    if (signal.type === 'offer' || signal.type === 'answer') this.connected = true;
  }

  destroy(error?: Error): void {
    if (this.destroyed || this.#isDestroying) return;
    this.#isDestroying = true;
    queueMicrotask(() => {
      this.#isDestroying = false;
      this.destroyed = true;
      if (error !== undefined) this.emit('error', error);
      this.emit('close');
    });
  }

  get state(): string {
    return this.destroyed ? 'destroyed' : this.connected ? 'connected' : 'new';
  }
}

/** A gateway's sessions, and what is on its way to each, in order. */
class Gateway {
  readonly #sessions = new Map<string, { from: Sender; handlers: Map<string, Set<Handler>> }>();
  #underWay: { to: string; hand: () => Promise<unknown> }[] = [];
  /** What handlers threw. */
  readonly errors: unknown[] = [];

  client(client: string, session: string): GatewayClient {
    const from = { client, session };
    const handlers = new Map<string, Set<Handler>>();
    this.#sessions.set(`${client}#${session}`, { from, handlers });
    return {
      id: client,
      state: 'connected',
      iceServers: [],
      connect: () => Promise.resolve(),
      on: () => () => undefined,
      onMessage: (event, handler) => {
        const all = handlers.get(event) ?? new Set();
        handlers.set(event, all.add(handler));
        return () => void all.delete(handler);
      },
      send: (to, event, data) => {
        const targets = [...this.#sessions].filter(([key]) => key === to || key.startsWith(`${to}#`));
        if (targets.length === 0) return Promise.reject(new GatewayError('not_found'));
        for (const [key, { handlers: heard }] of targets)
          this.#underWay.push({
            to: key,
            hand: () =>
              Promise.all([...(heard.get(event) ?? [])].map(async (handler) => handler(data, from))),
          });
        return Promise.resolve();
      },
    };
  }

  /** Everything that is on its way arrives, and so does what is said because of it; only at these sessions, if any is named. */
  async arrive(...at: string[]): Promise<void> {
    for (;;) {
      await turn();
      const next = this.#underWay.find(({ to }) => at.length === 0 || at.includes(to));
      if (next === undefined) return;
      this.#underWay = this.#underWay.filter((one) => one !== next);
      next.hand().catch((error: unknown) => this.errors.push(error));
    }
  }
}
type Handler = Parameters<GatewayClient['onMessage']>[1];

/** Calls `to`; with `again`, as often as a peer of this page ends. */
function caller(client: GatewayClient, to: string, again = false) {
  const peers: TestPeer[] = [];
  const stops: (() => void)[] = [];
  const call = (): TestPeer => {
    const peer = new TestPeer(true);
    peers.push(peer);
    stops.push(simplePeerSignaling(client, to, peer));
    if (again) peer.once('close', call);
    peer.offer();
    return peer;
  };
  return { call, peers, stops, states: () => peers.map(({ state }) => state) };
}

/** Takes calls at once, refuses them at once, or when its page decides. */
function callee(client: GatewayClient, mode: 'takes' | 'refuses' | 'rings' = 'takes') {
  const peers: TestPeer[] = [];
  const decide: ((isTaken: boolean) => void)[] = [];
  const make = (): TestPeer => {
    const peer = new TestPeer(false);
    peers.push(peer);
    return peer;
  };
  const stop = onSimplePeer(client, () => {
    if (mode === 'takes') return make();
    if (mode === 'refuses') return null;
    return new Promise((resolve) => decide.push((isTaken) => resolve(isTaken ? make() : null)));
  });
  return { peers, decide, stop, states: () => peers.map(({ state }) => state) };
}

/** What two pages may be apart. */
const MOMENT_MS = 200;

/** So long that nobody thinks about it any more. */
const wait = (): void => {
  jest.advanceTimersByTime(60_000);
};

let gateway: Gateway;
let alice: GatewayClient;
let bob: GatewayClient;
beforeEach(() => {
  gateway = new Gateway();
  alice = gateway.client('alice', 'a');
  bob = gateway.client('bob', 'b');
});

describe('a call after another one', () => {
  test('goes on though the farewell of the one before arrives after it began', async () => {
    const bobs = callee(bob);
    const alices = caller(alice, 'bob', true);
    const first = alices.call();
    await gateway.arrive();
    expect(alices.states()).toEqual(['connected']);
    // Both see that the connection has failed, and alice calls again before she hears of bob.
    bobs.peers[0]?.destroy();
    await turn();
    first.destroy();
    await gateway.arrive();
    expect(alices.states()).toEqual(['destroyed', 'connected']);
    expect(bobs.states()).toEqual(['destroyed', 'connected']);
  });

  test('is not given what the other side said in the one before', async () => {
    const bobs = callee(bob);
    const alices = caller(alice, 'bob');
    const first = alices.call();
    first.destroy();
    await turn();
    alices.call();
    await gateway.arrive();
    expect(alices.states()).toEqual(['destroyed', 'connected']);
    const second = alices.peers[1];
    expect(second?.heard).toEqual([{ type: 'answer', of: second?.number }]);
    expect(bobs.states().at(-1)).toBe('connected');
  });

  test('takes the place of one that the caller left without a word', async () => {
    for (const mode of ['takes', 'rings'] as const) {
      gateway = new Gateway();
      const bobs = callee(gateway.client('bob', 'b'), mode);
      const alices = caller(gateway.client('alice', 'a'), 'bob');
      alices.call();
      await gateway.arrive();
      alices.stops[0]?.();
      alices.call();
      await gateway.arrive();
      for (const decide of bobs.decide) decide(true);
      await gateway.arrive();
      expect(alices.states().at(-1)).toBe('connected');
      expect(bobs.states()).toEqual(['destroyed', 'connected']);
    }
  });

  test.each(['takes', 'rings'] as const)('ends one that stands yet, at a page that %s', async (mode) => {
    const bobs = callee(bob, mode);
    const alices = caller(alice, 'bob#b');
    alices.call();
    await gateway.arrive();
    alices.call();
    await gateway.arrive();
    for (const decide of bobs.decide) decide(true);
    await gateway.arrive();
    expect(alices.states()).toEqual(['destroyed', 'connected']);
    expect(bobs.states()).toEqual(['destroyed', 'connected']);
  });

  test('does not end with one that is left after it began', async () => {
    const bobs = callee(bob, 'rings');
    const alices = caller(alice, 'bob');
    const first = alices.call();
    alices.call();
    first.destroy();
    await gateway.arrive();
    for (const decide of bobs.decide) decide(true);
    await gateway.arrive();
    expect(alices.states()).toEqual(['destroyed', 'connected']);
    expect(bobs.states()).toEqual(['destroyed', 'connected']);
  });

  test('between peers that both sides make by themselves is told apart, too', async () => {
    const alices = caller(alice, 'bob');
    const first = new TestPeer(false);
    simplePeerSignaling(bob, 'alice', first);
    // A request of the side that is called, which may come before the offer.
    first.emit('signal', { type: 'transceiverRequest' });
    alices.call();
    await gateway.arrive();
    expect([alices.peers[0]?.state, first.state]).toEqual(['connected', 'connected']);
    expect(alices.peers[0]?.heard.map(({ type }) => type)).toEqual(['transceiverRequest', 'answer']);
    first.destroy();
    alices.peers[0]?.destroy();
    await turn();
    const second = new TestPeer(false);
    simplePeerSignaling(bob, 'alice', second);
    alices.call();
    await gateway.arrive();
    expect([alices.states(), second.state]).toEqual([['destroyed', 'connected'], 'connected']);
    // The end of one is the other's.
    alices.peers[1]?.destroy();
    await gateway.arrive();
    expect(second.state).toBe('destroyed');
  });
});

describe('a client with several sessions', () => {
  test('has refused when no session rings any more', async () => {
    const background = callee(bob, 'refuses');
    const page = callee(gateway.client('bob', 'c'), 'rings');
    const alices = caller(alice, 'bob');
    for (const isTaken of [true, false]) {
      const made = alices.call();
      await gateway.arrive();
      wait();
      await gateway.arrive();
      expect(made.state).toBe('new');
      page.decide.pop()?.(isTaken);
      await gateway.arrive();
      wait();
      await gateway.arrive();
      expect(made.state).toBe(isTaken ? 'connected' : 'destroyed');
      made.destroy();
      await gateway.arrive();
    }
    expect(background.peers).toEqual([]);
  });

  test('has not refused with a session that is before another one, which rings', async () => {
    callee(bob, 'refuses');
    const page = callee(gateway.client('bob', 'c'), 'rings');
    const alices = caller(alice, 'bob');
    alices.call();
    await gateway.arrive('bob#b', 'alice#a');
    jest.advanceTimersByTime(MOMENT_MS);
    await gateway.arrive();
    wait();
    await gateway.arrive();
    expect(alices.states()).toEqual(['new']);
    page.decide[0]?.(true);
    await gateway.arrive();
    expect(alices.states()).toEqual(['connected']);
  });

  test('goes on with the session that takes the call after another one refused', async () => {
    const pages = [callee(bob, 'refuses'), callee(gateway.client('bob', 'c'))];
    const alices = caller(alice, 'bob');
    alices.call();
    await gateway.arrive('bob#b', 'alice#a');
    await gateway.arrive();
    wait();
    await gateway.arrive();
    expect([alices.states(), pages[1]?.states()]).toEqual([['connected'], ['connected']]);
  });

  test('is not waited for any more when the caller hangs up', async () => {
    callee(bob, 'refuses');
    const made = caller(alice, 'bob').call();
    await gateway.arrive();
    expect(jest.getTimerCount()).toBe(1);
    made.destroy();
    await gateway.arrive();
    expect(jest.getTimerCount()).toBe(0);
  });

  test('is refused at once by the session that was called', async () => {
    const pages = [callee(bob, 'refuses'), callee(gateway.client('bob', 'c'), 'rings')];
    const alices = caller(alice, 'bob#b');
    alices.call();
    await gateway.arrive();
    expect(alices.states()).toEqual(['destroyed']);
    expect(pages[1]?.decide).toEqual([]);
  });

  test.each(['caller', 'session that took it'])(
    'forgets a call in all of them when the %s ends it',
    async (who) => {
      const pages = [callee(bob), callee(gateway.client('bob', 'c'), 'rings')];
      const alices = caller(alice, 'bob');
      const made = alices.call();
      await gateway.arrive();
      expect(made.state).toBe('connected');
      (who === 'caller' ? made : pages[0]?.peers[0])?.destroy();
      await gateway.arrive();
      const ringing = pages[1];
      // It rang all the time.
      ringing?.decide[0]?.(true);
      await gateway.arrive();
      expect(ringing?.states()).toEqual(['destroyed']);
      expect(ringing?.peers[0]?.heard).toEqual([]);
      alices.call();
      await gateway.arrive();
      expect(ringing?.decide.length).toBe(2);
      expect(alices.states()).toEqual(['destroyed', 'connected']);
    },
  );

  test('has the peer of a session destroyed that takes the call as the second one', async () => {
    const pages = [callee(bob), callee(gateway.client('bob', 'c'), 'rings')];
    const alices = caller(alice, 'bob');
    alices.call();
    await gateway.arrive();
    pages[1]?.decide[0]?.(true);
    await turn();
    pages[1]?.peers[0]?.emit('signal', { type: 'candidate' });
    await gateway.arrive();
    expect(alices.peers[0]?.heard.map(({ type }) => type)).toEqual(['answer']);
    expect([alices.states(), pages[0]?.states(), pages[1]?.states()]).toEqual([
      ['connected'],
      ['connected'],
      ['destroyed'],
    ]);
  });
});

test('who stops taking calls refuses those that wait, and lets its peers go on', async () => {
  const bobs = callee(bob, 'rings');
  const alices = caller(alice, 'bob#b');
  alices.call();
  await gateway.arrive();
  bobs.decide[0]?.(true);
  await gateway.arrive();
  const carol = caller(gateway.client('carol', 'c'), 'bob#b');
  carol.call();
  await gateway.arrive();
  bobs.stop();
  await gateway.arrive();
  expect([alices.states(), carol.states()]).toEqual([['connected'], ['destroyed']]);
  bobs.decide[1]?.(true);
  await gateway.arrive();
  expect(bobs.states()).toEqual(['connected', 'destroyed']);
});

test('a page rings for so many callers; the next one is refused', async () => {
  const bobs = callee(bob, 'rings');
  const all = Array.from({ length: 65 }, (_, n) => caller(gateway.client('carol', String(n)), 'bob#b'));
  for (const { call } of all) call();
  await gateway.arrive();
  wait();
  await gateway.arrive();
  expect(bobs.decide).toHaveLength(64);
  expect(all.map(({ states }) => states()[0])).toEqual([
    ...Array.from({ length: 64 }, () => 'new'),
    'destroyed',
  ]);
  bobs.stop();
  await gateway.arrive();
  wait();
});

test('a handler that fails refuses, and its error is told', async () => {
  const failures = [new Error('at once'), new Error('later')] as const;
  const handlers: (() => Promise<null>)[] = [
    () => {
      throw failures[0];
    },
    () => Promise.reject(failures[1]),
  ];
  for (const handler of handlers) {
    const stop = onSimplePeer(bob, handler);
    const alices = caller(alice, 'bob#b');
    alices.call();
    await gateway.arrive();
    expect(alices.states()).toEqual(['destroyed']);
    stop();
  }
  expect(gateway.errors).toEqual(failures);
});

test('words that nobody could have said are not heard', async () => {
  const bobs = callee(bob);
  const alices = caller(alice, 'bob');
  const made = alices.call();
  await gateway.arrive();
  for (const event of ['~simple-peer/call', '~simple-peer/answer'])
    for (const word of [
      null,
      'over',
      {},
      { kind: 'over' },
      { kind: 'end', call: 'x' },
      { kind: 'begin', call: 7 },
      { kind: 'over', call: 'x' },
    ]) {
      await alice.send('bob', event, word);
      await bob.send('alice', event, word);
    }
  await gateway.arrive();
  expect([made.state, bobs.states()]).toEqual(['connected', ['connected']]);
});
