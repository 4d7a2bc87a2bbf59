// jest's way from a TypeScript file to a module: esbuild, one file at a time, with its source map inside.
import { createHash } from 'node:crypto';
import { transform, transformSync, version } from 'esbuild';

const options = { loader: 'ts', format: 'esm', target: 'node20', sourcemap: 'inline' };

export default {
  getCacheKey: (source, path) =>
    createHash('sha256').update([version, path, source].join('\0')).digest('hex'),
  process: (source, path) => transformSync(source, { ...options, sourcefile: path }),
  processAsync: (source, path) => transform(source, { ...options, sourcefile: path }),
};
