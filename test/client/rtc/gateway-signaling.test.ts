// Signals over a client: which are volatile and which are kept, and what becomes of those that the gateway refuses.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, jest, test } from '@jest/globals';
import { Dialogue } from '../../../src/client/rtc/dialogue.js';
import { Exchange, type GatewayClient, GatewaySignaling } from '../../../src/client/rtc/gateway-signaling.js';
import type { Signal, SignalBody } from '../../../src/client/rtc/signal.js';
import { type PeerOptions, RTCSignalingPeer } from '../../../src/client/rtc/signaling-peer.js';
import { GatewayError } from '../../../src/protocol/errors.js';
import { ManualEnvironment } from '../fixture.js';
import { useTestConnections } from './test-connection.js';

useTestConnections();

const BOB = { client: 'bob', session: 'BBBBBBBBBBBBBBBBBBBBBB' };
const NOT_FOUND = new GatewayError('not_found');
type SendOptions = Parameters<GatewayClient['send']>[3];

/** Waits for a connection, whatever the client does with the application's calls. */
function isKept(options: SendOptions): options is Exclude<SendOptions, { volatile: true } | undefined> {
  return options !== undefined && 'whenOffline' in options;
}

/** Alice, whose client notes what it is asked to send. */
function alice(answer: (options: SendOptions) => Promise<unknown> = () => Promise.resolve()) {
  const environment = new ManualEnvironment();
  const sent: { to: string; type: string; kept: boolean; signal: Signal }[] = [];
  const handlers: ((data: unknown, from: typeof BOB) => unknown)[] = [];
  const client: GatewayClient = {
    id: 'alice',
    state: 'connected',
    iceServers: [],
    connect: () => Promise.resolve(),
    send: (to, _event, data, options) => {
      const signal = data as Signal;
      sent.push({ to, type: signal.type, kept: isKept(options), signal });
      return answer(options);
    },
    onMessage: (_event, handler) => {
      handlers.push(handler);
      return () => undefined;
    },
    on: () => () => undefined,
  };
  Exchange.of(client, environment);
  const signaling = new GatewaySignaling(client);
  const options: PeerOptions = { signaling, environment };
  return {
    environment,
    sent,
    signaling,
    peer: () => new RTCSignalingPeer('alice', 'bob', {}, options),
    hear: (signal: Signal) => {
      for (const handler of handlers) handler(signal, BOB);
    },
  };
}
const settle = () => new Promise((resolve) => setImmediate(resolve));
const from = (id: string, to: string | null, seq: number, body: SignalBody): Signal => ({
  ...body,
  route: [id, to, seq, 0],
});

test('who takes calls of strangers may stop', () => {
  const { signaling, hear } = alice();
  const heard: string[] = [];
  const stop = signaling.onStranger(({ client }) => heard.push(client));
  hear(from('bob-1', null, 1, { type: 'hello' }));
  stop();
  hear(from('bob-2', null, 1, { type: 'hello' }));
  expect(heard).toEqual(['bob']);
});

test('what is said goes as a volatile message, the farewell as a kept one', async () => {
  const { sent, peer, hear } = alice();
  const made = peer();
  hear(from('bob-1', null, 1, { type: 'offer', round: 1, sdp: 'v=0' }));
  await settle();
  made.close();
  expect(sent.map(({ to, type, kept }) => [to, type, kept])).toEqual([
    // The connections of this test take no description.
    [`bob#${BOB.session}`, 'refuse', false],
    [`bob#${BOB.session}`, 'bye', true],
  ]);
});

test('a volatile signal that is refused, or not sent, is kept at once; only a refusal of that is told', async () => {
  const refused = alice((options) => {
    if (isKept(options)) return Promise.reject(NOT_FOUND);
    queueMicrotask(() => options?.onRefused());
    return Promise.resolve();
  });
  const offline = alice((options) =>
    isKept(options) ? Promise.resolve() : Promise.reject(new GatewayError('offline')),
  );
  for (const { sent, environment, peer, hear } of [refused, offline]) {
    const made = peer();
    hear(from('bob-1', null, 1, { type: 'offer', round: 1, sdp: 'v=0' }));
    await settle();
    environment.advance(5_000);
    const refusals = sent.filter(({ type }) => type === 'refuse');
    expect(refusals.map(({ kept, signal }) => [kept, signal.route[2]])).toEqual([
      [false, 1],
      [true, 1],
    ]);
    const told = made.errors.filter(({ kind }) => kind === 'signaling');
    expect(told.length).toBe(sent === refused.sent ? 1 : 0);
    made.close();
  }
});

test('what a client cannot send for a minute is said again every 2 s, and no more often for its number', async () => {
  jest.useFakeTimers();
  try {
    const { sent, signaling, environment } = alice(() => Promise.reject(new GatewayError('offline')));
    let failures = 0;
    const ignored = { onSignal: () => {}, onBye: () => {}, onOverflow: () => {}, onEnded: () => {} };
    const dialogue = new Dialogue(
      signaling,
      { localId: 'alice', remoteId: 'bob', name: '' },
      { ...ignored, onFailed: () => failures++ },
      environment,
    );
    const said = 3;
    for (let round = 1; round <= said; round++) dialogue.send({ type: 'refuse', round });
    await jest.advanceTimersByTimeAsync(61_000);
    const kept = sent.filter((one) => one.kept).length;
    // At once, and 30 times more.
    expect([sent.length - kept, kept, failures]).toEqual([said, said * 31, said * 31]);
    expect(jest.getTimerCount()).toBe(1);
    dialogue.close();
    expect(jest.getTimerCount()).toBe(0);
    sent.length = 0;
    await jest.advanceTimersByTimeAsync(10_000);
    expect(sent).toEqual([]);
  } finally {
    jest.useRealTimers();
  }
});

