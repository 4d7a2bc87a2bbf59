// Who is busy whenever it is asked is asked less and less often.

const FIRST_MS = 10_000;
const LONGEST_MS = 300_000;

export class Patience {
  readonly #waits = new Map<string, { until: number; ms: number }>();
  readonly #now: () => number;
  readonly #random: () => number;

  /** @param now a clock in ms */
  constructor(now: () => number, random: () => number = Math.random) {
    this.#now = now;
    this.#random = random;
  }

  /** Whether it may be asked. */
  isOver(id: string): boolean {
    return (this.#waits.get(id)?.until ?? 0) <= this.#now();
  }

  /** It was busy again: the next wait is twice as long, and half of it by chance, so that many do not come at once. */
  wasBusy(id: string): void {
    const ms = Math.min((this.#waits.get(id)?.ms ?? FIRST_MS / 2) * 2, LONGEST_MS);
    this.#waits.set(id, { until: this.#now() + ms * (0.5 + this.#random() / 2), ms });
  }

  forget(id: string): void {
    this.#waits.delete(id);
  }

  /** Those who are not here are nobody's to wait for. */
  keepOnly(isHere: (id: string) => boolean): void {
    for (const id of this.#waits.keys()) if (!isHere(id)) this.#waits.delete(id);
  }
}
