// How often others make this page do something: in so much time so much for one of them, and for all together.

/** Most in a sliding time, in all and for one. */
export interface Rate {
  readonly limit: number;
  readonly withinMs: number;
  readonly ofOneLimit: number;
  /** Default `withinMs`, and no longer than that. */
  readonly ofOneWithinMs?: number;
}

export class RateLimit {
  readonly #rate: Rate;
  /** What was admitted and still counts, the oldest first: no more than the limit. */
  #admitted: { one: string; at: number }[] = [];

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** Notes it where it may be; false where it is one too many. */
  admits(one: string, now: number): boolean {
    const { limit, withinMs, ofOneLimit, ofOneWithinMs = withinMs } = this.#rate;
    this.#admitted = this.#admitted.filter(({ at }) => now - at < withinMs);
    const own = this.#admitted.filter((each) => each.one === one && now - each.at < ofOneWithinMs);
    if (this.#admitted.length >= limit || own.length >= ofOneLimit) return false;
    this.#admitted.push({ one, at: now });
    return true;
  }
}
