// Bundles the connection test page's script: dist/web/test-page.js, which takes the SDK from the gateway's own files.
import { build } from 'esbuild';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const client = join(root, 'src', 'client');

/** Files of the SDK as browsers get them, by module. */
const SERVED = { 'index.js': '/client.js', 'rtc/rtc.js': '/rtc.js', 'ways.js': '/ways.js' };

const fromGateway = {
  name: 'from-gateway',
  setup({ onResolve }) {
    onResolve({ filter: /\/client\// }, ({ path, resolveDir }) => {
      const module = resolve(resolveDir, path);
      const served = Object.entries(SERVED).find(([name]) => module === join(client, name));
      // Whatever else of the SDK the page took would be there twice.
      if (served === undefined)
        return { errors: [{ text: `${basename(module)} is none of the SDK's files` }] };
      return { path: served[1], external: true };
    });
  },
};

export async function bundleTestPage() {
  const { outputFiles } = await build({
    entryPoints: [join(root, 'src', 'test-page', 'main.ts')],
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    minify: true,
    legalComments: 'none',
    logLevel: 'warning',
    outfile: join(root, 'dist', 'web', 'test-page.js'),
    plugins: [fromGateway],
    write: false,
  });
  return outputFiles[0];
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { mkdirSync, writeFileSync } = await import('node:fs');
  const { path, contents } = await bundleTestPage();
  mkdirSync(join(root, 'dist', 'web'), { recursive: true });
  writeFileSync(path, contents);
}
