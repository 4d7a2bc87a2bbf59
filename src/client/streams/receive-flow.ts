// What one side of a stream reads: each byte once and in order, and how much more the other side may send.
import { type Part, PARTS } from '../../protocol/frame.js';

/** `old`: had already. `gap`: something before it is missing. `beyond`: more than was allowed. */
export type Arrival = 'new' | 'old' | 'gap' | 'beyond';

/** Credit is told when so much of the window has been used since it was told last. */
const TELL_SHARE = 1 / 4;

export class ReceiveFlow {
  readonly #window: number;
  /** Everything before it has arrived. */
  upTo = 0;
  /** Everything before it was taken by the application. */
  #taken = 0;
  #toldUpTo = 0;
  #toldLimit = 0;
  isEnded = false;
  isAnswered = false;

  /** @param window most bytes that wait here for the application */
  constructor(window: number) {
    this.#window = window;
  }

  /** Up to where the other side may send. */
  get limit(): number {
    return this.#taken + this.#window;
  }

  /** Whether the other side should be told. */
  get isDue(): boolean {
    const enough = this.#window * TELL_SHARE;
    return (
      this.upTo - this.#toldUpTo >= enough ||
      this.limit - this.#toldLimit >= enough ||
      (this.isEnded && this.upTo > this.#toldUpTo)
    );
  }

  arrived(offset: number, cost: number, part: Part): Arrival {
    // After its end a side may still answer; after its answer it says nothing.
    if (offset < this.upTo || this.isAnswered || (this.isEnded && part !== PARTS.answer)) return 'old';
    if ((part === PARTS.data ? offset + cost : offset) > this.#toldLimit) return 'beyond';
    if (offset > this.upTo) return 'gap';
    this.upTo += cost;
    if (part !== PARTS.data) this.isEnded = true;
    if (part === PARTS.answer) this.isAnswered = true;
    return 'new';
  }

  taken(cost: number): void {
    this.#taken += cost;
  }

  /** What the other side is told now. */
  tell(): { upTo: number; limit: number } {
    this.#toldUpTo = this.upTo;
    this.#toldLimit = Math.max(this.#toldLimit, this.limit);
    return { upTo: this.upTo, limit: this.#toldLimit };
  }
}
