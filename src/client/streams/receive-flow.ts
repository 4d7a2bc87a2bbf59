// What one side of a stream reads: each byte once and in order, and how much more the other side may send.
import { type Part, PARTS } from '../../protocol/frame.js';

/** `old`: had already. `gap`: something before it is missing. `beyond`: more than was allowed. */
export type Arrival = 'new' | 'old' | 'gap' | 'beyond';

/** It is told when so much of the window has arrived, or been taken, since it was told last: each time wakes three processes for a frame of 40 bytes. */
const TELL_SHARE = 1 / 2;
/** At the latest after so many bytes: the gateway lets no more be under way than its outbox has room for, however large the window. */
const TELL_LIMIT_BYTES = 256 * 1024;

export class ReceiveFlow {
  readonly #window: number;
  readonly #tellBytes: number;
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
    this.#tellBytes = Math.min(window * TELL_SHARE, TELL_LIMIT_BYTES);
  }

  /** Up to where the other side may send. */
  get limit(): number {
    return this.#taken + this.#window;
  }

  /** Whether the other side should be told. */
  get isDue(): boolean {
    return (
      this.upTo - this.#toldUpTo >= this.#tellBytes ||
      this.limit - this.#toldLimit >= this.#tellBytes ||
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
