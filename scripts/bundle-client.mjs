// Bundles the SDK for browsers: dist/browser/client.js with the default codec, and beside it what is loaded when first needed. The same
// once more in dist/for-bundlers, for applications that make bundles of their own.
import { build } from 'esbuild';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { minify } from 'terser';
import { INTERNAL_NAMES, refuseQuotedNames } from './internal-names.mjs';
import {
  lateTables,
  slimCodes,
  slimErrors,
  slimFrames,
  slimGatewayFrame,
  slimMsgpack,
  withoutTexts,
  withPlainPrivates,
} from './slim-sources.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const src = join(root, 'src');
const dist = join(root, 'dist');

/** Loaded by `import()`; each becomes a file of its own, with the names that are taken from it. */
const LAZY = {
  'client/compression.ts': ['deflate', 'inflate', 'warmUp'],
  // With codecs that know its frames: those of the entry do not.
  'client/dialogues.ts': ['Dialogues'],
  'client/late.ts': ['CallDesk', 'Responder', 'Verbs', 'watchNetwork'],
  'client/rtc/rtc.ts': [
    'GatewaySignaling',
    'Ladder',
    'LoopbackSignaling',
    'RTCSignalingPeer',
    'hangUp',
    'onSimplePeer',
    'openMesh',
    'peersOf',
    'simplePeerSignaling',
  ],
  'client/ways.ts': ['choose'],
  'protocol/json-codec.ts': ['jsonClientCodec'],
};

/** Loaded by rtc.js, by who leaves standing offers, or asks for them. */
const OF_RTC = { 'client/rtc/standing-calls.ts': ['asking', 'holdOffers'] };

/** Loaded by lazy files, with all that they need in them: they speak the gateway's side too, for which the others have no code. */
const WHOLE = { 'client/tabs/tabs.ts': ['shared'] };

/**
 * Modules of client.js that lazy files take from there, with the names that they take. esbuild's own code splitting would put
 * all that is shared into further static chunks: the same code in three gzip streams instead of one, 2 kB more.
 */
const SHARED = {
  'client/withdrawal.ts': ['onWithdrawal'],
  'protocol/codes.ts': ['CODES', 'addCodes'],
  'protocol/errors.ts': ['ProtocolError', 'GatewayError'],
  'protocol/frame.ts': ['addFrames'],
  'protocol/format-client-frame.ts': ['formatClientFrame'],
  'protocol/msgpack-reader.ts': ['decodeMsgpack', 'UTF8'],
  'protocol/msgpack-writer.ts': ['Writer', 'isWritableInteger'],
  'protocol/parse-gateway-frame.ts': ['parseGatewayFrame'],
};
/** Doors of their own, over what client.js shows to everybody: nothing loads them but the application. */
const DOORS = ['client/socket-io/socket-io.ts', 'client/offload/offload.ts'];
/** Programs of workers, whole: they import nothing, and nothing imports them. */
const PROGRAMS = [
  'client/offload/offload-worker.ts',
  'client/offload-socket-worker.ts',
  'client/tabs/tabs-worker.ts',
];
/**
 * Doors whose objects the SDK's own modules handle, so that both have the same short names. What applications write is not
 * shortened: test/client/internal-names.test.ts.
 */
const INNER_DOORS = { 'protocol/serializers.ts': ['Serializers'] };
/** Modules that a door takes from client.js. */
const BEHIND_DOORS = ['client/client.ts', 'protocol/errors.ts'];
const PUBLIC = ['Client', 'ProtocolError', 'GatewayError'];

/**
 * What the first WebRTC call of a page runs. Chromium, from version 136 on, compiles these files whole when they are loaded; else it would compile
 * each function when that first runs, in the middle of the call.
 */
const COMPILED_WHOLE = ['compression.js', 'late.js', 'rtc.js', 'standing-calls.js'];
const COMPILE_HINT = '//# allFunctionsCalledOnLoad\n';

// No hashes in the names: a page that stays open while the gateway is upgraded must still find what it loads late.
const fileOf = (name) => `./${name}.js`;
const nameOf = (module) => basename(module, '.ts');
const sourceOf = ({ path, resolveDir }) => resolve(resolveDir, path).replace(/\.js$/, '.ts');

/** Browsers make requests by fetch. */
const REQUESTS = [
  { filter: /[\\/]client[\\/]node-request\.ts$/ },
  () => ({ contents: 'export const platformRequest = () => fetch;' }),
];

