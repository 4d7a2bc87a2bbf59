// The shape of src/, read from its imports: one direction, no cycles, pure folders, one reader of the environment.
import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, posix, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import ts from 'typescript';

/** Path below src/ with slashes → source text. */
type Sources = ReadonlyMap<string, string>;

/** Inner first: a folder imports itself and what stands before it. */
const ORDER = [
  'protocol',
  'session',
  'relay',
  'transport',
  'plugin',
  'plugins',
  'webhooks',
  'worker',
  'outer',
] as const;
type Layer = (typeof ORDER)[number] | 'client' | 'ground' | 'page';

/** Composition: what starts processes, and the package's door. */
const OUTER = [
  'master.ts',
  'handovers.ts',
  'shares.ts',
  'questions.ts',
  'webhook-process.ts',
  'supervision.ts',
  'public-port.ts',
  'start-error.ts',
  'cli.ts',
  'settings-markdown.ts',
  'misspelled-settings.ts',
  'index.ts',
  'embedded-client.ts',
  'embedded-gateway.ts',
  'embedded-settings.ts',
  'admin/',
];
/**
 * Imported by anybody but the pure folders. They name types of the folders that they configure or count, but nothing
 * of worker/ and outside; that this goes round in no circle is the test of cycles.
 */
const GROUND = [
  'config.ts',
  'key-settings.ts',
  'setting-reader.ts',
  'settings.ts',
  'plugin-settings.ts',
  'webhook-settings.ts',
  'hook-target.ts',
  'turn-settings.ts',
  'log.ts',
  'log-writer.ts',
  'peer-metrics.ts',
  'metrics.ts',
  'version.ts',
];
const PURE = ['protocol', 'client', 'test-page'];
/** The SDK's files that may know Node: in the browser's bundles the first and last are others, and the second is not there. */
const NODE_FILES = [
  'client/masked-writer.ts',
  'client/node-request.ts',
  'client/node-websocket.ts',
  'client/tcp-socket.ts',
  'client/ws-socket.ts',
  'client/offload/node-thread.ts',
];
const ENVIRONMENT_READERS = ['config.ts'];
/** Where the process begins, it hands its environment over whole, as `parse(process.env)`, and looks at no variable. */
const ENVIRONMENT_HANDED_OVER_BY = ['cli.ts'];
const DOORS = ['index.ts', 'client/index.ts', 'protocol/index.ts'];

function layerOf(file: string): Layer | null {
  const within = (places: string[]) =>
    places.some((place) => (place.endsWith('/') ? file.startsWith(place) : file === place));
  if (within(OUTER)) return 'outer';
  if (within(GROUND)) return 'ground';
  const [folder] = file.split('/');
  if (folder === 'client') return 'client';
  if (folder === 'test-page') return 'page';
  return ORDER.find((layer) => layer === folder && layer !== 'outer') ?? null;
}

function mayImport(from: Layer, to: Layer): boolean {
  if (from === to) return true;
  if (from === 'client') return to === 'protocol';
  // A page is a user of the SDK, and nobody's module.
  if (from === 'page') return to === 'client' || to === 'protocol';
  if (to === 'page') return false;
  if (from === 'ground') return !['client', 'plugin', 'plugins', 'webhooks', 'worker', 'outer'].includes(to);
  if (to === 'ground') return from !== 'protocol';
  // Sessions that plugins make are clients of the SDK.
  if (to === 'client') return from === 'outer' || from === 'plugin' || from === 'plugins';
  return ORDER.indexOf(to) < ORDER.indexOf(from);
}

/** Every module that a file names: imports, type imports, re-exports and `import()`. */
function specifiersOf(text: string): string[] {
  return ts.preProcessFile(text, true, true).importedFiles.map((file) => file.fileName);
}

function importsOf(file: string, text: string): string[] {
  return specifiersOf(text)
    .filter((name) => name.startsWith('.'))
    .map((name) => posix.join(posix.dirname(file), name).replace(/\.js$/, '.ts'));
}

function upwardEdges(sources: Sources): string[] {
  const found: string[] = [];
  for (const [file, text] of sources) {
    const from = layerOf(file);
    if (from === null) {
      found.push(`${file} has no place in the order`);
      continue;
    }
    for (const target of importsOf(file, text)) {
      const to = layerOf(target);
      if (to === null || !mayImport(from, to)) found.push(`${file} → ${target}`);
    }
  }
  return found;
}

function cycles(sources: Sources): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const walk = (file: string, path: string[]): void => {
    const start = path.indexOf(file);
    if (start >= 0) {
      found.push([...path.slice(start), file].join(' → '));
      return;
    }
    if (done.has(file)) return;
    for (const target of importsOf(file, sources.get(file) ?? '')) walk(target, [...path, file]);
    done.add(file);
  };
  for (const file of sources.keys()) walk(file, []);
  return found;
}

function builtinsInPureFolders(sources: Sources): string[] {
  return [...sources].flatMap(([file, text]) => {
    const pure = PURE.some((folder) => file.startsWith(`${folder}/`)) && !NODE_FILES.includes(file);
    if (!pure) return [];
    return specifiersOf(text)
      .filter((name) => isBuiltin(name))
      .map((name) => `${file} → ${name}`);
  });
}

