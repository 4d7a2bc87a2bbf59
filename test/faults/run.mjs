// npm run faults: makes JavaScript of the suite and runs it on the built gateway, in processes as they are in production.
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));
// Beside dist, so that imports of packages and of the build resolve from there as they do from test/.
const out = join(root, `dist.faults-${process.pid}`);

const built = spawnSync(process.execPath, [join(root, 'scripts/build.mjs'), '--if-needed'], {
  stdio: ['ignore', 2, 2],
});
if (built.status !== 0) process.exit(built.status ?? 1);

const sources = readdirSync(join(root, 'test/faults'), { recursive: true })
  .map((name) => join(root, 'test/faults', name))
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'));
process.on('exit', () => rmSync(out, { recursive: true, force: true }));
buildSync({
  entryPoints: [...sources, join(root, 'test/gateway-process.ts'), join(root, 'test/redis-server.ts')],
  outbase: join(root, 'test'),
  outdir: out,
  format: 'esm',
  target: 'node20',
  sourcemap: 'inline',
});

const suite = spawn(
  process.execPath,
  ['--enable-source-maps', join(out, 'faults/main.js'), ...process.argv.slice(2)],
  { stdio: 'inherit' },
);
// The suite stops what it started before it ends.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => suite.kill(signal));
suite.on('exit', (code) => process.exit(code ?? 1));