const forBrowsers = (withDialogues) => ({
  name: 'for-browsers',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /\.js$/ }, (args) => {
      const source = Object.keys({ ...LAZY, ...OF_RTC, ...WHOLE }).find(
        (module) => join(src, module) === sourceOf(args),
      );
      if (source !== undefined && args.kind === 'dynamic-import')
        return { path: fileOf(nameOf(source)), external: true };
    });
    // Browsers have a WebSocket of their own.
    onLoad({ filter: /[\\/]client[\\/]node-websocket\.ts$/ }, () => ({
      contents: 'export const platformWebSocket = () => WebSocket;',
    }));
    onLoad(...REQUESTS);
    onLoad({ filter: /[\\/]protocol[\\/]codes\.ts$/ }, async ({ path }) => ({
      contents: await slimCodes(path, { withDialogues }),
      loader: 'ts',
    }));
    if (!withDialogues)
      onLoad({ filter: /[\\/]protocol[\\/]dialogue-fields\.ts$/ }, () => ({
        contents: 'export const DIALOGUE_FIELDS = {};',
      }));
    onLoad({ filter: /[\\/]protocol[\\/]frame\.ts$/ }, async ({ path }) => ({
      contents: await slimFrames(path, { withDialogues }),
      loader: 'ts',
    }));
    onLoad({ filter: /[\\/]protocol[\\/]errors\.ts$/ }, ({ path }) => ({
      contents: slimErrors(path),
      loader: 'ts',
    }));
    onLoad({ filter: /[\\/]protocol[\\/]parse-gateway-frame\.ts$/ }, ({ path }) => ({
      contents: slimGatewayFrame(path),
      loader: 'ts',
    }));
    onLoad({ filter: /[\\/]protocol[\\/]msgpack-(reader|writer)\.ts$/ }, ({ path }) => ({
      contents: withPlainPrivates(slimMsgpack(path)),
      loader: 'ts',
    }));
    onLoad({ filter: /[\\/]src[\\/](client|protocol)[\\/]/ }, ({ path }) => {
      const contents = withPlainPrivates(withoutTexts(path));
      refuseQuotedNames(contents);
      return { contents, loader: 'ts' };
    });
  },
});

/** Modules that a file with its own table of frames takes from the entry all the same. */
const WITHOUT_FRAMES = ['protocol/errors.ts'];

const fromEntry = (withDialogues) => ({
  name: 'from-entry',
  setup({ onResolve }) {
    onResolve({ filter: /\.js$/ }, (args) => {
      const shared = (withDialogues ? WITHOUT_FRAMES : Object.keys(SHARED)).some(
        (module) => join(src, module) === sourceOf(args),
      );
      if (shared) return { path: fileOf('client'), external: true };
      // The entry's tables, filled by statements, are of no use to the others.
      if (args.kind === 'import-statement' && args.importer !== '')
        return { path: sourceOf(args), sideEffects: false };
    });
  },
});

/** Of the shortened names, those that a file shares with the platform, or that stand in its frames. */
const NOT_SHORTENED = {
  'client/dialogues.ts': ['drop', 'start', 'write'],
  // What a reader of a response gives.
  'client/ways.ts': ['value'],
};

const shortened = (names) => new RegExp(`^(private\\$\\d+|${names.join('|')})$`);

/** What is for the lazy files alone has a short name in client.js. */
function exportedAs(name) {
  return PUBLIC.includes(name) ? name : `$${Object.values(SHARED).flat().indexOf(name)}`;
}

const options = {
  absWorkingDir: root,
  bundle: true,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  // Declarations of fields that the constructor sets anyway would only be repeated names.
  tsconfigRaw: { compilerOptions: { useDefineForClassFields: false, target: 'es2021' } },
  minify: true,
  metafile: true,
  mangleProps: shortened(INTERNAL_NAMES),
  legalComments: 'none',
  logLevel: 'warning',
  write: false,
};

async function buildEntry() {
  const exports = { ...SHARED, 'client/index.ts': ['Client'] };
  const stdin = reexporting(exports, exportedAs);
  return build({ ...options, mangleCache: {}, stdin, plugins: [forBrowsers(false)] });
}

/** `mangleCache`: the short names that the entry uses. */
async function buildLazy(module, mangleCache) {
  const stdin = reexporting({ [module]: { ...LAZY, ...OF_RTC, ...INNER_DOORS }[module] });
  if (module === 'client/late.ts')
    stdin.contents += await lateTables(join(src, 'protocol/frame.ts'), join(src, 'protocol/codes.ts'));
  const withDialogues = module === 'client/dialogues.ts';
  const names = INTERNAL_NAMES.filter((name) => !NOT_SHORTENED[module]?.includes(name));
  const plugins = [fromEntry(withDialogues), forBrowsers(withDialogues)];
  return build({ ...options, mangleProps: shortened(names), stdin, mangleCache, plugins });
}

/** Without shortened names: it sees of the SDK what applications see. */
async function buildDoor(module) {
  const fromClient = {
    name: 'from-client',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /\.js$/ }, (args) => {
        if (BEHIND_DOORS.some((inner) => join(src, inner) === sourceOf(args)))
          return { path: fileOf('client'), external: true };
      });
      // Browsers have workers of their own.
      onLoad({ filter: /[\\/]offload[\\/]node-thread\.ts$/ }, () => ({
        contents: `export { spawnInBrowser as spawnThread } from './thread-port.js';
          export const coreCount = () => navigator.hardwareConcurrency;`,
        loader: 'ts',
      }));
      onLoad({ filter: /[\\/]src[\\/]client[\\/]/ }, ({ path }) => ({
        contents: withPlainPrivates(readFileSync(path, 'utf8')),
        loader: 'ts',
      }));
    },
  };
  return build({
    ...options,
    mangleProps: /^private\$\d+$/,
    entryPoints: [join(src, module)],
    plugins: [fromClient],
  });
}

