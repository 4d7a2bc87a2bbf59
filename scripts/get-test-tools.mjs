// Gets what the tests need and npm does not bring: from the distribution's packages where it may, otherwise it says what to install.
import { spawnSync } from 'node:child_process';
import {
  findChromium,
  findFirefox,
  findProxy,
  findPython,
  findRedisServer,
  findTurnServer,
  missingNetworkPackages,
} from './test-tools.mjs';

/** Debian's name, or Ubuntu's where apt knows only that one. */
function chromiumPackage() {
  const isKnown = (name) => spawnSync('apt-cache', ['show', name], { stdio: 'ignore' }).status === 0;
  return !isKnown('chromium') && isKnown('chromium-browser') ? 'chromium-browser' : 'chromium';
}

function missingPackages() {
  return [
    ...(findRedisServer() ? [] : ['redis-server']),
    ...(findChromium() ? [] : [chromiumPackage()]),
    ...['nginx', 'haproxy'].filter((name) => findProxy(name) === null),
    ...(findFirefox() ? [] : ['firefox-esr']),
    ...(findTurnServer() ? [] : ['coturn']),
    ...missingNetworkPackages(),
    // For examples/python, which proves that docs/protocol.md is enough to write a client from.
    ...(findPython() ? [] : ['python3-msgpack', 'python3-websockets']),
  ];
}

function apt(...args) {
  // In run level 1 Debian's packages start no service: only the binary of redis-server is wanted.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const { status, stdout, stderr } = spawnSync('apt-get', ['-q', '-y', ...args], { env, encoding: 'utf8' });
  if (status !== 0) process.stderr.write(`${stdout ?? ''}${stderr ?? ''}`);
  return status === 0;
}

function mayInstall() {
  return process.getuid?.() === 0 && spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).status === 0;
}

let missing = missingPackages();
if (missing.length > 0 && mayInstall()) {
  console.log(`The tests need ${missing.join(', ')}: installing with apt-get.`);
  // Asked again: only now apt surely knows what this distribution calls them.
  if (apt('update')) apt('install', '--no-install-recommends', ...missingPackages());
  missing = missingPackages();
}
if (missing.length > 0) {
  const packages = missing.join(' ');
  const other = missing.some((name) => name.startsWith('chromium'))
    ? ' (or set CHROMIUM_BIN to a Chrome of yours)'
    : '';
  console.error(
    `The tests need ${missing.join(', ')}: install with "sudo apt-get install ${packages}" or the like${other}, then run again.`,
  );
  process.exit(1);
}
