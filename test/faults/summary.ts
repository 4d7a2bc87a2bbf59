// What a whole run of the suite came to: a line for each row over all its seeds, and one for everything.
import { violationsOf } from './report.js';
import type { Result } from './result.js';

const COLUMNS = [
  'row',
  'passed',
  'attempted',
  'acceptedShare',
  'violations',
  'gapsTold',
  'recoveryP99Ms',
  'seconds',
];

export function summaryOf(results: readonly Result[]): string[] {
  const byRow = new Map<string, Result[]>();
  for (const result of results) byRow.set(result.row, [...(byRow.get(result.row) ?? []), result]);
  const table = [[...COLUMNS, 'title'], ...[...byRow.values()].map(cellsOf)];
  const widths = COLUMNS.map((_, i) => Math.max(...table.map((cells) => cells[i]?.length ?? 0)));
  const lines = table.map((cells) => cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  '));
  return ['', ...lines, '', totalOf(results, byRow.size)];
}

/** Worst and best over the seeds: `1374–1868`. */
function cellsOf(results: readonly Result[]): string[] {
  const reports = results.flatMap(({ outcome }) => (outcome === null ? [] : [outcome.report]));
  const passed = results.filter((result) => result.passed).length;
  return [
    results[0]?.row ?? '',
    `${passed}/${results.length}`,
    rangeOf(reports.map(({ attempted }) => attempted)),
    rangeOf(reports.map(({ acceptedShare }) => Math.round(acceptedShare * 1000) / 1000)),
    rangeOf(reports.map(violationsOf)),
    rangeOf(reports.map(({ gapsTold }) => gapsTold)),
    rangeOf(reports.flatMap(({ recoveryP99Ms }) => (recoveryP99Ms === null ? [] : [recoveryP99Ms]))),
    rangeOf(results.map(({ seconds }) => seconds)),
    results[0]?.title ?? '',
  ];
}

function rangeOf(values: readonly number[]): string {
  if (values.length === 0) return '-';
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return least === most ? String(least) : `${least}–${most}`;
}

function totalOf(results: readonly Result[], rows: number): string {
  const failed = results.filter(({ passed }) => !passed).map(({ row, seed }) => `${row} (seed ${seed})`);
  const minutes = Math.round(results.reduce((sum, { seconds }) => sum + seconds, 0) / 6) / 10;
  const verdict = failed.length === 0 ? 'all passed' : `${failed.length} failed: ${failed.join(', ')}`;
  return `${rows} rows, ${results.length} runs, ${minutes} min: ${verdict}`;
}
