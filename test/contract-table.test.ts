// The table of the contract suite, from jest's reports: what was played where, and what was not.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';

const folder = mkdtempSync(join(tmpdir(), 'contract-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const PLACEMENTS = ['same worker', 'other worker', 'other node'];
const WAYS = ['websocket msgpack to sse json', 'poll json to tcp msgpack'];

interface Play {
  ancestorTitles: string[];
  title: string;
  status: string;
}

const plays = (title: string, placements = PLACEMENTS, ways = WAYS, status = 'passed'): Play[] =>
  placements.flatMap((placement) =>
    ways.map((way) => ({ ancestorTitles: ['redis store', placement, way], title, status })),
  );

function tableOf(assertionResults: Play[]): { lines: string[]; status: number | null } {
  const file = join(folder, 'report.json');
  writeFileSync(file, JSON.stringify({ testResults: [{ assertionResults }] }));
  const { stdout, status } = spawnSync(process.execPath, ['scripts/contract-table.mjs', file], {
    encoding: 'utf8',
  });
  return { lines: stdout.trim().split('\n').slice(2), status };
}

test('a verb that was played everywhere has its number of plays at each placement', () => {
  const elsewhere = { ancestorTitles: ['other tests'], title: 'something else', status: 'passed' };
  expect(tableOf([...plays('send()'), elsewhere])).toEqual({ lines: ['| send() | 2 | 2 | 2 |'], status: 0 });
});

test('what failed, or was not played on a transport or at a placement, is said, and is no success', () => {
  expect(tableOf([...plays('send()'), ...plays('call()', ['same worker'])])).toEqual({
    lines: ['| call() | 2 | – | – |', '| send() | 2 | 2 | 2 |'],
    status: 1,
  });
  expect(tableOf(plays('send()', PLACEMENTS, WAYS.slice(0, 1)))).toEqual({
    lines: ['| send() | 1, not poll, tcp | 1, not poll, tcp | 1, not poll, tcp |'],
    status: 1,
  });
  const failed = plays('send()', ['other node'], WAYS.slice(1), 'failed');
  expect(tableOf([...plays('send()'), ...failed])).toEqual({
    lines: ['| send() | 2 | 2 | 2, 1 failed |'],
    status: 1,
  });
  expect(tableOf([])).toEqual({ lines: [], status: 2 });
});
