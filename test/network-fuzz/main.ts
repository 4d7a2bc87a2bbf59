// The suite's command: which cells, how many calls, a line for each cell, and the table.
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { ALL_CELLS, type Cell, nameOf, parseCells, QUICK_CELLS } from './cell.js';
import { saveResults } from './results.js';
import { type Call, type Limits, playRound } from './round.js';
import { Scene } from './scene.js';
import { type CellResult, lineOf, markdownOf, type RunInfo, summaryOf } from './summary.js';

const USAGE = `npm run fuzz:network -- [options]
  --cells 10%x150,0x50/64k/both/video
                  only these: loss x delay in ms, and behind it a rate, both sides bad, a video call
  --quick         two cells with one round of calls each, 40 seconds
  --calls 10      calls of each cell
  --lanes 5       so many of them at the same time
  --limit 30      seconds that a call may take to connect
  --seed 1        decides when calls are cut off; which packets are lost is the kernel's chance
  --json          one JSON object a line
  --verbose       what both ends of calls that failed have heard
  --save          keeps the results, and puts the tables into docs/webrtc.md

Needs root, for network namespaces, Chromium and coturn. Exit code 0: measured; 2: options that make no sense, or no such machine.`;

const OUTAGE_MS = 5_000;
const RECOVER_LIMIT_MS = 40_000;

class UsageError extends Error {}

interface Options {
  cells: readonly Cell[];
  calls: number;
  lanes: number;
  seed: number;
  limits: Limits;
  isJson: boolean;
  isVerbose: boolean;
  isSaved: boolean;
}

function readOptions(): Options | null {
  const { values } = parseArgs({
    options: {
      cells: { type: 'string' },
      quick: { type: 'boolean', default: false },
      calls: { type: 'string' },
      lanes: { type: 'string' },
      limit: { type: 'string', default: '30' },
      seed: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
      save: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const usual = values.quick ? '2' : '5';
  const lanes = numberOf('lanes', values.lanes ?? usual, 16);
  const chosen = values.quick ? QUICK_CELLS : ALL_CELLS;
  return {
    cells: values.cells === undefined ? chosen : parseCells(values.cells),
    calls: numberOf('calls', values.calls ?? (values.quick ? '2' : '10'), 1000),
    lanes,
    seed: numberOf('seed', values.seed, 2 ** 31),
    limits: {
      signInMs: 30_000,
      connectMs: numberOf('limit', values.limit, 600) * 1000,
      outageMs: OUTAGE_MS,
      recoverMs: RECOVER_LIMIT_MS,
    },
    isJson: values.json,
    isVerbose: values.verbose,
    isSaved: values.save,
  };
}

function numberOf(name: string, text: string, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw new UsageError(`--${name} is a whole number from 1 to ${most}`);
  return value;
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function playCell(scene: Scene, cell: Cell, options: Options): Promise<CellResult> {
  const { calls, lanes, seed, limits } = options;
  const ended: Call[] = [];
  for (let round = 0; ended.length < calls; round++) {
    // Seeds of the rounds of neighbouring seeds do not meet.
    const left = Math.min(lanes, calls - ended.length);
    ended.push(...(await playRound(scene, cell, { seed: seed * 1000 + round, lanes: left, limits })));
  }
  if (options.isVerbose)
    for (const { signInMs, connectMs, recoverMs, log } of ended)
      say(
        `  ${[signInMs, connectMs, recoverMs].map((ms) => ms?.toFixed(0) ?? '-').join(' ')}  ${log.join('; ')}`,
      );
  return summaryOf(nameOf(cell), cell, ended);
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options === null) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const { cells, calls, lanes, seed, limits } = options;
  const load = loadavg()[0] ?? 0;
  const startedAt = Date.now();
  const rounds = cells.length * Math.ceil(calls / lanes);
  const [least, most] = [rounds * 12, (rounds * (limits.connectMs + 60_000)) / 1000];
  say(
    `${cells.length} cells with ${calls} calls: ${minutes(least)} to ${minutes(most)} minutes, as bad as the networks are`,
  );
  let opened: Scene | null = null;
  // Before there is a scene, what `exit` takes away is all.
  const stop = (): void => {
    if (opened === null) process.exit(130);
    void opened.close().finally(() => process.exit(130));
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const scene = (opened = await Scene.open(lanes));
  const results: CellResult[] = [];
  try {
    for (const [index, cell] of cells.entries()) {
      const result = await playCell(scene, cell, options);
      results.push(result);
      process.stdout.write(`${options.isJson ? JSON.stringify(result) : lineOf(result)}\n`);
      say(`${index + 1} of ${cells.length}, ${minutes((Date.now() - startedAt) / 1000)} minutes`);
    }
    const info: RunInfo = {
      at: new Date(startedAt).toISOString(),
      command: [
        'npm run fuzz:network',
        ...(process.argv.length > 2 ? ['--'] : []),
        ...process.argv.slice(2),
      ].join(' '),
      seed,
      outageMs: limits.outageMs,
      connectLimitMs: limits.connectMs,
      recoverLimitMs: limits.recoverMs,
      machine: `${cpus().length} cores, Node ${process.version}, load before ${load.toFixed(1)}`,
      browser: `Chromium ${scene.browserVersion}`,
    };
    if (options.isSaved) saveResults(info, results);
    if (!options.isJson) process.stdout.write(`\n${markdownOf(results)}\n`);
  } finally {
    await scene.close();
  }
}

function minutes(seconds: number): string {
  return (seconds / 60).toFixed(seconds < 600 ? 1 : 0);
}

try {
  await main();
} catch (error) {
  const isUsage = error instanceof UsageError || error instanceof RangeError || error instanceof TypeError;
  say(isUsage ? error.message : String(error instanceof Error ? error.stack : error));
  process.exit(2);
}
