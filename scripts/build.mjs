// Builds dist/: compiled sources, the files beside them (.lua), the pages of web/ and the browser bundles.
// With --if-needed it does nothing where dist is complete and newer than everything it is made of.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
// Written last, so that a build that was cut short counts as missing.
const stamp = join(dist, '.built');
const inputs = [
  'src',
  'web',
  'package.json',
  'tsconfig.json',
  'scripts/build.mjs',
  'scripts/bundle-client.mjs',
  'scripts/bundle-test-page.mjs',
  'scripts/slim-sources.mjs',
];

function filesOf(path) {
  if (!existsSync(path)) return [];
  if (statSync(path).isFile()) return [path];
  return readdirSync(path, { recursive: true })
    .map((name) => join(path, name))
    .filter((file) => statSync(file).isFile());
}

function isFresh() {
  if (!existsSync(stamp)) return false;
  const built = statSync(stamp).mtimeMs;
  return inputs
    .flatMap((input) => filesOf(join(root, input)))
    .every((file) => statSync(file).mtimeMs <= built);
}

function runNode(script, ...args) {
  const { status, error } = spawnSync(process.execPath, [script, ...args], { cwd: root, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

function copyBesideSources(target) {
  const from = join(root, 'src');
  for (const file of filesOf(from)) {
    if (file.endsWith('.ts')) continue;
    const to = join(target, file.slice(from.length));
    mkdirSync(dirname(to), { recursive: true });
    cpSync(file, to);
  }
}

function build() {
  // Compiled aside and swapped in, so that a failed build leaves the old one and no deleted source lives on in dist.
  const fresh = join(root, `dist.${process.pid}`);
  process.on('exit', () => rmSync(fresh, { recursive: true, force: true }));
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  runNode(tsc, '-p', join(root, 'tsconfig.json'), '--outDir', fresh);
  copyBesideSources(fresh);
  if (existsSync(join(root, 'web'))) cpSync(join(root, 'web'), join(fresh, 'web'), { recursive: true });
  if (existsSync(join(fresh, 'cli.js'))) chmodSync(join(fresh, 'cli.js'), 0o755);
  rmSync(dist, { recursive: true, force: true });
  renameSync(fresh, dist);

  for (const name of ['bundle-client.mjs', 'bundle-test-page.mjs']) {
    const bundle = join(root, 'scripts', name);
    if (existsSync(bundle)) runNode(bundle);
  }
  writeFileSync(stamp, '');
}

const onlyIfNeeded = process.argv.includes('--if-needed');
if (!onlyIfNeeded || !isFresh()) {
  // Nobody asked for a build: say what takes these seconds.
  if (onlyIfNeeded) console.log('Building dist/ (the sources are newer, or this is the first start).');
  build();
}
