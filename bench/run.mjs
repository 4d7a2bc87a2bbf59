// npm run bench [SCENARIO …] [options]: measures signalbox and its peers on the same load, one after another.
import { parseArgs } from 'node:util';
import { casesOf, refuseIgnored } from './cases.mjs';
import { goalTable, judge } from './goals.mjs';
import { describeMachine } from './machine.mjs';
import { measure } from './measure.mjs';
import { plotGoals } from './plot/goals.mjs';
import { profileFiles, profileTable, sharesOf } from './profile.mjs';
import { writeReports } from './report.mjs';
import { replot, saveGoals, savePlotOfGoals, saveProfile, saveResults, toJson } from './results.mjs';
import { bundle } from './scenarios/bundle.mjs';
import { calls } from './scenarios/call.mjs';
import { callRate } from './scenarios/call-rate.mjs';
import { fanOut } from './scenarios/fan-out.mjs';
import { growth } from './scenarios/growth.mjs';
import { idle } from './scenarios/idle.mjs';
import { latency } from './scenarios/latency.mjs';
import { plugins } from './scenarios/plugins.mjs';
import { relay } from './scenarios/relay.mjs';
import { serialization } from './scenarios/serialization.mjs';
import { services } from './scenarios/services.mjs';
import { streams } from './scenarios/streams.mjs';
import { transports } from './scenarios/transports.mjs';
import { wire } from './scenarios/wire.mjs';
import { formatTable, scenarioTable } from './table.mjs';

const SCENARIOS = [
  bundle,
  serialization,
  wire,
  relay,
  latency,
  fanOut,
  streams,
  transports,
  services,
  plugins,
  calls,
  callRate,
  idle,
  growth,
];

const COMPARING = SCENARIOS.filter(({ casesOf }) => casesOf !== undefined).map(({ name }) => name);

const NUMBERS = {
  seconds: [0.5, 600],
  warmup: [0, 60],
  pairs: [2, 5000],
  window: [1, 1000],
  payload: [16, 16_384],
  connections: [10, 30_000],
  rate: [10, 200_000],
  members: [10, 20_000],
  deliveries: [100, 500_000],
  megabytes: [1, 10_000],
  readers: [1, 5000],
  calls: [1, 100_000],
  slices: [1, 100],
  requests: [10, 100_000],
  messages: [100, 1_000_000],
  alone: [1, 10_000],
};

const USAGE = `usage: npm run bench                        all scenarios, one table of all goals; saved in bench/results/
       npm run bench -- SCENARIO … [options]
       npm run bench -- plots               draws the plots of bench/results/ again, and writes its tables into the documents
scenarios: ${SCENARIOS.map((scenario) => scenario.name).join(', ')}
  --only a,b          systems to run, by name (a name matches all its worker counts; name/2 the one with two workers)
  --repeat N          interleaved repeats, the median counts (default 5)
  --save              save results and plots, as a run of all scenarios does
  --against DIR       another build of signalbox as before/1 and before/2, e.g. dist.before (a copy of dist/ in the project's root)
  --with NAME=VALUE   signalbox with another setting beside the usual one, as with/1 and with/2
                      (both in ${COMPARING.join(', ')}; the SDK of the clients is of that build, too)
  --profile           leave a CPU profile of each process of signalbox in bench/profiles/ (for Chrome's or VS Code's viewer)
  --json              one JSON object a line on stdout (npm run -s bench -- … leaves nothing else there)
  --mode M            relay: volatile, nodes (two, over Redis), kept (stored messages) or all (default where all scenarios run)
${SCENARIOS.filter(({ defaults }) => Object.keys(defaults).length > 0)
  .map(({ name, defaults }) => {
    const list = Object.entries(defaults).map(([key, value]) => `--${key} ${value}`);
    return `  ${name.padEnd(14)} ${list.join(' ')}`;
  })
  .join('\n')}`;

function readOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string' },
      repeat: { type: 'string', default: '5' },
      json: { type: 'boolean', default: false },
      save: { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
      against: { type: 'string' },
      with: { type: 'string', multiple: true, default: [] },
      mode: { type: 'string' },
      ...Object.fromEntries(Object.keys(NUMBERS).map((name) => [name, { type: 'string' }])),
    },
  });
  if (values.profile) process.env.SIGNALBOX_BENCH_PROFILE = '1';
  const number = (name, least, most) => {
    const value = Number(values[name]);
    if (!(value >= least && value <= most)) throw new Error(`--${name} is a number from ${least} to ${most}`);
    return value;
  };
  const given = Object.entries(NUMBERS).filter(([name]) => values[name] !== undefined);
  const all = positionals.length === 0;
  return {
    all,
    plots: positionals[0] === 'plots',
    names: all ? SCENARIOS.map((scenario) => scenario.name) : positionals,
    only: values.only?.split(','),
    against: values.against,
    settings: values.with.map(setting),
    mode: values.mode ?? (all ? 'all' : 'volatile'),
    json: values.json,
    profile: values.profile,
    // A run that leaves something out is not the last run of everything.
    save: values.save || (all && values.only === undefined && given.length === 0),
    repeat: number('repeat', 1, 50),
    load: Object.fromEntries(given.map(([name, range]) => [name, number(name, ...range)])),
  };
}

