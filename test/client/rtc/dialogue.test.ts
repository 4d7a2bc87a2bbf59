// Two ends over every kind of line: each signal once and in order, whoever is made first and whatever gets lost.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Candidate, Signal, SignalBody } from '../../../src/client/rtc/signal.js';
import type { LineReceiver, SignalingLine, SignalingMechanism } from '../../../src/client/rtc/signaling.js';
import { ManualEnvironment } from '../fixture.js';
import { ALICE, BOB, End, LINES, lineOf, SeededEnvironment } from './model-line.js';

describe.each(LINES)('over %s', (_name, options) => {
  test('everything said is heard once and in order, whoever was there first', () => {
    const turns = fc.array(fc.record({ side: fc.nat(1), waitMs: fc.nat(300) }), { maxLength: 30 });
    fc.assert(
      fc.property(fc.integer(), turns, fc.nat(2_000), fc.boolean(), (seed, plan, lateMs, greets) => {
        const environment = new SeededEnvironment(seed);
        const mechanism = lineOf(options, environment);
        const alice = new End(mechanism, ALICE, environment);
        if (greets) alice.dialogue.greet();
        const said: [number[], number[]] = [[], []];
        let bob: End | null = null;
        let round = 0;
        const begin = environment.now();
        for (const { side, waitMs } of plan) {
          environment.advance(waitMs);
          if (bob === null && environment.now() - begin >= lateMs) {
            bob = new End(mechanism, BOB, environment);
          }
          const end = side === 0 ? alice : bob;
          if (end === null) continue;
          end.say(++round);
          said[side === 0 ? 0 : 1].push(round);
        }
        bob ??= new End(mechanism, BOB, environment);
        bob.dialogue.greet();
        environment.advance(20_000);
        expect(bob.rounds).toEqual(said[0]);
        expect(alice.rounds).toEqual(said[1]);
        // And nothing goes on by itself.
        alice.dialogue.close();
        environment.advance(10_000);
        expect(bob.told).toEqual(alice.dialogue.remote === null && said[0].length === 0 ? [] : ['bye']);
        bob.dialogue.close();
        environment.advance(10_000);
        expect(environment.pending).toBe(0);
      }),
      { numRuns: 100 },
    );
  });
});

/** With candidates that come before the word they follow: a call has some ten. */
test.each(LINES)(
  'a burst of more than is kept early is heard once and in order over %s',
  (_name, options) => {
    for (let seed = 1; seed <= 5; seed++) {
      const environment = new SeededEnvironment(seed);
      const mechanism = lineOf(options, environment);
      const [alice, bob] = [new End(mechanism, ALICE, environment), new End(mechanism, BOB, environment)];
      const bodies = Array.from({ length: 60 }, (_, n): SignalBody =>
        n % 3 === 0
          ? { type: 'offer', round: n, sdp: 'x'.repeat(60_000) }
          : { type: 'candidate', candidate: Array.from({ length: 64 }, () => candidateOf(n)) },
      );
      for (const body of bodies) alice.dialogue.send(body);
      environment.advance(60_000);
      expect(bob.heard.map((signal) => labelOf(signal))).toEqual(bodies.map((body) => labelOf(body)));
      alice.dialogue.close();
      bob.dialogue.close();
      environment.advance(10_000);
      expect(environment.pending).toBe(0);
    }
  },
);

const candidateOf = (n: number): Candidate => ({
  candidate: String(n).padStart(500),
  sdpMid: '0',
  sdpMLineIndex: 0,
  usernameFragment: null,
});
const labelOf = (signal: SignalBody): string => {
  if ('round' in signal) return String(signal.round);
  return signal.type === 'candidate' ? (signal.candidate[0]?.candidate.trim() ?? '') : signal.type;
};

