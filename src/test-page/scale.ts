// A logarithmic axis: a ping of 0.3 ms and one of 400 ms are both to be seen.

/** Marks of a decade, from the finest: the first that are not too many are taken. */
const STEPS = [[1, 2, 5], [1, 3], [1]] as const;
const MARKS_LIMIT = 6;
/** Nothing that is measured lies outside; near the ends of floating point there are no marks to find. */
const [LEAST, MOST] = [1e-6, 1e12];

export class LogScale {
  readonly #low: number;
  readonly #high: number;

  /** From just below the smallest value to just above the largest; a decade at least. */
  constructor(values: readonly number[]) {
    const positive = values
      .filter((value) => value > 0)
      .map((value) => Math.min(MOST, Math.max(LEAST, value)));
    const smallest = positive.reduce((least, value) => Math.min(least, value), Infinity);
    const largest = positive.reduce((most, value) => Math.max(most, value), 0);
    const [low, high] = positive.length === 0 ? [1, 100] : [smallest / 1.3, largest * 1.3];
    const middle = Math.sqrt(low * high);
    this.#low = Math.log10(Math.min(low, middle / Math.sqrt(10)));
    this.#high = Math.log10(Math.max(high, middle * Math.sqrt(10)));
  }

  /** 0 to 1; what lies outside is at the edge. */
  place(value: number): number {
    if (value <= 0) return 0;
    const share = (Math.log10(value) - this.#low) / (this.#high - this.#low);
    return Math.min(1, Math.max(0, share));
  }

  /** Marks in sight, six or fewer where each decade has more than one. */
  get ticks(): number[] {
    const inSight = (steps: readonly number[]): number[] => {
      const ticks: number[] = [];
      for (let decade = Math.floor(this.#low); decade <= Math.ceil(this.#high); decade++)
        for (const step of steps) {
          const value = step * 10 ** decade;
          const log = Math.log10(value);
          if (log >= this.#low && log <= this.#high) ticks.push(Number(value.toPrecision(1)));
        }
      return ticks;
    };
    const [finest, ...coarser] = STEPS.map(inSight);
    return coarser.reduce((ticks, fewer) => (ticks.length > MARKS_LIMIT ? fewer : ticks), finest ?? []);
  }
}
