// Makes JavaScript of a suite beside the tests and runs it on the built gateway, in processes as they are in production.
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Runs `main.ts` of `test/<name>` with the arguments of this process, and ends as it does.
 * @param others folders and files under `test/` that it imports
 */
export function runSuite(name, others = []) {
  // Beside dist, so that imports of packages and of the build resolve from there as they do from test/.
  const out = join(root, `dist.${name}-${process.pid}`);
  const built = spawnSync(process.execPath, [join(root, 'scripts/build.mjs'), '--if-needed'], {
    stdio: ['ignore', 2, 2],
  });
  if (built.status !== 0) process.exit(built.status ?? 1);
  process.on('exit', () => rmSync(out, { recursive: true, force: true }));
  buildSync({
    entryPoints: [name, ...others].flatMap(sourcesOf),
    outbase: join(root, 'test'),
    outdir: out,
    format: 'esm',
    target: 'node20',
    sourcemap: 'inline',
  });
  const suite = spawn(
    process.execPath,
    ['--enable-source-maps', join(out, name, 'main.js'), ...process.argv.slice(2)],
    { stdio: 'inherit' },
  );
  // The suite stops what it started before it ends.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => suite.kill(signal));
  suite.on('exit', (code) => process.exit(code ?? 1));
}

function sourcesOf(path) {
  const whole = join(root, 'test', path);
  if (path.endsWith('.ts')) return [whole];
  return readdirSync(whole, { recursive: true })
    .map((name) => join(whole, name))
    .filter((file) => /\.(ts|js)$/.test(file) && !file.endsWith('.test.ts'));
}