async function buildProgram(module, format = 'iife') {
  const withoutSentences = {
    name: 'without-sentences',
    setup({ onLoad }) {
      onLoad(...REQUESTS);
      onLoad({ filter: /[\\/]protocol[\\/]codes\.ts$/ }, ({ path }) => ({
        contents: readFileSync(path, 'utf8').replace(/\btext:\s*(['"]).*?\1,?(?=\s)/g, "text: '',"),
        loader: 'ts',
      }));
    },
  };
  return build({
    ...options,
    format,
    mangleProps: /^private\$\d+$/,
    entryPoints: [join(src, module)],
    plugins: [withoutSentences],
  });
}

/** Takes from client.js what it exports, under the names that it has there. */
function withShortImports(text) {
  return text.replace(/import *\{([^}]*)\} *from *"\.\/client\.js"/g, (clause) =>
    clause.replace(/(\w+) as/g, (_all, name) => `${exportedAs(name)} as`),
  );
}

/** See src/client/lazy.ts: another URL after a failure. */
function withQueries(text, modules) {
  const found = text.matchAll(/\(\) *=> *import\("(\.\/[\w-]+\.js)"\)/g);
  const urls = [...found].map(([, url]) => url).sort();
  const all = Object.keys(modules)
    .map((module) => fileOf(nameOf(module)))
    .sort();
  if (urls.join() !== all.join()) throw new Error(`Loaded late without Lazy: ${all} against ${urls}`);
  return text.replace(/\(\) *=> *import\(("\.\/[\w-]+\.js")\)/g, (_all, url) => `q=>import(${url}+q)`);
}

/**
 * The same files for bundlers, which find what is loaded late only where its URL is one text; a load that failed asks for that URL again then.
 *
 * @param {Map<string, string>} files
 */
export function forBundlers(files) {
  const plain = (text) =>
    text.replace(/q=>import\(("\.\/[\w-]+\.js")\+q\)/g, (_all, url) => `()=>import(${url})`);
  return new Map([...files].map(([name, text]) => [name, plain(text)]));
}

function reexporting(exports, exportedAs = (name) => name) {
  const lines = Object.entries(exports).map(
    ([module, names]) =>
      `export { ${names.map((name) => `${name} as ${exportedAs(name)}`)} } from './${module}';`,
  );
  return { contents: lines.join('\n'), resolveDir: src, loader: 'ts' };
}

/** A second pass: esbuild neither inlines what is used once nor merges statements as well, 3 % of the size. */
async function squeeze(text) {
  const { code } = await minify(text, {
    module: true,
    ecma: 2020,
    compress: {
      passes: 6,
      hoist_funs: true,
      // Functions with arguments, inlined, are longer than a call.
      inline: 1,
      lhs_constants: false,
      pure_getters: true,
      unsafe_arrows: true,
      unsafe_methods: true,
    },
  });
  return code;
}

/** The bundle in memory: text by file name, and the sources and packages that went into it. */
export async function bundleClient() {
  const entry = await buildEntry();
  const results = [['client', entry]];
  let { mangleCache } = entry;
  for (const module of Object.keys({ ...LAZY, ...OF_RTC, ...INNER_DOORS })) {
    const lazy = await buildLazy(module, mangleCache);
    ({ mangleCache } = lazy);
    results.push([nameOf(module), lazy]);
  }
  for (const module of DOORS) results.push([nameOf(module), await buildDoor(module)]);
  for (const module of Object.keys(WHOLE)) results.push([nameOf(module), await buildProgram(module, 'esm')]);
  for (const module of PROGRAMS) results.push([nameOf(module), await buildProgram(module)]);
  const files = new Map();
  for (const [name, { outputFiles }] of results)
    files.set(`${name}.js`, await squeeze(withShortImports(outputFiles[0].text)));
  files.set('client.js', withQueries(files.get('client.js'), LAZY));
  files.set('rtc.js', withQueries(files.get('rtc.js'), OF_RTC));
  files.set('ways.js', withQueries(files.get('ways.js'), WHOLE));
  for (const name of COMPILED_WHOLE) {
    if (!files.has(name)) throw new Error(`To be compiled whole, but not there: ${name}`);
    files.set(name, COMPILE_HINT + files.get(name));
  }
  return {
    files,
    inputs: [...new Set(results.flatMap(([, { metafile }]) => Object.keys(metafile.inputs)))],
  };
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { files } = await bundleClient();
  write('browser', files);
  write('for-bundlers', forBundlers(files));
}

function write(folder, files) {
  const out = join(dist, folder);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  for (const [name, text] of files) writeFileSync(join(out, name), text);
}
