// Statistics of one measured quantity: what the page shows of the values that it has, the newest ones only.
import type { Spread } from '../protocol/test-report.js';

/** Values that a series keeps: hours of a page that stays open. */
export const SERIES_LIMIT = 1000;

export class Series {
  readonly #values: number[] = [];

  get values(): readonly number[] {
    return this.#values;
  }

  get last(): number | null {
    return this.#values.at(-1) ?? null;
  }

  /** What is no number is not taken: a browser's statistics may lack one. */
  add(...values: number[]): void {
    this.#values.push(...values.filter((value) => Number.isFinite(value)));
    this.#values.splice(0, this.#values.length - SERIES_LIMIT);
  }

  spread(): Spread | null {
    return spreadOf(this.#values);
  }
}

/** Sample standard deviation (n − 1), and the 95th percentile by nearest rank: a value that was measured. */
export function spreadOf(values: readonly number[]): Spread | null {
  const count = values.length;
  if (count === 0) return null;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const sorted = [...values].sort((a, b) => a - b);
  const p95 = sorted[Math.ceil(count * 0.95) - 1] ?? mean;
  return { count, mean, sd: count < 2 ? null : Math.sqrt(squares / (count - 1)), p95 };
}
