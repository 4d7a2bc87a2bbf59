// Who offers when: a pure state machine over both sides' offers, so that overlapping ones do no harm (ADR 0006).
import type { Candidate, NegotiationSignal } from './signal.js';

/** What the driver does next; each but `send`, `candidates` and `fail` is answered by exactly one event. */
export type Step =
  /** Make an offer, and set it unless it is only proposed; then `offered`. */
  | { do: 'offer'; isProposal: boolean }
  /** Set the other side's offer, then make and set the answer; then `answered`. */
  | { do: 'accept'; sdp: string }
  /** Set the own offer where it was only proposed, then the other side's answer; then `applied`. */
  | { do: 'apply'; own: string | null; sdp: string }
  /** Take the own offer back, which the other side cannot use; then `undone`. */
  | { do: 'undo' }
  | { do: 'candidates'; candidates: Candidate[] }
  | { do: 'send'; signal: NegotiationSignal }
  /** It cannot succeed: what was tried again and again failed. */
  | { do: 'fail' };

export type NegotiationEvent =
  /** Something was added, removed or changed that the other side must agree to. */
  | { type: 'needed' }
  | { type: 'offered' | 'answered'; sdp: string }
  | { type: 'applied' | 'undone' }
  /** The last step threw; the connection is stable, or still has the own offer where an answer could not be applied. */
  | { type: 'failed' }
  | { type: 'received'; signal: NegotiationSignal };

/** A way to decide who offers. */
export interface NegotiationMachine {
  /** No step is under way, nothing is wanted, no answer awaited. */
  readonly isSettled: boolean;
  readonly counts: NegotiationCounts;
  /** Which stream numbers channels may have is not known yet, and Chromium would guess. */
  readonly holdsChannels?: boolean;
  handle(event: NegotiationEvent): Step[];
}

/** What became of the offers so far. */
export interface NegotiationCounts {
  /** Offer and answer both applied here. */
  rounds: number;
  /** Both sides offered at the same time. */
  collisions: number;
  failures: number;
}

/**
 * `offering`, `accepting`, `applying`, `undoing`: that step is under way, what arrives waits;
 * `offered`: the own offer waits for its answer.
 */
type Phase = 'stable' | 'offering' | 'offered' | 'accepting' | 'applying' | 'undoing' | 'failed';

/** Failed rounds in a row after which it is no use. */
export const FAILURES_LIMIT = 3;
/** Most signals that wait for a step to end: descriptions come one by one, candidates in batches. */
const WAITING_LIMIT = 256;

/**
 * One of the two, the leader, may offer at any time. The other, the follower, asks for the turn, and gives it back with the end of
 * its round. Only as long as nothing was agreed on the follower need not ask: it *proposes*, which is an offer that is not set
 * before the answer is there. Where that crosses an offer, the leader ignores it and the follower forgets it and answers. So no
 * description that was set is ever taken back. Signals arrive in order and once, so both sides see a crossing alike.
 */
export class Negotiation implements NegotiationMachine {
  readonly counts: NegotiationCounts = { rounds: 0, collisions: 0, failures: 0 };
  readonly #isLeader: () => boolean;
  #phase: Phase = 'stable';
  #needed = false;
  /** Of the own offers. */
  #round = 0;
  #isProposal = false;
  /** The own offer while it is only proposed. */
  #proposal: string | null = null;
  /** Of the offer that is being accepted. */
  #acceptedRound = 0;
  /** The follower has the turn: as the leader sees it, lent; as the follower, its own. */
  #isLent = false;
  /** The follower asked for it. */
  #isAsked = false;
  #wasOwnRound = false;
  #failuresInARow = 0;
  readonly #waiting: NegotiationSignal[] = [];

  /** @param isLeader exactly one of two ends that know each other; neither may be as long as they do not */
  constructor(isLeader: () => boolean) {
    this.#isLeader = isLeader;
  }

  get isSettled(): boolean {
    return this.#phase === 'stable' && !this.#needed && !this.#isLent && this.#waiting.length === 0;
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
        // What is known to follow a proposal can be asked for with it.
        if (this.#phase === 'offered' && !this.#isLeader()) this.#ask(steps);
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
        if (this.#isLeader()) this.#isLent = false;
        this.#agreed(false);
        break;
      case 'applied':
        this.#expect('applying');
        if (!this.#isLeader()) this.#isLent = false;
        this.#agreed(true);
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
      else if (this.#phase === 'stable') return this.#isLeader() ? this.#lead(steps) : this.#follow(steps);
      else return;
    }
  }

  #lead(steps: Step[]): void {
    if (this.#isLent) return;
    // Who has just had a round lets the other one go first.
    if (this.#needed && !(this.#isAsked && this.#wasOwnRound)) return this.#offer(steps);
    if (!this.#isAsked) return;
    this.#isAsked = false;
    this.#isLent = true;
    steps.push({ do: 'send', signal: { type: 'grant' } });
  }

  #follow(steps: Step[]): void {
    if (this.#needed) {
      if (this.#isLent || this.counts.rounds === 0) this.#offer(steps);
      else this.#ask(steps);
    } else if (this.#isLent) {
      this.#isLent = false;
      steps.push({ do: 'send', signal: { type: 'pass' } });
    }
  }

  #ask(steps: Step[]): void {
    if (this.#isAsked || this.#isLent) return;
    this.#isAsked = true;
    steps.push({ do: 'send', signal: { type: 'want' } });
  }

  #offer(steps: Step[]): void {
    this.#needed = false;
    this.#round++;
    this.#phase = 'offering';
    this.#isProposal = !this.#isLeader() && !this.#isLent;
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
      case 'candidate':
        // Those of a description that is not applied belong to a proposal that was ignored: the driver sees that by their fragment.
        steps.push({ do: 'candidates', candidates: signal.candidate });
        return;
      case 'want':
        this.#isAsked = true;
        return;
      case 'grant':
        this.#isAsked = false;
        this.#isLent = true;
        return;
      case 'pass':
        this.#isLent = false;
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

  #agreed(isOwn: boolean): void {
    this.#phase = 'stable';
    this.#wasOwnRound = isOwn;
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
