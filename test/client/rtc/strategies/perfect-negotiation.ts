// What ADR 0006 was measured against: perfect negotiation, where the polite side of two that offer takes its offer back (rollback).
import type {
  NegotiationCounts,
  NegotiationEvent,
  NegotiationMachine,
  Step,
} from '../../../../src/client/rtc/negotiation.js';
import type { NegotiationSignal } from '../../../../src/client/rtc/signal.js';

/**
 * `offering`, `accepting`, `applying`, `undoing`: that step is under way, what arrives waits;
 * `offered`: the own offer waits for its answer.
 */
type Phase = 'stable' | 'offering' | 'offered' | 'accepting' | 'applying' | 'undoing' | 'failed';

/** Failed rounds in a row after which it is no use. */
const FAILURES_LIMIT = 3;
/** Most signals that wait for a step to end: descriptions come one by one, candidates in batches. */
const WAITING_LIMIT = 256;

/**
 * Perfect negotiation as a machine: either side offers at will; where two offers cross, the polite side takes its own back
 * and answers, the other ignores what it got. Signals arrive in order and once, so both sides see a crossing alike.
 */
export class PerfectNegotiation implements NegotiationMachine {
  readonly counts: NegotiationCounts = { rounds: 0, collisions: 0, failures: 0 };
  readonly #isPolite: () => boolean;
  #phase: Phase = 'stable';
  #needed = false;
  /** Of the own offers. */
  #round = 0;
  /** Of the offer that is being accepted. */
  #acceptedRound = 0;
  /** An own offer was taken back for it. */
  #isTakenBack = false;
  #failuresInARow = 0;
  readonly #waiting: NegotiationSignal[] = [];

  /** @param isPolite asked only when two offers crossed: then both ends know each other, and one of them is polite */
  constructor(isPolite: () => boolean) {
    this.#isPolite = isPolite;
  }

  get isSettled(): boolean {
    return this.#phase === 'stable' && !this.#needed && this.#waiting.length === 0;
  }

  handle(event: NegotiationEvent): Step[] {
    const steps: Step[] = [];
    if (this.#phase !== 'failed') this.#move(event, steps);
    return steps;
  }

  #move(event: NegotiationEvent, steps: Step[]): void {
    switch (event.type) {
      case 'needed':
        // Told before the own offer was set, which has it; what came later is told again at the end of the round.
        if (this.#phase !== 'offering' && this.#phase !== 'offered') this.#needed = true;
        break;
      case 'received':
        this.#waiting.push(event.signal);
        if (this.#waiting.length > WAITING_LIMIT) return this.#fail(steps);
        break;
      case 'offered':
        this.#expect('offering');
        this.#phase = 'offered';
        // One that would be taken back at once is not worth sending.
        if (!this.#waiting.some(({ type }) => type === 'offer') || !this.#isPolite())
          steps.push({ do: 'send', signal: { type: 'offer', round: this.#round, sdp: event.sdp } });
        break;
      case 'answered':
        this.#expect('accepting');
        steps.push({ do: 'send', signal: { type: 'answer', round: this.#acceptedRound, sdp: event.sdp } });
        this.#agreed();
        break;
      case 'applied':
        this.#expect('applying');
        this.#agreed();
        break;
      case 'undone':
        this.#expect('undoing');
        this.#phase = 'stable';
        this.#needed = true;
        break;
      case 'failed':
        this.#stepFailed(steps);
        break;
      default:
        event satisfies never;
    }
    this.#proceed(steps);
  }

  /** Takes what waits, one step at a time. */
  #proceed(steps: Step[]): void {
    while (this.#phase === 'stable' || this.#phase === 'offered') {
      const signal = this.#waiting.shift();
      if (signal !== undefined) this.#take(signal, steps);
      else if (this.#phase === 'stable' && this.#needed) return this.#offer(steps);
      else return;
    }
  }

  #offer(steps: Step[]): void {
    this.#needed = false;
    this.#round++;
    this.#phase = 'offering';
    steps.push({ do: 'offer', isProposal: false });
  }

  #take(signal: NegotiationSignal, steps: Step[]): void {
    const isMine = 'round' in signal && this.#phase === 'offered' && signal.round === this.#round;
    switch (signal.type) {
      case 'offer':
        return this.#takeOffer(signal, steps);
      case 'answer':
        // Of another round: that offer was taken back.
        if (!isMine) return;
        this.#phase = 'applying';
        steps.push({ do: 'apply', own: null, sdp: signal.sdp });
        return;
      case 'refuse':
        if (isMine) this.#undo(steps);
        return;
      case 'candidate':
        // Those of a description that is not applied belong to an offer that was ignored: the driver sees that by their fragment.
        steps.push({ do: 'candidates', candidates: signal.candidate });
        return;
      case 'want':
      case 'grant':
      case 'pass':
        return;
      default:
        signal satisfies never;
    }
  }

  #takeOffer({ round, sdp }: { round: number; sdp: string }, steps: Step[]): void {
    this.#isTakenBack = this.#phase === 'offered';
    if (this.#isTakenBack) {
      this.counts.collisions++;
      // The other side takes its offer back when it sees ours.
      if (!this.#isPolite()) return;
    }
    // What is needed beyond this offer the browser tells anew as soon as the connection is stable.
    this.#needed = false;
    this.#acceptedRound = round;
    this.#phase = 'accepting';
    steps.push({ do: 'accept', sdp });
  }

  #agreed(): void {
    this.#phase = 'stable';
    this.#failuresInARow = 0;
    this.counts.rounds++;
  }

  #stepFailed(steps: Step[]): void {
    this.counts.failures++;
    const isLast = ++this.#failuresInARow >= FAILURES_LIMIT;
    switch (this.#phase) {
      case 'accepting':
        steps.push({ do: 'send', signal: { type: 'refuse', round: this.#acceptedRound } });
        this.#phase = 'stable';
        this.#needed ||= this.#isTakenBack;
        break;
      case 'offering':
        this.#phase = 'stable';
        this.#needed = true;
        break;
      case 'applying':
        this.#undo(steps);
        break;
      default:
        return this.#fail(steps);
    }
    if (isLast) this.#fail(steps);
  }

  #undo(steps: Step[]): void {
    this.#phase = 'undoing';
    steps.push({ do: 'undo' });
  }

  #fail(steps: Step[]): void {
    this.#phase = 'failed';
    this.#waiting.length = 0;
    steps.push({ do: 'fail' });
  }

  #expect(phase: Phase): void {
    if (this.#phase !== phase) throw new TypeError(`A step of ${phase} ended in ${this.#phase}.`);
  }
}
