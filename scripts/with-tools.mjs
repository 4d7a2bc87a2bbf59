// node scripts/with-tools.mjs DIR SCRIPT [args]: runs a script of a folder that has a package.json of its own, whose
// packages (artillery, bench peers) are installed on first use, so that `npm ci` of the project stays light.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const [folder, script, ...args] = process.argv.slice(2);
if (!folder || !script) {
  console.error('usage: node scripts/with-tools.mjs DIR SCRIPT [args]');
  process.exit(2);
}
const directory = resolve(root, folder);

function isInstalled() {
  // npm writes this file at the end of each installation.
  const installed = join(directory, 'node_modules', '.package-lock.json');
  if (!existsSync(installed)) return false;
  return ['package.json', 'package-lock.json']
    .map((name) => join(directory, name))
    .every((file) => !existsSync(file) || statSync(file).mtimeMs <= statSync(installed).mtimeMs);
}

// What these steps say goes to stderr: the script's stdout may be data (--json).
function step(command, commandArgs, cwd) {
  const { status, error } = spawnSync(command, commandArgs, { cwd, stdio: ['ignore', 2, 2] });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

if (!isInstalled()) {
  console.error(`Installing the packages of ${folder}/ (once).`);
  const command = existsSync(join(directory, 'package-lock.json')) ? 'ci' : 'install';
  step('npm', [command, '--no-audit', '--no-fund'], directory);
}
step(process.execPath, [join(root, 'scripts', 'build.mjs'), '--if-needed'], root);

const child = spawn(process.execPath, [resolve(root, script), ...args], { cwd: root, stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
