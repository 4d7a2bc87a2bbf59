// Signaling between two peers of one page, as it is or as bad as a network can be: for tests, and for measuring.
import { type Environment, REAL_ENVIRONMENT } from '../environment.js';
import type { Signal } from './signal.js';
import type { LineInfo, LineReceiver, SignalingLine, SignalingMechanism } from './signaling.js';

/** How bad the network between the two ends is; default not at all. */
export interface LoopbackOptions {
  /** Each signal takes so long, ms: a fixed time, or any time between two. The order is kept. Default 0. */
  delayMs?: number | readonly [min: number, max: number];
  /** Share of the signals that get lost, 0–1. */
  loss?: number;
  /** Share of the signals that come twice. */
  duplication?: number;
  /** Whether a later signal may overtake an earlier one, by its random delay. */
  reorder?: boolean;
  /** Told of each signal that is sent: for counting. */
  onSignal?: (signal: Signal, info: LineInfo) => void;
}

interface End {
  readonly info: LineInfo;
  readonly receiver: LineReceiver;
  /** On their way, in order. */
  readonly coming: { signal: Signal; from: string }[];
  /** When the last of them arrives: none before it. */
  arrivesAt: number;
}

/** One object joins all peers that are made with it. */
export class LoopbackSignaling implements SignalingMechanism {
  readonly #options: LoopbackOptions;
  readonly #environment: Environment;
  readonly #ends = new Set<End>();

  /** @param environment clock, timers and chance: a seeded one repeats a run */
  constructor(options: LoopbackOptions = {}, environment: Environment = REAL_ENVIRONMENT) {
    this.#options = options;
    this.#environment = environment;
  }

  /** See `SignalingMechanism.connect`. */
  connect(info: LineInfo, receiver: LineReceiver): SignalingLine {
    const { loss = 0, duplication = 0, reorder = false } = this.#options;
    const end: End = { info, receiver, coming: [], arrivesAt: 0 };
    this.#ends.add(end);
    return {
      isReliable: loss === 0 && duplication === 0 && !reorder,
      ready: Promise.resolve(),
      send: (signal) => this.#send(end, signal),
      close: () => this.#ends.delete(end),
    };
  }

  #send({ info }: End, signal: Signal): void {
    this.#options.onSignal?.(signal, info);
    for (const end of this.#ends) if (meets(info, end.info)) this.#post(end, signal, info.localId);
  }

  #post(end: End, signal: Signal, from: string): void {
    const { loss = 0, duplication = 0, reorder = false } = this.#options;
    const environment = this.#environment;
    const copies = environment.random() < duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (environment.random() < loss) continue;
      const now = environment.now();
      const wanted = now + this.#delay();
      // What is sent is copied, as on every real way.
      const coming = { signal: structuredClone(signal), from };
      if (reorder) {
        environment.after(wanted - now, () => this.#arrive(end, coming));
        continue;
      }
      end.arrivesAt = Math.max(end.arrivesAt, wanted);
      end.coming.push(coming);
      // Timers count whole milliseconds and may swap; the queue does not.
      environment.after(end.arrivesAt - now, () => this.#arrive(end, end.coming.shift()));
    }
  }

  #arrive(end: End, coming: { signal: Signal; from: string } | undefined): void {
    if (coming !== undefined && this.#ends.has(end)) end.receiver.onSignal(coming.signal, coming.from);
  }

  #delay(): number {
    const { delayMs = 0 } = this.#options;
    if (typeof delayMs === 'number') return delayMs;
    const [min, max] = delayMs;
    return min + this.#environment.random() * (max - min);
  }
}

function meets(a: LineInfo, b: LineInfo): boolean {
  return a.localId === b.remoteId && a.remoteId === b.localId && a.name === b.name;
}
