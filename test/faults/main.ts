// The suite's command: which rows, how often, one line for each and a summary; exits with 1 where a promise did not hold.
import { parseArgs } from 'node:util';
import { readdirSync } from 'node:fs';
import { violationsOf } from './report.js';
import { fieldsOf, type Result } from './result.js';
import type { Outcome, Row } from './row.js';
import { Scene, type SceneOptions } from './scene.js';
import { summaryOf } from './summary.js';

const USAGE = `npm run faults -- [options]
  --row F01,F03   only these rows
  --quick         the short subset, with fewer rounds
  --seed 7        the first seed (default 1)
  --seeds 3       so many seeds, one after the other (default 1)
  --scale 0.1     factor on the clients of rows about crowds (default 1)
  --minutes 30    how long the soak (F52) takes (default 30, with --quick 1)
  --json          one JSON object a line
  --verbose       what happens when, on stderr
  --keep          leaves the histories where they are
  --list          the rows there are

One line for each row and seed, then a summary. Exit code 0: all passed; 1: one did not; 2: options that make no sense.`;

/** Below it refusing would be a way to pass. */
const ACCEPTED_SHARE_MIN = 0.95;

/** Longer than any row at its full size on a slow machine, ms: one that hangs must not keep the others from their turn. */
const ROW_LIMIT_MS = 10 * 60_000;

class UsageError extends Error {}

async function allRows(): Promise<Row[]> {
  const folder = new URL('./rows/', import.meta.url);
  const names = readdirSync(folder).filter((name) => name.endsWith('.js'));
  const modules = await Promise.all(
    names.map(async (name) => (await import(new URL(name, folder).href)) as { rows: readonly Row[] }),
  );
  return modules.flatMap(({ rows }) => [...rows]).sort((a, b) => a.id.localeCompare(b.id));
}

async function play(row: Row, options: SceneOptions): Promise<Result> {
  const scene = new Scene(options);
  const startedAt = performance.now();
  const stop = (): void => void scene.close().finally(() => process.exit(130));
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  let outcome: Outcome | null = null;
  const reasons: string[] = [];
  try {
    outcome = await inTime(row.run(scene), ROW_LIMIT_MS + options.minutes * 60_000);
    reasons.push(...reasonsOf(row, outcome));
  } catch (error) {
    reasons.push(...scene.failures, error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    if (options.keep) reasons.push(`histories: ${scene.directory}`);
    await scene.close();
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  const passed = outcome !== null && reasonsOf(row, outcome).length === 0;
  return { row: row.id, title: row.title, seed: options.seed, seconds, passed, outcome, reasons };
}

async function inTime<Value>(work: Promise<Value>, limitMs: number): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it was not over after ${limitMs / 1000} s`)), limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function reasonsOf({ isLossy = false }: Row, { report, failures }: Outcome): string[] {
  const reasons = [...failures];
  if (!isLossy && report.gapsTold > 0)
    reasons.push(`${report.gapsTold} gaps were told of what the store has`);
  if (report.acceptedShare < ACCEPTED_SHARE_MIN)
    reasons.push(`acceptedShare ${report.acceptedShare.toFixed(3)} is below ${ACCEPTED_SHARE_MIN}`);
  if (violationsOf(report) > 0) {
    for (const { check, client, channel, text } of report.violations)
      reasons.push(`${check} ${client} ${channel}: ${text}`);
  }
  return reasons;
}

function printResult(result: Result, isJson: boolean): void {
  if (isJson) {
    console.log(JSON.stringify({ ...fieldsOf(result), reasons: result.reasons }));
    return;
  }
  const fields = Object.entries(fieldsOf(result)).map(([name, value]) => `${name}=${String(value)}`);
  console.log(fields.join(' '));
  if (!result.passed) for (const reason of result.reasons.slice(0, 30)) console.log(`    ${reason}`);
}

function numberOf(name: string, text: string, isWhole: boolean): number {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0) || (isWhole && !Number.isSafeInteger(value)))
    throw new UsageError(
      `--${name} is ${text}, not ${isWhole ? 'a whole number from 1 on' : 'a number above 0'}`,
    );
  return value;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      row: { type: 'string' },
      quick: { type: 'boolean', default: false },
      seed: { type: 'string', default: '1' },
      seeds: { type: 'string', default: '1' },
      scale: { type: 'string', default: '1' },
      minutes: { type: 'string' },
      json: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const all = await allRows();
  if (values.list) {
    for (const { id, title, quick } of all) console.log(`${id} ${quick ? 'quick' : '     '} ${title}`);
    return 0;
  }
  const wanted = values.row?.toUpperCase().split(',');
  const unknown = wanted?.find((id) => !all.some((row) => row.id === id));
  if (unknown !== undefined) throw new UsageError(`there is no row ${unknown}: see --list`);
  // A row that is asked for by name is played in its quick form too.
  const rows = all.filter((row) => wanted?.includes(row.id) ?? (row.quick || !values.quick));
  const { quick, verbose, keep } = values;
  const minutes = numberOf('minutes', values.minutes ?? (quick ? '1' : '30'), false);
  const scale = numberOf('scale', values.scale, false);
  const [first, seeds] = [numberOf('seed', values.seed, true), numberOf('seeds', values.seeds, true)];
  const results: Result[] = [];
  for (const row of rows) {
    for (let seed = first; seed < first + seeds; seed++) {
      const result = await play(row, { seed, quick, verbose, keep, minutes, scale });
      results.push(result);
      printResult(result, values.json);
    }
  }
  // Where each line is to be read by a program, the summary is for whoever looks on.
  const print = values.json ? console.error : console.log;
  for (const line of summaryOf(results)) print(line);
  return results.length > 0 && results.every(({ passed }) => passed) ? 0 : 1;
}

process.exit(
  await main().catch((error: unknown) => {
    // parseArgs says what it does not know with a TypeError of its own.
    const isUsage = error instanceof UsageError || (error instanceof TypeError && 'code' in error);
    console.error(isUsage ? error.message : error);
    return isUsage ? 2 : 1;
  }),
);
