// What CI says in the end, from jest's reports: a second run mends what passes alone, and nothing else.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

type Tests = Record<string, 'passed' | 'failed'>;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ci-report-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** @param files null where the file could not start */
function report(name: 'first' | 'second', files: Record<string, Tests | null>): void {
  const testResults = Object.entries(files).map(([file, tests]) => ({
    name: file,
    status: tests === null || Object.values(tests).includes('failed') ? 'failed' : 'passed',
    assertionResults: Object.entries(tests ?? {}).map(([fullName, status]) => ({ fullName, status })),
  }));
  writeFileSync(join(folder, `${name}.json`), JSON.stringify({ testResults }));
}

function run(command: 'again' | 'count', ...args: string[]): string[] {
  const output = execFileSync('node', ['.ci/report.mjs', command, folder, ...args], { encoding: 'utf8' });
  return output.split('\n').filter((line) => line !== '');
}

describe('the report of CI', () => {
  test('counts what passed', () => {
    report('first', { a: { one: 'passed', two: 'passed' }, b: { three: 'passed' } });
    expect(run('again')).toEqual([]);
    expect(run('count', '0', '0')).toEqual(['3 passed, 0 failed']);
  });

  test('names what passed only alone, and counts it once', () => {
    report('first', { a: { one: 'passed', two: 'failed' }, b: { three: 'passed' } });
    expect(run('again')).toEqual(['a']);
    report('second', { a: { one: 'passed', two: 'passed' } });
    expect(run('count', '0', '0')).toEqual(['FLAKY: a: two', '3 passed, 0 failed']);
  });

  test('counts what failed again, also where it is another test of the same file', () => {
    report('first', { a: { one: 'passed', two: 'failed' }, b: null });
    expect(run('again')).toEqual(['a', 'b']);
    report('second', { a: { one: 'failed', two: 'passed' }, b: null });
    expect(run('count', '0', '1')).toEqual(['FLAKY: a: two', '1 passed, 2 failed']);
  });

  test('gives no second run where many files failed', () => {
    report(
      'first',
      Object.fromEntries(['a', 'b', 'c', 'd', 'e', 'f'].map((file) => [file, { one: 'failed' }])),
    );
    expect(run('again')).toEqual([]);
    expect(run('count', '0', '1')).toEqual(['0 passed, 6 failed']);
  });

  test('counts a failed step, a missing report and an exit code as failed', () => {
    expect(run('count', '0', '0')).toEqual(['0 passed, 1 failed']);
    report('first', { a: { one: 'passed' } });
    expect(run('count', '2', '1')).toEqual(['1 passed, 2 failed']);
    expect(run('count', '0', '1')).toEqual(['1 passed, 1 failed']);
  });
});
