// The protocol module for scripts, from source: bundled to a temporary file and imported.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

export async function loadProtocol() {
  const directory = await mkdtemp(join(tmpdir(), 'signalbox-protocol-'));
  try {
    const outfile = join(directory, 'protocol.mjs');
    await build({
      entryPoints: [join(root, 'src/protocol/index.ts')],
      bundle: true,
      format: 'esm',
      platform: 'node',
      outfile,
    });
    return await import(pathToFileURL(outfile).href);
  } finally {
    await rm(directory, { recursive: true });
  }
}
