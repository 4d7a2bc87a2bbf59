// Debian's Chromium for tests, headless and without the calls home that a closed network answers with errors.
import { execFileSync } from 'node:child_process';
import { chromium, type Browser } from 'playwright-core';
import { findChromium } from '../../scripts/test-tools.mjs';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Host candidates as addresses: nobody answers mDNS names in a container.
  '--disable-features=WebRtcHideLocalIpsWithMdns',
];

export async function launchChromium(flags: string[] = []): Promise<Browser> {
  const name = findChromium();
  if (name === null) throw new Error('no Chromium: npm test installs one where it may');
  const executablePath = execFileSync('sh', ['-c', 'command -v "$0"', name], { encoding: 'utf8' }).trim();
  return await chromium.launch({ executablePath, args: [...FLAGS, ...flags] });
}
