// The cases of a scenario: its own, and beside them another build or setting where one is asked for.
import { signalbox, signalboxKept } from './peers/signalbox.mjs';

/** @throws where what was asked for would be ignored: whoever reads the table would take it for a comparison */
export function refuseIgnored(scenarios, { all, against, settings }) {
  if (against === undefined && settings.length === 0) return;
  const without = scenarios.filter(({ casesOf }) => casesOf === undefined).map(({ name }) => name);
  // A run of everything compares what can be compared.
  if (without.length > 0 && !all)
    throw new Error(`--against and --with compare nothing in: ${without.join(', ')}`);
}

export async function casesOf(scenario, { load, only, against, settings, mode }) {
  const known = Object.keys(scenario.defaults).filter((name) => name in load);
  const chosen = { ...scenario.defaults, ...Object.fromEntries(known.map((name) => [name, load[name]])) };
  // Another build or setting is compared in what the run is about.
  const system = mode === 'kept' ? signalboxKept : signalbox;
  const variant = (name, changes) =>
    [1, 2].map((workers) =>
      system(workers, name, { ...changes, settings: { ...scenario.settings, ...changes.settings } }),
    );
  const variants = [
    ...(against === undefined ? [] : variant('before', { build: against })),
    ...(settings.length === 0 ? [] : variant('with', { settings: Object.fromEntries(settings) })),
  ];
  const cases = [
    ...(await scenario.cases(chosen, { mode })),
    ...variants.flatMap((each) => scenario.casesOf?.(each, chosen) ?? []),
  ];
  if (only === undefined) return cases;
  const matches = ({ label, system }, name) => [label, system?.label, system?.name].includes(name);
  // One that was asked for is in all rounds.
  return cases
    .filter((each) => only.some((name) => matches(each, name)))
    .map(({ rounds: _some, ...each }) => each);
}
