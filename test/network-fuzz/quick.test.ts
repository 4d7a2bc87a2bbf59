// The network fuzz, small: a good network and one with loss and delay; `npm run fuzz:network` has the whole table.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import type { CellResult } from './summary.js';

const RUN = fileURLToPath(new URL('./run.mjs', import.meta.url));
/** Each of the two cells may take its limits. */
const LIMIT_MS = 300_000;
/** What the suite has to take away its machines and what runs on them. */
const END_MS = 20_000;
const isRoot = process.getuid?.() === 0;
if (!isRoot) process.stdout.write('The network fuzz is skipped: network namespaces need root, on Linux.\n');

async function playQuick(): Promise<CellResult[]> {
  const suite = spawn(process.execPath, [RUN, '--quick', '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let said = '';
  suite.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  suite.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  // Not `exit`, after which some of what it wrote may still come.
  const closed = once(suite, 'close');
  try {
    const signal = AbortSignal.timeout(LIMIT_MS - END_MS);
    await Promise.race([closed, once(signal, 'abort')]);
    if (suite.exitCode !== 0)
      throw new Error(
        `the network fuzz ended with ${suite.exitCode ?? 'nothing, it took too long'}:\n${said}`,
      );
  } finally {
    suite.kill('SIGTERM');
    await closed;
  }
  return output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as CellResult);
}

(isRoot ? test : test.skip)(
  'calls through a relay connect, and recover from 5 s without any network, also where a tenth of the packets is lost',
  async () => {
    const [good, bad, ...others] = await playQuick();
    expect(good).toMatchObject({ cell: '0%x0', calls: 2, signedIn: 2, connected: 2, recovered: 2 });
    expect(bad).toMatchObject({ cell: '10%x150', calls: 2 });
    expect(others).toEqual([]);
    // Which packets are lost is chance.
    expect(bad?.connected).toBeGreaterThanOrEqual(1);
    expect(bad?.recovered).toBeGreaterThanOrEqual(1);
    // There and back again at least once: that is what makes it a bad network.
    expect(bad?.signIn.p50Ms).toBeGreaterThanOrEqual(2 * 150);
  },
  LIMIT_MS,
);
