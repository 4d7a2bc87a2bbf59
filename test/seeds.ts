// The seeds that a model test plays: a few of its own, or with SEEDS=20 so many from SEED on (1), as the fault suite counts them.

/** Each seed is in its test's title, so a failure names the one to play again: `SEED=7 SEEDS=1`. */
export function seedsOr(defaults: readonly number[]): readonly number[] {
  const { SEED, SEEDS } = process.env;
  if (SEED === undefined && SEEDS === undefined) return defaults;
  const first = countOf('SEED', SEED ?? '1');
  return Array.from({ length: countOf('SEEDS', SEEDS ?? '1') }, (_, i) => first + i);
}

function countOf(name: string, text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`${name} is ${text}, not a number from 1 on`);
  return Number(text);
}
