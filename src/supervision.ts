// How soon a dead worker is replaced: at once after a single death, ever later in a crash loop.

/** A worker that lived this long did not die of its start, ms. */
const HEALTHY_AFTER_MS = 10_000;
const FIRST_BACKOFF_MS = 500;
const BACKOFF_LIMIT_MS = 30_000;

export interface Fate {
  /** Deaths in a row of workers that did not live long. */
  failures: number;
}

export function nextFate(fate: Fate, livedMs: number): Fate {
  return { failures: livedMs >= HEALTHY_AFTER_MS ? 0 : fate.failures + 1 };
}

/** 0 for the first death, then exponential with equal jitter: half fixed, so that a loop is never tight. */
export function backoffMs(failures: number, random: number): number {
  if (failures <= 1) return 0;
  const ceiling = Math.min(BACKOFF_LIMIT_MS, FIRST_BACKOFF_MS * 2 ** (failures - 2));
  return Math.round((ceiling / 2) * (1 + random));
}
