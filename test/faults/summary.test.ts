// What the suite says at the end: every row with all its seeds, and which of them failed.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { emptyReport } from './report.js';
import { fieldsOf, type Result } from './result.js';
import { summaryOf } from './summary.js';

const RUN = fileURLToPath(new URL('./run.mjs', import.meta.url));

function resultOf(row: string, seed: number, attempted: number, failures: string[] = []): Result {
  const report = { ...emptyReport(), attempted, recoveryP99Ms: 100 * seed, silentGaps: failures.length };
  const outcome = { report, figures: { backMs: 7 }, failures };
  const passed = failures.length === 0;
  return { row, title: `about ${row}`, seed, seconds: 30, passed, outcome, reasons: failures };
}

test('a line begins with what is promised, and ends with the figures of the row', () => {
  const fields = Object.keys(fieldsOf(resultOf('F01', 1, 10)));
  expect(fields.join(' ')).toBe(
    'row seed verdict attempted acceptedShare lostAccepted duplicates fifoViolations silentGaps gapsTold recoveryP99Ms phantoms disagreements ownerOverlaps notLive seconds backMs',
  );
});

test('the summary has one line for each row over its seeds, and names what failed', () => {
  const died: Result = { ...resultOf('F02', 3, 0), passed: false, outcome: null };
  const lines = summaryOf([resultOf('F01', 1, 10), resultOf('F01', 2, 30, ['a gap']), died]);
  expect(lines.map((line) => line.replace(/ +/g, ' ').trim())).toEqual([
    '',
    'row passed attempted acceptedShare violations gapsTold recoveryP99Ms seconds title',
    'F01 1/2 10–30 1 0–1 0 100–200 30 about F01',
    'F02 0/1 - - - - - 30 about F02',
    '',
    '2 rows, 3 runs, 1.5 min: 2 failed: F01 (seed 2), F02 (seed 3)',
  ]);
  expect(summaryOf([resultOf('F01', 1, 10)]).at(-1)).toBe('1 rows, 1 runs, 0.5 min: all passed');
});

test.each([
  ['--row F99', 'there is no row F99: see --list'],
  ['--seeds none', '--seeds is none, not a whole number from 1 on'],
  ['--scale 0', '--scale is 0, not a number above 0'],
])('%s plays nothing, says why and exits with 2', (options, reason) => {
  const { status, stderr } = spawnSync(process.execPath, [RUN, ...options.split(' ')], { encoding: 'utf8' });
  expect([status, stderr.trim().split('\n').at(-1)]).toEqual([2, reason]);
});