function setting(text) {
  const [, name, value] = /^([A-Z][A-Z0-9_]*)=(.*)$/.exec(text) ?? [];
  if (name === undefined) throw new Error('--with is NAME=VALUE');
  return [name, value];
}

function find(name) {
  const scenario = SCENARIOS.find((each) => each.name === name);
  if (scenario === undefined) throw new Error(`no scenario ${name}`);
  return scenario;
}

async function runScenario(scenario, options) {
  const cases = await casesOf(scenario, options);
  if (cases.length === 0) return { scenario, rows: [], missing: [], seconds: 0 };
  const since = performance.now();
  const missing = cases.flatMap(({ label, system }) => {
    const reason = system?.missing?.() ?? null;
    return reason === null ? [] : [`${label} was not measured: ${reason}`];
  });
  for (const note of missing) console.error(note);
  const rounds = scenario.exact ? 1 : options.repeat;
  const rows = await measure(scenario, cases, rounds, (line) => console.error(line));
  return { scenario, rows, missing, seconds: Math.round((performance.now() - since) / 1000) };
}

function report({ scenario, rows, missing, seconds }, { json, save, profile }, run) {
  if (rows.length === 0) return [];
  const judged = scenario.goals.map((goal) => judge(goal, rows));
  if (json) for (const row of rows) console.log(toJson(scenario.name, row));
  else {
    console.log(`\n${formatTable(scenarioTable(scenario, rows))}`);
    for (const note of missing) console.log(note);
  }
  // A profile slows down what it looks at.
  if (save && !profile) saveResults(scenario, { ...run, seconds }, rows);
  return judged;
}

/** Of the processes that this run profiled: a primary that only waited is not shown, but belongs to the sum. */
function reportProfiles(before, { save }, measured) {
  const names = profileFiles().filter((name) => !before.has(name));
  for (const name of names) {
    const found = sharesOf([name]);
    if (found.busySeconds > 1) console.error(`\n${formatTable(profileTable(name, found))}`);
  }
  const [row, ...others] = measured.flatMap(({ rows }) => rows);
  const isOne = others.length === 0 && row?.figures.cpuMicrosPerMessage !== undefined;
  if (save && isOne && names.length > 0) saveProfile(row, sharesOf(names));
}

function saveDocuments() {
  saveGoals(SCENARIOS);
  savePlotOfGoals(plotGoals);
  writeReports(SCENARIOS);
}

/** An interrupted run ends its servers and generators: see the exit listeners of both. */
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));

async function main(options) {
  if (options.plots) {
    for (const scenario of SCENARIOS) replot(scenario);
    saveDocuments();
    return 0;
  }
  const scenarios = options.names.map(find);
  const chosen = (await Promise.all(scenarios.map((scenario) => casesOf(scenario, options)))).flat();
  if (chosen.length === 0) throw new Error(`no system ${options.only.join(', ')}`);
  const machine = describeMachine();
  console.error(machine);
  for (const note of new Set(chosen.flatMap(({ system }) => system?.notes ?? []))) console.error(note);

  const profilesBefore = new Set(profileFiles());
  const run = { machine, at: new Date().toISOString(), repeat: options.repeat };
  const since = performance.now();
  const all = [];
  const judged = [];
  const faults = [];
  for (const scenario of scenarios) {
    const measured = await runScenario(scenario, options);
    all.push(measured);
    judged.push(...report(measured, options, run));
    faults.push(
      ...measured.rows.flatMap((row) => row.faults.map((fault) => `${scenario.name} ${row.label}: ${fault}`)),
    );
  }
  reportProfiles(profilesBefore, options, all);
  const seconds = Math.round((performance.now() - since) / 1000);
  const shown = options.all ? judged : judged.filter((goal) => goal.verdict !== 'not measured');
  if (options.json) for (const goal of shown) console.log(JSON.stringify(goal));
  else if (shown.length > 0) console.log(`\n${formatTable(goalTable(shown))}`);
  if (options.save) {
    try {
      saveDocuments();
    } catch (error) {
      // Where a system failed the documents lack its figures; what was measured is saved and printed all the same.
      faults.push(`documents: ${error.message}`);
    }
  }
  console.error(`\n${seconds} s; ${describeMachine()}`);
  for (const fault of faults) console.error(`FAULT ${fault}`);
  return faults.length > 0 ? 1 : 0;
}

let options;
try {
  options = readOptions();
  if (!options.plots) refuseIgnored(options.names.map(find), options);
} catch (error) {
  console.error(`${error.message}\n${USAGE}`);
  process.exit(2);
}
// The listeners of ended children keep nothing alive; what does would be a leak worth seeing.
process.exitCode = await main(options);
