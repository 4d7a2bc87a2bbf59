// One test at a time in this page: two at once would measure each other.
import { pause } from './waiting.js';

/** How often who waits looks again, ms; by chance, so that two pages do not keep in step. */
const LOOK_MS = [200, 600] as const;

export class Lock {
  #isTaken = false;

  /** The function that gives it back, or null where somebody has it. */
  tryTake(): (() => void) | null {
    if (this.#isTaken) return null;
    this.#isTaken = true;
    let isMine = true;
    return () => {
      if (isMine) this.#isTaken = false;
      isMine = false;
    };
  }

  async take(): Promise<() => void> {
    for (;;) {
      const release = this.tryTake();
      if (release !== null) return release;
      await pause(LOOK_MS[0] + Math.random() * (LOOK_MS[1] - LOOK_MS[0]));
    }
  }
}