test('the first words of an end that said farewell are no new call when they come once more', () => {
  const { signaling, peer, hear } = alice();
  const calls: string[] = [];
  signaling.onStranger(({ client }) => {
    calls.push(client);
    peer();
  });
  const offer = from('bob-1', null, 1, { type: 'offer', round: 1, sdp: 'v=0' });
  hear(offer);
  hear(from('bob-1', null, 2, { type: 'bye' }));
  hear(offer);
  expect(calls).toEqual(['bob']);
  hear(from('bob-2', null, 1, { type: 'offer', round: 1, sdp: 'v=0' }));
  expect(calls).toEqual(['bob', 'bob']);
});

describe('a call that is refused', () => {
  const offer = (end: string): Signal => from(end, null, 1, { type: 'offer', round: 1, sdp: 'v=0' });

  test('is told so at once and surely, and is no new call when it comes once more', () => {
    const { signaling, peer, hear, sent } = alice();
    let calls = 0;
    signaling.onStranger(() => {
      calls++;
      peer().close();
    });
    hear(offer('bob-1'));
    const route = [expect.any(String), 'bob-1', 1, 1];
    expect(sent).toEqual([
      { to: `bob#${BOB.session}`, type: 'bye', kept: true, signal: { type: 'bye', route } },
    ]);
    hear(offer('bob-1'));
    hear(from('bob-1', null, 2, { type: 'candidate', candidate: [] }));
    expect([calls, sent.length]).toEqual([1, 1]);
    hear(offer('bob-2'));
    expect([calls, sent.length]).toEqual([2, 2]);
  });

  test('ends with remote', () => {
    const { peer, hear, sent, environment } = alice();
    const made = peer();
    const ends: unknown[] = [];
    made.on('close', (reason) => ends.push(reason));
    environment.advance(0);
    return settle().then(() => {
      const [id = ''] = sent[0]?.signal.route ?? [];
      hear({ type: 'bye', route: ['bob-1', id, 1, 0] });
      expect(ends).toEqual(['remote']);
    });
  });

  test('is not where another listener takes it, or what was closed is for somebody else', () => {
    const { signaling, peer, hear, sent } = alice();
    const stop = signaling.onStranger(() => peer().close());
    signaling.onStranger(() => peer());
    hear(offer('bob-1'));
    hear(offer('bob-1'));
    stop();
    expect(sent.map(({ type }) => type)).toEqual([]);
    const others = alice();
    const carol = new RTCSignalingPeer('alice', 'carol', {}, others);
    others.signaling.onStranger(() => carol.close());
    others.hear(offer('bob-1'));
    expect(others.sent).toEqual([]);
  });
});

describe('what is said to an end that is not here', () => {
  test('is answered by a volatile message, once for each pair in half a second, and not where it waits for nothing', () => {
    const { hear, sent, environment } = alice();
    for (const type of ['ack', 'bye', 'gone'] as const) hear(from('bob-1', 'gone', 0, { type }));
    expect(sent).toEqual([]);
    for (let seq = 1; seq <= 5; seq++) hear(from('bob-1', 'gone', seq, { type: 'want' }));
    hear(from('bob-2', 'gone', 1, { type: 'want' }));
    expect(sent.map(({ type, kept, signal }) => [type, kept, signal.route])).toEqual([
      ['gone', false, ['gone', 'bob-1', 0, 0]],
      ['gone', false, ['gone', 'bob-2', 0, 0]],
    ]);
    // It says that again after a second, as the answer may have been lost.
    environment.advance(500);
    hear(from('bob-1', 'gone', 1, { type: 'want' }));
    expect(sent).toHaveLength(3);
  });

  test.each([
    ['to an end that is not here', 'gone'],
    ['to whoever it is, all of which are refused', null],
  ])('is answered ten times a second at most, whoever says it: %s', (_what, to) => {
    const { signaling, peer, hear, sent, environment } = alice();
    signaling.onStranger(() => peer().close());
    for (let n = 0; n < 10_000; n++) {
      hear(from(`bob-${String(n)}`, to, 0, { type: 'hello' }));
      environment.advance(2);
    }
    // 20 s.
    expect(sent).toHaveLength(200);
  });
});

test('a peer that is closed is let go, though the client keeps what to do when its signals are refused', async () => {
  const kept: (() => void)[] = [];
  const { peer, hear, sent, environment } = alice((options) => {
    if (options !== undefined && !isKept(options)) kept.push(options.onRefused);
    return Promise.resolve();
  });
  async function call(): Promise<WeakRef<RTCSignalingPeer>[]> {
    const made = peer();
    hear(from('bob-1', null, 1, { type: 'offer', round: 1, sdp: 'v=0' }));
    await settle();
    made.close();
    environment.advance(60_000);
    return [new WeakRef(made)];
  }
  const [made] = await call();
  sent.length = 0;
  expect(kept).toHaveLength(1);
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  setFlagsFromString('--no-expose-gc');
  for (let turn = 0; turn < 5 && made?.deref() !== undefined; turn++) {
    await settle();
    collect();
  }
  expect(made?.deref()).toBeUndefined();
  // Told all the same, nobody minds.
  for (const tell of kept) tell();
  expect(sent).toEqual([]);
});
