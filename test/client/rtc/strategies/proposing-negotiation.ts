// What ADR 0006 was measured against: the leader sets what it offers, the follower only ever proposes.
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
 * Either side offers at will. The leader sets what it offers; the follower only proposes: it sets its offer when the answer is
 * there. Where two offers cross, the leader ignores the proposal and the follower forgets it and answers: it had set nothing that
 * would have to be taken back. Signals arrive in order and once, so both sides see a crossing alike.
 */
export class ProposingNegotiation implements NegotiationMachine {
  readonly counts: NegotiationCounts = { rounds: 0, collisions: 0, failures: 0 };
  readonly #isLeader: () => boolean;
  #phase: Phase = 'stable';
  #needed = false;
  /** Of the own offers. */
  #round = 0;
  /** The own offer while it is only proposed. */
  #proposal: string | null = null;
  #isProposal = false;
  /** Of the offer that is being accepted. */
  #acceptedRound = 0;
  #failuresInARow = 0;
  readonly #waiting: NegotiationSignal[] = [];

  /** @param isLeader exactly one of two ends that know each other; neither may be as long as they do not */
  constructor(isLeader: () => boolean) {
    this.#isLeader = isLeader;
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
        // Told before the own offer was made, which has it. What comes later is told again when the round is over.
        if (this.#phase !== 'offering') this.#needed = true;
        break;
      case 'received':
        this.#waiting.push(event.signal);
        if (this.#waiting.length > WAITING_LIMIT) return this.#fail(steps);
        break;
      case 'offered':
        this.#offered(event.sdp, steps);
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
    this.#isProposal = !this.#isLeader();
    steps.push({ do: 'offer', isProposal: this.#isProposal });
  }

  #offered(sdp: string, steps: Step[]): void {
    this.#expect('offering');
    this.#phase = 'offered';
    this.#proposal = this.#isProposal ? sdp : null;
    // A proposal that would be forgotten at once is not worth sending.
    const isInVain = !this.#isLeader() && this.#waiting.some(({ type }) => type === 'offer');
    if (!isInVain) steps.push({ do: 'send', signal: { type: 'offer', round: this.#round, sdp } });
  }

  #take(signal: NegotiationSignal, steps: Step[]): void {
    const isMine = 'round' in signal && this.#phase === 'offered' && signal.round === this.#round;
    switch (signal.type) {
      case 'offer':
        return this.#takeOffer(signal, steps);
      case 'answer':
        // Of another round: that proposal was forgotten.
        if (!isMine) return;
        this.#phase = 'applying';
        steps.push({ do: 'apply', own: this.#proposal, sdp: signal.sdp });
        return;
      case 'refuse':
        if (isMine) this.#refused(steps);
        return;
      case 'want':
      case 'grant':
      case 'pass':
        return;
      case 'candidate':
        // Those of a description that is not applied belong to an offer that was ignored: the driver sees that by their fragment.
        steps.push({ do: 'candidates', candidates: signal.candidate });
        return;
      default:
        signal satisfies never;
    }
  }

  #takeOffer({ round, sdp }: { round: number; sdp: string }, steps: Step[]): void {
    if (this.#phase === 'offered') {
      this.counts.collisions++;
      // The other side forgets its proposal when it sees ours.
      if (this.#isLeader()) return;
    }
    // What is needed beyond this offer the browser tells anew as soon as the connection is stable.
    this.#needed = false;
    this.#acceptedRound = round;
    this.#phase = 'accepting';
    steps.push({ do: 'accept', sdp });
  }

  #refused(steps: Step[]): void {
    this.counts.failures++;
    if (++this.#failuresInARow >= FAILURES_LIMIT) return this.#fail(steps);
    if (this.#proposal === null) return this.#undo(steps);
    this.#phase = 'stable';
    this.#needed = true;
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