function environmentReaders(sources: Sources): string[] {
  const reads =
    /\bprocess\s*(\?\.|\.)\s*env\b|\bprocess\s*\[\s*['"]env|\{[^}]*\benv\b[^}]*\}\s*(=\s*process\b|from\s*['"](node:)?process['"])/;
  const others = [...sources].filter(([file]) => !ENVIRONMENT_READERS.includes(file));
  return others.flatMap(([file, text]) => {
    const code = withoutComments(text);
    const handsOver = ENVIRONMENT_HANDED_OVER_BY.includes(file);
    return reads.test(handsOver ? code.replaceAll('(process.env)', '') : code) ? [file] : [];
  });
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
}

function drawers(sources: Sources): string[] {
  return [...sources.keys()].filter((file) => {
    const name = posix.basename(file, '.ts');
    if (name === 'index') return !DOORS.includes(file);
    return ['utils', 'util', 'helpers', 'common', 'types', 'misc'].includes(name);
  });
}

function readSources(): Sources {
  const root = fileURLToPath(new URL('../src', import.meta.url));
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
  return new Map(files.map((file) => [file.split(sep).join('/'), readFileSync(join(root, file), 'utf8')]));
}

const sources = readSources();
const tree = (files: Record<string, string>): Sources => new Map(Object.entries(files));

describe('src', () => {
  test('has no import against the order protocol ← session ← relay ← transport ← plugin ← worker ← master, cli, admin', () => {
    expect(sources.size).toBeGreaterThan(0);
    expect(upwardEdges(sources)).toEqual([]);
  });

  test('has no import cycle, type imports counted', () => {
    expect(cycles(sources)).toEqual([]);
  });

  test('imports no Node built-in under protocol/, client/ and test-page/', () => {
    expect(builtinsInPureFolders(sources)).toEqual([]);
  });

  test('reads process.env in its configuration only', () => {
    expect(environmentReaders(sources)).toEqual([]);
  });

  test('has index.ts only as a door, and no drawers', () => {
    expect(drawers(sources)).toEqual([]);
  });
});

describe('the reader of imports', () => {
  test('finds an upward edge when an inner folder imports an outer one', () => {
    const edges = upwardEdges(
      tree({
        'protocol/a.ts': "export { b } from '../session/b.js';",
        'session/b.ts': "import type { C } from '../relay/c.js';",
        'relay/c.ts': "const m = await import('../worker/d.js');",
        'client/e.ts': "import { log } from '../log.js';",
        'log.ts': "import { b } from './session/b.js';\nimport { d } from './worker/d.js';",
        'transport/f.ts': "import '../protocol/a.js';\nimport { log } from '../log.js';",
        'worker/d.ts': "import { Client } from '../client/e.js';",
        'odd/g.ts': '',
        'test-page/h.ts': "import { Client } from '../client/e.js';\nimport { f } from '../transport/f.js';",
        'admin/i.ts': "import { h } from '../test-page/h.js';",
      }),
    );
    expect(edges).toEqual([
      'protocol/a.ts → session/b.ts',
      'session/b.ts → relay/c.ts',
      'relay/c.ts → worker/d.ts',
      'client/e.ts → log.ts',
      'log.ts → worker/d.ts',
      'worker/d.ts → client/e.ts',
      'odd/g.ts has no place in the order',
      'test-page/h.ts → transport/f.ts',
      'admin/i.ts → test-page/h.ts',
    ]);
  });

  test('finds a cycle when two files import each other by type only', () => {
    const found = cycles(
      tree({
        'session/a.ts': "import type { B } from './b.js';",
        'session/b.ts': "import { type C } from './c.js';",
        'session/c.ts': "export type { A } from './a.js';",
      }),
    );
    expect(found).toEqual(['session/a.ts → session/b.ts → session/c.ts → session/a.ts']);
  });

  test('finds built-ins with and without the node: prefix when a pure folder imports them', () => {
    const found = builtinsInPureFolders(
      tree({
        'client/a.ts': "import { Buffer } from 'node:buffer';",
        'protocol/b.ts': "import zlib from 'zlib';\nimport pako from 'pako';",
        'client/node-websocket.ts': "import net from 'node:net';",
        'session/c.ts': "import net from 'node:net';",
      }),
    );
    expect(found).toEqual(['client/a.ts → node:buffer', 'protocol/b.ts → zlib']);
  });

  test('finds a second reader of the environment when it uses another form', () => {
    const found = environmentReaders(
      tree({
        'config.ts': 'const port = process.env.PORT;',
        'cli.ts': 'start(parse(process.env));',
        'worker/cli.ts': 'start(parse(process.env));',
        'a.ts': 'const port = process.env.PORT;',
        'b.ts': "const port = process['env'].PORT;",
        'c.ts': 'const { env } = process;',
        'd.ts': "import { env } from 'node:process';",
        'e.ts': '// never from process.env\nexport const read = (env: object) => env;',
      }),
    );
    expect(found).toEqual(['worker/cli.ts', 'a.ts', 'b.ts', 'c.ts', 'd.ts']);
  });

  test('finds drawers when a folder has an index or a file of odds and ends', () => {
    expect(drawers(tree({ 'index.ts': '', 'session/index.ts': '', 'relay/utils.ts': '' }))).toEqual([
      'session/index.ts',
      'relay/utils.ts',
    ]);
  });
});