describe('an end', () => {
  /** Hears and says by hand. */
  function byHand(
    isReliable: boolean,
    hasSureWay = false,
  ): {
    end: End;
    sent: Signal[];
    /** Whether each went by the sure way. */
    surely: boolean[];
    receiver: LineReceiver;
    environment: ManualEnvironment;
  } {
    const environment = new ManualEnvironment();
    const sent: Signal[] = [];
    const surely: boolean[] = [];
    const receivers: LineReceiver[] = [];
    const mechanism: SignalingMechanism = {
      connect(_info, receiver) {
        receivers.push(receiver);
        const send: SignalingLine['send'] = (signal, _to, isSure) => {
          sent.push(signal);
          surely.push(isSure);
        };
        return { isReliable, hasSureWay, ready: Promise.resolve(), send, close: () => {} };
      },
    };
    const end = new End(mechanism, ALICE, environment);
    const [receiver] = receivers;
    if (receiver === undefined) throw new Error('not connected');
    return { end, sent, surely, receiver, environment };
  }
  const from = (
    sender: string,
    to: string | null,
    seq: number,
    body: SignalBody = { type: 'refuse', round: seq },
  ): Signal => ({
    ...body,
    route: [sender, to, seq, 0],
  });

  test('does not hear a third one that knows neither its identity nor that of its other end', () => {
    const { end, receiver } = byHand(true);
    receiver.onSignal(from('bob-1', null, 1), 'bob#1');
    receiver.onSignal(from('mallory', null, 2), 'mallory#1');
    receiver.onSignal(from('bob-1', 'somebody else', 2), 'bob#1');
    receiver.onSignal(from('mallory', null, 3, { type: 'bye' }), 'mallory#1');
    expect(end.rounds).toEqual([1]);
    expect(end.told).toEqual([]);
  });

  test('asks again for what is missing when a line that is reliable skips a number', () => {
    const { end, sent, receiver } = byHand(true);
    receiver.onSignal(from('bob-1', end.dialogue.id, 3), 'bob#1');
    expect(sent.map(({ type }) => type)).toEqual(['sync']);
    for (const seq of [1, 2, 3]) receiver.onSignal(from('bob-1', end.dialogue.id, seq), 'bob#1');
    expect(end.rounds).toEqual([1, 2, 3]);
  });

  test('says again what is not acknowledged, and asks for the same, when the line tells of a loss', () => {
    const { end, sent, receiver } = byHand(true);
    receiver.onSignal(from('bob-1', null, 1), 'bob#1');
    end.say(1);
    end.say(2);
    receiver.onSignal({ type: 'ack', route: ['bob-1', end.dialogue.id, 0, 1] }, 'bob#2');
    sent.length = 0;
    receiver.onResync();
    expect(sent.map(({ type, route }) => [type, route[2], route[3]])).toEqual([
      ['sync', 0, 1],
      ['refuse', 2, 1],
    ]);
  });

  test('acknowledges alone only after many signals over a reliable line, so that a call costs none', () => {
    const { end, sent, receiver } = byHand(true);
    for (let seq = 1; seq < 32; seq++) receiver.onSignal(from('bob-1', end.dialogue.id, seq), 'bob#1');
    expect(sent).toEqual([]);
    receiver.onSignal(from('bob-1', end.dialogue.id, 32), 'bob#1');
    expect(sent.map(({ type, route }) => [type, route[3]])).toEqual([['ack', 32]]);
  });

  test('says all again when the application calls again, unless it has just spoken or was answered', () => {
    const { end, sent, receiver, environment } = byHand(true);
    end.dialogue.callAgain();
    end.say(1);
    end.say(2);
    end.dialogue.callAgain();
    expect(sent).toHaveLength(2);
    environment.advance(1_001);
    end.dialogue.callAgain();
    expect(sent.map(({ route }) => route[2])).toEqual([1, 2, 1, 2]);
    receiver.onSignal(from('bob-1', null, 1), 'bob#1');
    sent.length = 0;
    end.dialogue.callAgain();
    expect(sent).toEqual([]);
  });

  test('tells of an overflow when nothing is acknowledged', () => {
    const { end } = byHand(true);
    for (let round = 1; round <= 513; round++) end.say(round);
    expect(end.told).toEqual(['overflow']);
  });

  test('says once more, surely, what nobody acknowledges within a second, and then no more by itself', () => {
    const { end, sent, surely, environment } = byHand(false, true);
    end.say(1);
    environment.advance(600);
    end.say(2);
    environment.advance(400);
    expect([sent.map(({ route }) => route[2]), surely]).toEqual([
      [1, 2, 1],
      [false, false, true],
    ]);
    environment.advance(60_000);
    expect([sent.map(({ route }) => route[2]), surely]).toEqual([
      [1, 2, 1, 2],
      [false, false, true, true],
    ]);
    expect(environment.pending).toBe(0);
  });

  test('says surely, at once, what was dropped, and not again a second later', () => {
    const { end, sent, surely, receiver, environment } = byHand(false, true);
    end.say(1);
    const [dropped] = sent;
    if (dropped === undefined) throw new Error('nothing was said');
    receiver.onDropped(dropped.route[2]);
    receiver.onDropped(dropped.route[2]);
    environment.advance(60_000);
    expect([sent.map(({ route }) => route[2]), surely]).toEqual([
      [1, 1],
      [false, true],
    ]);
  });

  test('acknowledges all that came within 200 ms at once over a line with a sure way, or with what it says itself', () => {
    const { end, sent, surely, receiver, environment } = byHand(false, true);
    for (const seq of [1, 2, 3]) receiver.onSignal(from('bob-1', end.dialogue.id, seq), 'bob#1');
    environment.advance(199);
    expect(sent).toEqual([]);
    environment.advance(1);
    expect(sent.map(({ type, route }) => [type, route[3]])).toEqual([['ack', 3]]);
    receiver.onSignal(from('bob-1', end.dialogue.id, 4), 'bob#1');
    end.say(1);
    receiver.onSignal({ type: 'ack', route: ['bob-1', end.dialogue.id, 0, 1] }, 'bob#1');
    environment.advance(60_000);
    expect(sent.slice(1).map(({ type, route }) => [type, route[3]])).toEqual([['refuse', 4]]);
    expect(surely).toEqual([false, false]);
  });

  test('says and acknowledges nothing again of what the connection proves, until it is about something else', () => {
    const { end, sent, surely, receiver, environment } = byHand(false, true);
    const candidate: SignalBody = { type: 'candidate', candidate: [] };
    const hear = (seq: number, ack: number, body: SignalBody): void =>
      receiver.onSignal({ ...body, route: ['bob-1', end.dialogue.id, seq, ack] }, 'bob#1');
    end.dialogue.send({ type: 'offer', round: 1, sdp: '' });
    hear(1, 0, { type: 'answer', round: 1, sdp: '' });
    end.dialogue.proved();
    end.dialogue.send(candidate);
    hear(2, 0, candidate);
    environment.advance(60_000);
    expect([sent.map(({ route }) => route[2]), surely]).toEqual([
      [1, 2],
      [false, false],
    ]);
    expect(environment.pending).toBe(0);

    // The next round is acknowledged as ever, and what is missing is said again.
    hear(3, 1, { type: 'refuse', round: 2 });
    environment.advance(200);
    expect(sent.slice(2).map(({ type, route }) => [type, route[3]])).toEqual([['ack', 3]]);
    end.say(2);
    environment.advance(1_000);
    expect(sent.slice(3).map(({ route }) => route[2])).toEqual([3, 3]);
    expect(surely.slice(3)).toEqual([false, true]);
    receiver.onSignal({ type: 'sync', route: ['bob-1', end.dialogue.id, 0, 1] }, 'bob#1');
    expect(sent.slice(5).map(({ type, route }) => [type, route[2]])).toEqual([
      ['candidate', 2],
      ['refuse', 3],
      ['ack', 0],
    ]);
  });

  test('acknowledges a word about turns though the connection proves the rest, and says surely a candidate that was dropped', () => {
    const { end, sent, surely, receiver, environment } = byHand(false, true);
    receiver.onSignal(from('bob-1', end.dialogue.id, 1, { type: 'want' }), 'bob#1');
    end.dialogue.proved();
    environment.advance(200);
    expect(sent.map(({ type, route }) => [type, route[3]])).toEqual([['ack', 1]]);
    end.dialogue.proved();
    end.dialogue.send({ type: 'candidate', candidate: [] });
    receiver.onDropped(1);
    receiver.onDropped(1);
    environment.advance(60_000);
    expect(sent.slice(1).map(({ type, route }) => [type, route[2]])).toEqual([
      ['candidate', 1],
      ['candidate', 1],
    ]);
    expect(surely).toEqual([false, false, true]);
  });

  test('asks what is missing, and says nothing again that is proved, when the line tells of a loss; what it is asked for it says', () => {
    const { end, sent, receiver } = byHand(false, true);
    receiver.onSignal(from('bob-1', null, 1, { type: 'offer', round: 1, sdp: '' }), 'bob#1');
    end.dialogue.send({ type: 'answer', round: 1, sdp: '' });
    end.dialogue.proved();
    end.dialogue.send({ type: 'candidate', candidate: [] });
    sent.length = 0;
    receiver.onResync();
    expect(sent.map(({ type }) => type)).toEqual(['sync']);
    receiver.onSignal({ type: 'sync', route: ['bob-1', end.dialogue.id, 0, 1] }, 'bob#1');
    receiver.onResync();
    expect(sent.slice(1).map(({ type }) => type)).toEqual(['candidate', 'ack', 'sync', 'candidate']);
    // In front of what is not proved it is needed, too.
    end.dialogue.proved();
    end.dialogue.send({ type: 'want' });
    receiver.onResync();
    expect(sent.slice(5).map(({ type }) => type)).toEqual(['want', 'sync', 'candidate', 'want']);
  });

  test('acknowledges once more what comes again, as the first time may have been lost', () => {
    const { end, sent, receiver, environment } = byHand(false, true);
    receiver.onSignal(from('bob-1', end.dialogue.id, 1), 'bob#1');
    environment.advance(200);
    receiver.onSignal(from('bob-1', end.dialogue.id, 1), 'bob#1');
    environment.advance(20);
    expect(sent.map(({ type, route }) => [type, route[3]])).toEqual([
      ['ack', 1],
      ['ack', 1],
    ]);
    expect(end.rounds).toEqual([1]);
  });

  test('asks for what is missing when it does not come right behind what overtook it', () => {
    const { end, sent, surely, receiver, environment } = byHand(false, true);
    receiver.onSignal(from('bob-1', end.dialogue.id, 2), 'bob#1');
    environment.advance(99);
    receiver.onSignal(from('bob-1', end.dialogue.id, 1), 'bob#1');
    environment.advance(1);
    expect(sent).toEqual([]);
    receiver.onSignal(from('bob-1', end.dialogue.id, 5), 'bob#1');
    receiver.onSignal(from('bob-1', end.dialogue.id, 4), 'bob#1');
    environment.advance(100);
    expect([sent.map(({ type }) => type), surely]).toEqual([
      ['ack', 'sync'],
      [false, true],
    ]);
    environment.advance(60_000);
    expect(environment.pending).toBe(0);
  });

  test('says farewell surely, and takes one though what was said before it never came', () => {
    const { end, surely, receiver, environment } = byHand(false, true);
    receiver.onSignal(from('bob-1', end.dialogue.id, 3, { type: 'bye' }), 'bob#1');
    receiver.onSignal(from('bob-1', end.dialogue.id, 2), 'bob#1');
    expect([end.told, end.heard]).toEqual([['bye'], []]);
    end.dialogue.close();
    expect(surely).toEqual([true]);
    expect(environment.pending).toBe(0);
  });

  test('keeps a megabyte of what comes too early, and asks for the rest', () => {
    const { end, sent, receiver, environment } = byHand(false, true);
    const offer = (round: number): SignalBody => ({ type: 'offer', round, sdp: 'x'.repeat(200_000) });
    const hear = (seq: number): void =>
      receiver.onSignal(from('bob-1', end.dialogue.id, seq, offer(seq)), 'bob#1');
    // What comes twice counts once.
    for (let seq = 2; seq <= 500; seq++) for (let copy = 0; copy < 2; copy++) hear(seq);
    hear(1);
    const rounds = (): (number | null)[] =>
      end.heard.map((signal) => ('round' in signal ? signal.round : null));
    expect(rounds()).toEqual([1, 2, 3, 4, 5]);
    environment.advance(100);
    expect(sent.map(({ type, route }) => [type, route[3]])).toEqual([['sync', 5]]);
    // There is room again, until a farewell makes all of it needless.
    for (const seq of [10, 9, 8, 7, 6]) hear(seq);
    expect(rounds()).toHaveLength(10);
    for (let seq = 12; seq <= 30; seq++) hear(seq);
    receiver.onSignal(from('bob-1', end.dialogue.id, 31, { type: 'bye' }), 'bob#1');
    expect([rounds().length, end.told]).toEqual([10, ['bye']]);
  });

  test('ignores what is too far ahead', () => {
    const { end, receiver, environment } = byHand(false);
    receiver.onSignal(from('bob-1', end.dialogue.id, 600), 'bob#1');
    environment.advance(1_000);
    expect(end.rounds).toEqual([]);
  });
});
