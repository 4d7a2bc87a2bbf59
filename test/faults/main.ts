// The suite's command: which rows, how often, and one line for each; exits with 1 where a promise did not hold.
import { parseArgs } from 'node:util';
import { readdirSync } from 'node:fs';
import { FAULTS, violationsOf } from './report.js';
import type { Outcome, Row } from './row.js';
import { Scene, type SceneOptions } from './scene.js';

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
  --list          the rows there are`;

/** Below it refusing would be a way to pass. */
const ACCEPTED_SHARE_MIN = 0.95;

interface Result {
  row: string;
  title: string;
  seed: number;
  seconds: number;
  passed: boolean;
  outcome: Outcome | null;
  /** Why it did not pass, in words. */
  reasons: string[];
}

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
    outcome = await row.run(scene);
    reasons.push(...reasonsOf(outcome));
  } catch (error) {
    reasons.push(...scene.failures, error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    if (options.keep) reasons.push(`histories: ${scene.directory}`);
    await scene.close();
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  const passed = outcome !== null && reasonsOf(outcome).length === 0;
  return { row: row.id, title: row.title, seed: options.seed, seconds, passed, outcome, reasons };
}

function reasonsOf({ report, failures }: Outcome): string[] {
  const reasons = [...failures];
  if (report.acceptedShare < ACCEPTED_SHARE_MIN)
    reasons.push(`acceptedShare ${report.acceptedShare.toFixed(3)} is below ${ACCEPTED_SHARE_MIN}`);
  if (violationsOf(report) > 0) {
    for (const { check, client, channel, text } of report.violations)
      reasons.push(`${check} ${client} ${channel}: ${text}`);
  }
  return reasons;
}

function fieldsOf({ row, seed, seconds, passed, outcome }: Result): Record<string, number | string | null> {
  const { report } = outcome ?? { report: null };
  return {
    row,
    seed,
    verdict: passed ? 'pass' : 'FAIL',
    attempted: report?.attempted ?? 0,
    acceptedShare: report === null ? null : Math.round(report.acceptedShare * 1000) / 1000,
    ...Object.fromEntries(Object.values(FAULTS).map((name) => [name, report?.[name] ?? null])),
    gapsTold: report?.gapsTold ?? null,
    recoveryP99Ms: report?.recoveryP99Ms ?? null,
    seconds,
    ...outcome?.figures,
  };
}

function printLine(result: Result, isJson: boolean): void {
  if (isJson) {
    console.log(JSON.stringify({ ...fieldsOf(result), reasons: result.reasons }));
    return;
  }
  const fields = Object.entries(fieldsOf(result)).map(([name, value]) => `${name}=${String(value)}`);
  console.log(fields.join(' '));
  if (!result.passed) for (const reason of result.reasons.slice(0, 30)) console.log(`    ${reason}`);
}

function printTable(results: readonly Result[]): void {
  const columns = [
    'row',
    'seed',
    'verdict',
    'attempted',
    'acceptedShare',
    'lostAccepted',
    'duplicates',
  ].concat([...['fifoViolations', 'silentGaps', 'gapsTold', 'recoveryP99Ms', 'seconds']]);
  const rows = results.map((result) => {
    const fields = fieldsOf(result);
    return [...columns.map((column) => String(fields[column] ?? '-')), result.title];
  });
  const table = [[...columns, 'title'], ...rows];
  const widths = columns.map((_, i) => Math.max(...table.map((row) => row[i]?.length ?? 0)));
  for (const row of table) console.log(row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  '));
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
  if (unknown !== undefined) throw new Error(`There is no row ${unknown}.`);
  // A row that is asked for by name is played in its quick form too.
  const rows = all.filter((row) => wanted?.includes(row.id) ?? (row.quick || !values.quick));
  const { quick, verbose, keep } = values;
  const minutes = Number(values.minutes ?? (quick ? 1 : 30));
  const results: Result[] = [];
  for (const row of rows) {
    for (let i = 0; i < Number(values.seeds); i++) {
      const seed = Number(values.seed) + i;
      const result = await play(row, { seed, quick, verbose, keep, minutes, scale: Number(values.scale) });
      results.push(result);
      printLine(result, values.json);
    }
  }
  if (!values.json) printTable(results);
  return results.every(({ passed }) => passed) ? 0 : 1;
}

process.exit(await main());
