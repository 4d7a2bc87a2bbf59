// Lines between two ends of a peer that delay, lose, double and swap as a seed has it, with or without a sure way, and an end that keeps what it hears.
import { Dialogue } from '../../../src/client/rtc/dialogue.js';
import { type LoopbackOptions, LoopbackSignaling } from '../../../src/client/rtc/loopback-signaling.js';
import type { SignalBody } from '../../../src/client/rtc/signal.js';
import type {
  LineInfo,
  LineReceiver,
  SignalingLine,
  SignalingMechanism,
} from '../../../src/client/rtc/signaling.js';
import { ManualEnvironment } from '../fixture.js';

/** Time by hand, chance by a seed. */
export class SeededEnvironment extends ManualEnvironment {
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

export class End {
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

export const ALICE: [string, string] = ['alice', 'bob'];
export const BOB: [string, string] = ['bob', 'alice'];

/** What may be lost goes one way, what may not the other, as over the gateway. */
class TwoWays implements SignalingMechanism {
  readonly #volatile: LoopbackSignaling;
  readonly #sure: LoopbackSignaling;

  constructor(options: LoopbackOptions, environment: ManualEnvironment) {
    this.#volatile = new LoopbackSignaling(options, environment);
    this.#sure = new LoopbackSignaling({ delayMs: options.delayMs ?? 0 }, environment);
  }

  connect(info: LineInfo, receiver: LineReceiver): SignalingLine {
    const [quick, sure] = [this.#volatile.connect(info, receiver), this.#sure.connect(info, receiver)];
    return {
      isReliable: false,
      hasSureWay: true,
      ready: Promise.resolve(),
      send: (signal, to, isSure) => (isSure ? sure : quick).send(signal, to, isSure),
      close: () => {
        quick.close();
        sure.close();
      },
    };
  }
}

/** The line of one end is that of an older SDK, which says everything by the sure way and trusts it; it hears both. */
class OneOlder implements SignalingMechanism {
  readonly #ways: TwoWays;

  constructor(
    private readonly older: string,
    options: LoopbackOptions,
    environment: ManualEnvironment,
  ) {
    this.#ways = new TwoWays(options, environment);
  }

  connect(info: LineInfo, receiver: LineReceiver): SignalingLine {
    const line = this.#ways.connect(info, receiver);
    if (info.localId !== this.older) return line;
    return {
      isReliable: true,
      ready: line.ready,
      send: (signal, to) => line.send(signal, to, true),
      close: () => line.close(),
    };
  }
}

interface LineOptions extends LoopbackOptions {
  hasSureWay?: boolean;
  /** Which end has an older SDK. */
  older?: string;
}

export const LINES: [string, LineOptions][] = [
  ['a direct line', {}],
  ['a line with random delay', { delayMs: [0, 100] }],
  ['a line with loss', { delayMs: [0, 20], loss: 0.3 }],
  ['a line with duplication', { delayMs: [0, 20], duplication: 0.5 }],
  ['a line with reordering', { delayMs: [0, 100], reorder: true }],
  ['a line with all of it', { delayMs: [0, 100], loss: 0.2, duplication: 0.3, reorder: true }],
  ['a line with a sure way that loses nothing', { delayMs: [0, 20], hasSureWay: true }],
  ['a line with a sure way that loses half', { delayMs: [0, 100], loss: 0.5, hasSureWay: true }],
  ['a line with a sure way that loses all', { loss: 1, hasSureWay: true }],
  [
    'a line with a sure way and all of it',
    { delayMs: [0, 100], loss: 0.2, duplication: 0.3, reorder: true, hasSureWay: true },
  ],
  ['a line whose first end is older', { delayMs: [0, 100], loss: 0.5, reorder: true, older: 'alice' }],
  ['a line whose second end is older', { delayMs: [0, 100], loss: 0.5, reorder: true, older: 'bob' }],
];

/** One of these. */
export function lineOf(
  { hasSureWay = false, older, ...options }: LineOptions,
  environment: ManualEnvironment,
): SignalingMechanism {
  if (older !== undefined) return new OneOlder(older, options, environment);
  return new (hasSureWay ? TwoWays : LoopbackSignaling)(options, environment);
}
