// The network fuzz, small: a good network and one with loss and delay; `npm run fuzz:network` has the whole table.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import type { CellResult } from './summary.js';

const RUN = fileURLToPath(new URL('./run.mjs', import.meta.url));
const isRoot = process.getuid?.() === 0;
if (!isRoot) process.stdout.write('The network fuzz is skipped: network namespaces need root, on Linux.\n');

(isRoot ? test : test.skip)(
  'calls through a relay connect, and recover from 5 s without any network, also where a tenth of the packets is lost',
  async () => {
    const suite = spawn(process.execPath, [RUN, '--quick', '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let said = '';
    suite.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    suite.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const code = await new Promise((resolve) => suite.once('exit', resolve));
    if (code !== 0) throw new Error(`the network fuzz ended with ${String(code)}:\n${said}`);
    const results = output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as CellResult)
      .map(({ cell, calls, signedIn, connected, recovered }) => [
        cell,
        calls,
        signedIn,
        connected,
        recovered,
      ]);
    expect(results).toEqual([
      ['0%x0', 2, 2, 2, 2],
      ['10%x150', 2, 2, 2, 2],
    ]);
  },
  // Each of the two may take its limits.
  300_000,
);
