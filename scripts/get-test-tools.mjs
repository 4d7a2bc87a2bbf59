// Gets what the tests need and npm does not bring: from the distribution's packages where it may, otherwise it says what to install.
import { spawnSync } from 'node:child_process';
import { findChromium, findPython, findRedisServer } from './test-tools.mjs';

function missingPackages() {
  return [
    ...(findRedisServer() ? [] : ['redis-server']),
    ...(findChromium() ? [] : ['chromium']),
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
  console.log(`The tests need ${missing.join(' and ')}: installing with apt-get.`);
  if (apt('update')) apt('install', '--no-install-recommends', ...missing);
  missing = missingPackages();
}
if (missing.length > 0) {
  const packages = missing.join(' ');
  console.error(
    `The tests need ${missing.join(' and ')}: install with "sudo apt-get install ${packages}" or the like, then run again.`,
  );
  process.exit(1);
}
