// The short subset of the fault suite: each of its rows must pass. `npm run faults` has all of them, with more seeds.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

const RUN = fileURLToPath(new URL('./run.mjs', import.meta.url));

test('every quick row keeps what was promised', async () => {
  const suite = spawn(process.execPath, [RUN, '--quick', '--json'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  suite.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await new Promise((resolve) => suite.once('exit', resolve));
  const results = output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { row: string; verdict: string; reasons: string[] });
  expect(results.length).toBeGreaterThan(10);
  expect(results.filter(({ verdict }) => verdict !== 'pass')).toEqual([]);
}, 600_000);
