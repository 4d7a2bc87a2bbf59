// Runs the cases of a scenario in turn, several times over; a case that fails is a row with its error.
import { makeRow } from './rows.mjs';

/** @param say gets each line of progress */
export async function measure(scenario, cases, repeat, say) {
  const repeats = new Map();
  const errors = new Map();
  for (const each of cases) {
    for (const label of each.parts ?? [each.label]) {
      repeats.set(label, []);
      errors.set(label, []);
    }
  }
  for (let round = 1; round <= repeat; round++) {
    for (const each of cases) {
      const labels = each.parts ?? [each.label];
      const results = await runOnce(scenario, each, round, { repeat, say, errors });
      for (const [at, label] of labels.entries()) repeats.get(label).push(results?.[at] ?? null);
    }
  }
  return [...repeats].map(([label, list]) => makeRow(label, list, errors.get(label)));
}

async function runOnce(scenario, each, round, { repeat, say, errors }) {
  if (round > (each.rounds ?? repeat)) return null;
  if ((each.system?.missing?.() ?? null) !== null) return null;
  say(`${scenario.name} [${round}/${repeat}] ${each.label}`);
  const labels = each.parts ?? [each.label];
  try {
    const results = [await scenario.run(each)].flat();
    for (const result of results) {
      say(`      ${scenario.describe(result)}`);
      for (const fault of result.faults) say(`      FAULT ${fault}`);
    }
    return results;
  } catch (error) {
    say(`      failed: ${error.stack}`);
    for (const label of labels) errors.get(label).push(error.message);
    return null;
  }
}
