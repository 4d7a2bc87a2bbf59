// Two ends over every kind of line: each signal once and in order, whoever is made first and whatever gets lost.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Dialogue } from '../../../src/client/rtc/dialogue.js';
import { type LoopbackOptions, LoopbackSignaling } from '../../../src/client/rtc/loopback-signaling.js';
import type { Signal, SignalBody } from '../../../src/client/rtc/signal.js';
import type { LineInfo, LineReceiver, SignalingMechanism } from '../../../src/client/rtc/signaling.js';
import { ManualEnvironment } from '../fixture.js';

/** Time by hand, chance by a seed. */
class SeededEnvironment extends ManualEnvironment {
  constructor(private seed: number) {
    super();
  }

  override random(): number {
    // mulberry32
    this.seed = (this.seed + 0x6d2b79f5) | 0;
    let t = Math.imul(this.seed ^ (this.seed >>> 15), 1 | this.seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
}

class End {
  readonly heard: SignalBody[] = [];
  readonly told: string[] = [];
  readonly dialogue: Dialogue;

  constructor(
    mechanism: SignalingMechanism,
    [localId, remoteId]: [string, string],
    environment: ManualEnvironment,
  ) {
    const info: LineInfo = { localId, remoteId, name: '' };
    const port = {
      onSignal: (signal: SignalBody) => this.heard.push(signal),
      onBye: () => this.told.push('bye'),
      onFailed: () => this.told.push('error'),
      onOverflow: () => this.told.push('overflow'),
      onEnded: () => this.told.push('end'),
    };
    this.dialogue = new Dialogue(mechanism, info, port, environment);
  }

  say(round: number): void {
    this.dialogue.send({ type: 'refuse', round });
  }

  get rounds(): number[] {
    return this.heard.map((signal) => (signal.type === 'refuse' ? signal.round : -1));
  }
}

const ALICE: [string, string] = ['alice', 'bob'];
const BOB: [string, string] = ['bob', 'alice'];
const LINES: [string, LoopbackOptions][] = [
  ['a direct line', {}],
  ['a line with random delay', { delayMs: [0, 100] }],
  ['a line with loss', { delayMs: [0, 20], loss: 0.3 }],
  ['a line with duplication', { delayMs: [0, 20], duplication: 0.5 }],
  ['a line with reordering', { delayMs: [0, 100], reorder: true }],
  ['a line with all of it', { delayMs: [0, 100], loss: 0.2, duplication: 0.3, reorder: true }],
];

describe.each(LINES)('over %s', (_name, options) => {
  test('everything said is heard once and in order, whoever was there first', () => {
    const turns = fc.array(fc.record({ side: fc.nat(1), waitMs: fc.nat(300) }), { maxLength: 30 });
    fc.assert(
      fc.property(fc.integer(), turns, fc.nat(2_000), fc.boolean(), (seed, plan, lateMs, greets) => {
        const environment = new SeededEnvironment(seed);
        const mechanism = new LoopbackSignaling(options, environment);
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

describe('an end', () => {
  /** Hears and says by hand. */
  function byHand(isReliable: boolean): {
    end: End;
    sent: Signal[];
    receiver: LineReceiver;
    environment: ManualEnvironment;
  } {
    const environment = new ManualEnvironment();
    const sent: Signal[] = [];
    const receivers: LineReceiver[] = [];
    const mechanism: SignalingMechanism = {
      connect(_info, receiver) {
        receivers.push(receiver);
        return { isReliable, ready: Promise.resolve(), send: (signal) => sent.push(signal), close: () => {} };
      },
    };
    const end = new End(mechanism, ALICE, environment);
    const [receiver] = receivers;
    if (receiver === undefined) throw new Error('not connected');
    return { end, sent, receiver, environment };
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

  test('tells of an overflow when nothing is acknowledged', () => {
    const { end } = byHand(true);
    for (let round = 1; round <= 513; round++) end.say(round);
    expect(end.told).toEqual(['overflow']);
  });

  test('ignores what is too far ahead', () => {
    const { end, receiver, environment } = byHand(false);
    receiver.onSignal(from('bob-1', end.dialogue.id, 600), 'bob#1');
    environment.advance(1_000);
    expect(end.rounds).toEqual([]);
  });
});
