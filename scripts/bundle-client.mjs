// Bundles the SDK for browsers: dist/browser/client.js with the default codec, and chunks that are loaded when needed.
import { build } from 'esbuild';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Browsers have a WebSocket of their own: what looks for that of `ws` stays out. */
const withoutNode = {
  name: 'without-node',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]client[\\/]node-websocket\.ts$/ }, () => ({
      contents: 'export const loadNodeWebSocket = async () => null;',
    }));
  },
};

/** Returns esbuild's result with its metafile; `write: false` keeps the files in memory, for tests. */
export function bundleClient({ write = true } = {}) {
  return build({
    absWorkingDir: root,
    entryPoints: { client: join('src', 'client', 'index.ts') },
    outdir: join('dist', 'browser'),
    chunkNames: '[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    minify: true,
    sourcemap: 'linked',
    metafile: true,
    legalComments: 'none',
    plugins: [withoutNode],
    logLevel: 'warning',
    write,
  });
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href)
  await bundleClient();
