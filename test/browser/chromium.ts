// Debian's Chromium for tests, headless and without the calls home that a closed network answers with errors.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Browser } from 'playwright-core';
import { CHROMIUM_FLAGS, findChromium } from '../../scripts/test-tools.mjs';

const FLAGS = [
  ...CHROMIUM_FLAGS,
  // Host candidates as addresses: nobody answers mDNS names in a container.
  '--disable-features=WebRtcHideLocalIpsWithMdns',
];

/** @param wrap what comes before the command: a machine (network namespace) */
export async function launchChromium(flags: string[] = [], wrap: readonly string[] = []): Promise<Browser> {
  const name = findChromium();
  if (name === null) throw new Error('no Chromium: npm test installs one where it may');
  const executablePath = execFileSync('sh', ['-c', 'command -v "$0"', name], { encoding: 'utf8' }).trim();
  if (wrap.length === 0) return await chromium.launch({ executablePath, args: [...FLAGS, ...flags] });
  const folder = mkdtempSync(join(tmpdir(), 'signalbox-chromium-'));
  const script = join(folder, 'chromium');
  writeFileSync(script, `#!/bin/sh\nexec ${[...wrap, executablePath].join(' ')} "$@"\n`, { mode: 0o755 });
  try {
    return await chromium.launch({ executablePath: script, args: [...FLAGS, ...flags] });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
