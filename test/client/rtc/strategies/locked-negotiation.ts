// What ADR 0006 was measured against: only who holds a lock may offer. Seed 1's lock belongs to nobody; a turn has a home.
import type {
  NegotiationCounts,
  NegotiationEvent,
  NegotiationMachine,
  Step,
} from '../../../../src/client/rtc/negotiation.js';
import type { NegotiationSignal } from '../../../../src/client/rtc/signal.js';

type Holder = 'me' | 'them' | 'nobody';

export class LockedNegotiation implements NegotiationMachine {
  readonly counts: NegotiationCounts = { rounds: 0, collisions: 0, failures: 0 };
  readonly #isLeader: boolean;
  readonly #home: Holder;
  #holder: Holder;
  #isBusy = false;
  #isOffered = false;
  #needed = false;
  #asked = false;
  #theyAsked = false;
  #round = 0;
  #acceptedRound = 0;
  readonly #waiting: NegotiationSignal[] = [];

  /** @param kind `lock`: asked for across the wire each time; `turn`: the leader's unless the other side asks */
  constructor(isLeader: boolean, kind: 'lock' | 'turn') {
    this.#isLeader = isLeader;
    this.#home = kind === 'lock' ? 'nobody' : isLeader ? 'me' : 'them';
    this.#holder = this.#home;
  }

  get isSettled(): boolean {
    return !this.#isBusy && !this.#isOffered && !this.#needed && !this.#asked && this.#waiting.length === 0;
  }

  handle(event: NegotiationEvent): Step[] {
    const steps: Step[] = [];
    switch (event.type) {
      case 'needed':
        if (!this.#isBusy && !this.#isOffered) this.#needed = true;
        break;
      case 'received':
        this.#waiting.push(event.signal);
        break;
      case 'offered':
        this.#isBusy = false;
        this.#isOffered = true;
        steps.push({ do: 'send', signal: { type: 'offer', round: this.#round, sdp: event.sdp } });
        break;
      case 'answered':
        this.#isBusy = false;
        steps.push({ do: 'send', signal: { type: 'answer', round: this.#acceptedRound, sdp: event.sdp } });
        this.#agreed();
        break;
      case 'applied':
        this.#isBusy = this.#isOffered = false;
        this.#agreed();
        break;
      default:
        this.counts.failures++;
        steps.push({ do: 'fail' });
    }
    this.#proceed(steps);
    return steps;
  }

  #agreed(): void {
    this.counts.rounds++;
    this.#holder = this.#home;
  }

  #proceed(steps: Step[]): void {
    while (!this.#isBusy && this.#waiting.length > 0) {
      const signal = this.#waiting.shift();
      if (signal !== undefined) this.#take(signal, steps);
    }
    if (this.#isBusy || this.#isOffered) return;
    if (this.#holder === 'me' && this.#needed) return this.#offer(steps);
    if (this.#holder !== 'them' && this.#theyAsked && !(this.#asked && this.#isLeader)) {
      this.#theyAsked = false;
      this.#holder = 'them';
      this.#say('grant', steps);
    }
    // A turn comes home by itself.
    if (this.#needed && !this.#asked && this.#holder !== 'me' && this.#home !== 'me') {
      this.#asked = true;
      this.#say('want', steps);
    }
  }

  #offer(steps: Step[]): void {
    this.#needed = false;
    this.#isBusy = true;
    this.#round++;
    steps.push({ do: 'offer', isProposal: false });
  }

  #take(signal: NegotiationSignal, steps: Step[]): void {
    switch (signal.type) {
      case 'offer':
        if (this.#isOffered) this.counts.collisions++;
        this.#needed = false;
        this.#isBusy = true;
        this.#acceptedRound = signal.round;
        steps.push({ do: 'accept', sdp: signal.sdp });
        return;
      case 'answer':
        this.#isBusy = true;
        steps.push({ do: 'apply', own: null, sdp: signal.sdp });
        return;
      case 'candidate':
        steps.push({ do: 'candidates', candidates: signal.candidate });
        return;
      case 'want':
        this.#theyAsked = true;
        return;
      case 'pass':
        this.#holder = this.#home;
        return;
      case 'grant':
        this.#asked = false;
        this.#holder = 'me';
        if (this.#needed) return;
        this.#holder = this.#home;
        this.#say('pass', steps);
        return;
      case 'refuse':
        return;
      default:
        signal satisfies never;
    }
  }

  #say(type: 'want' | 'grant' | 'pass', steps: Step[]): void {
    steps.push({ do: 'send', signal: { type } });
  }
}
