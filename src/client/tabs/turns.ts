// What comes from outside, one after the other, each to its end or to nobody's.

/**
 * Firefox ends the script that runs in a page in the moment in which the page is closed, in the middle and without an exception, and
 * gives the page further events until it is gone. What was left half done then must do nothing more: as if it had crashed there.
 */
export class Turns {
  readonly #onBroken: () => void;
  #isInside = false;

  /** @param onBroken a turn began, and the one before it had not ended; also after an exception */
  constructor(onBroken: () => void) {
    this.#onBroken = onBroken;
  }

  /** Not inside another turn. */
  run(turn: () => void): void {
    if (this.#isInside) return this.#onBroken();
    this.#isInside = true;
    turn();
    this.#isInside = false;
  }
}
