// npm run bench -- SCENARIO [options]: measures signalbox and its peers on the same load, one after another.
import { parseArgs } from 'node:util';
import { idle } from './scenarios/idle.mjs';
import { relay } from './scenarios/relay.mjs';
import { describeMachine } from './machine.mjs';
import { signalbox } from './peers/signalbox.mjs';
import { printTable } from './table.mjs';

const SCENARIOS = { relay, idle };

const USAGE = `usage: npm run bench -- relay|idle [options]
  --only a,b          systems to run, by name (a name matches all its worker counts; name/2 the one with two workers)
  --repeat N          interleaved repeats, the median counts (default 3)
  --against DIR       another build of signalbox as before/1 and before/2, e.g. dist.before (a copy of dist/ in the project's root)
  --profile           leave a CPU profile of each process of signalbox in bench/profiles/ (for Chrome's or VS Code's viewer)
  --json              one JSON object a line on stdout (npm run -s bench -- … leaves nothing else there)
relay:
  --mode M            volatile (default), or kept: messages that are stored, in the embedded store and in Redis
  --seconds N         measured interval (default 5)
  --warmup N          seconds before it (default 2)
  --pairs N           pairs of clients (default 100)
  --window N          messages in flight per pair (default 8)
  --payload N         bytes (default 64)
idle:
  --connections N     idle sessions (default 10000, at most 15000)
systems: ${[...new Set(Object.values(SCENARIOS).flatMap((scenario) => scenario.systems.map((s) => s.label)))].join(', ')}`;

function readOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string' },
      repeat: { type: 'string', default: '3' },
      json: { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
      against: { type: 'string' },
      mode: { type: 'string', default: 'volatile' },
      seconds: { type: 'string', default: '5' },
      warmup: { type: 'string', default: '2' },
      pairs: { type: 'string', default: '100' },
      window: { type: 'string', default: '8' },
      payload: { type: 'string', default: '64' },
      connections: { type: 'string', default: '10000' },
    },
  });
  if (values.profile) process.env.SIGNALBOX_BENCH_PROFILE = '1';
  const scenario = SCENARIOS[positionals[0]];
  if (!scenario || positionals.length > 1) throw new Error('name one scenario');
  const number = (name, least, most) => {
    const value = Number(values[name]);
    if (!(value >= least && value <= most)) throw new Error(`--${name} is a number from ${least} to ${most}`);
    return value;
  };
  return {
    scenario,
    json: values.json,
    repeat: number('repeat', 1, 50),
    systems: chooseSystems([...systemsOf(scenario, values.mode), ...before(values.against)], values.only),
    load: {
      seconds: number('seconds', 0.5, 600),
      warmup: number('warmup', 0, 60),
      pairs: number('pairs', 2, 5000),
      window: number('window', 1, 1000),
      payload: number('payload', 16, 16_384),
      connections: number('connections', 10, 15_000),
    },
  };
}

function systemsOf(scenario, mode) {
  if (mode === 'volatile') return scenario.systems;
  if (mode === 'kept' && scenario.keptSystems !== undefined) return scenario.keptSystems;
  throw new Error(`no mode ${mode}`);
}

function before(build) {
  return build === undefined ? [] : [signalbox(1, 'before', build), signalbox(2, 'before', build)];
}

function chooseSystems(systems, only) {
  if (only === undefined) return systems;
  return only.split(',').flatMap((name) => {
    const found = systems.filter((system) => system.label === name || system.name === name);
    if (found.length === 0) throw new Error(`no system ${name}`);
    return found;
  });
}

async function measure({ scenario, systems, repeat, load }) {
  const runs = new Map(systems.map((system) => [system, []]));
  for (let round = 1; round <= repeat; round++) {
    for (const system of systems) {
      console.error(`[${round}/${repeat}] ${system.label}`);
      const result = await scenario.run(system, load);
      console.error(`      ${scenario.describe(result)}`);
      runs.get(system).push(result);
    }
  }
  return [...runs].map(([system, results]) => scenario.summarize(system, results));
}

let options;
try {
  options = readOptions();
} catch (error) {
  console.error(`${error.message}\n${USAGE}`);
  process.exit(2);
}
console.error(describeMachine());
for (const note of new Set(options.systems.flatMap((system) => system.notes ?? []))) console.error(note);
const rows = await measure(options);
if (options.json) for (const row of rows) console.log(JSON.stringify(options.scenario.toJson(row)));
else printTable(options.scenario.table(rows));
const faults = rows.flatMap((row) => row.faults.map((fault) => `${row.system}/${row.workers}: ${fault}`));
for (const fault of faults) console.error(`FAULT ${fault}`);
// The listeners of ended children keep nothing alive; what does would be a leak worth seeing.
process.exitCode = faults.length > 0 ? 1 : 0;
