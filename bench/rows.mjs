// The rows of a table: each a label with what every repeat measured there, and the medians.
import { median } from './statistics.mjs';

/** @param repeats one result for each round; null where the row was not measured in that round */
export function makeRow(label, repeats, errors = []) {
  const measured = repeats.filter((result) => result !== null);
  const keys = Object.keys(measured[0] ?? {}).filter((key) => typeof measured[0][key] === 'number');
  const figures = Object.fromEntries(keys.map((key) => [key, median(measured.map((result) => result[key]))]));
  const faults = [...errors, ...measured.flatMap((result) => result.faults ?? [])];
  return { label, repeats, figures, faults };
}

/**
 * The ratio of two figures: the median of the ratios of all rounds that have both. Two systems of one round ran within seconds of each
 * other, on a machine that was as warm and as busy for both. @param pick round → [ours, theirs]
 */
export function medianRatio(rounds, pick) {
  const ratios = [];
  for (let round = 0; round < rounds; round++) {
    const [ours, theirs] = pick(round);
    const ratio = ours / theirs;
    if (Number.isFinite(ratio)) ratios.push(ratio);
  }
  return {
    ratio: median(ratios),
    low: Math.min(...ratios),
    high: Math.max(...ratios),
    rounds: ratios.length,
  };
}

export function roundsOf(rows) {
  return Math.max(0, ...rows.map((row) => row.repeats.length));
}

/** (label, key) → that figure of one round, NaN where there is none. */
export function figuresOf(rows, round) {
  const byLabel = new Map(rows.map((row) => [row.label, row]));
  return (label, key) => byLabel.get(label)?.repeats[round]?.[key] ?? Number.NaN;
}
