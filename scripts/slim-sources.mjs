// What the browser's bundle says in fewer bytes than the sources do: no sentences, and tables as one text each.
import { build } from 'esbuild';
import { readFileSync } from 'node:fs';

/**
 * In browsers an error's text is its code, which docs/protocol.md explains: all texts together are 1.3 kB.
 * Those of `TypeError`, for mistakes of a program, say which option it is.
 */
const TEXTS = [
  /(new (?:Protocol|Gateway)Error\(\s*[^,()]+),\s*(['`])[^'`]*\2(,?)/g,
  /(\b(?:fail|refuse)\()\s*(['`])[^'`]*\2(,?)/g,
];
const OPTION_TEXT = /(new TypeError\(\s*(["']))(options\.\w+)[^\n]*\2\)/g;

/** The source of a module without the texts of its errors. */
export function withoutTexts(path) {
  const [inErrors, inCalls] = TEXTS;
  return readFileSync(path, 'utf8')
    .replace(inErrors, (_all, before, _quote, comma) => before + (comma && ', undefined,'))
    .replace(inCalls, (_all, before, _quote, comma) => before + (comma && 'undefined,'))
    .replace(OPTION_TEXT, (_all, before, quote, option) => `${before}${option}${quote})`);
}

async function exportsOf(path) {
  const { outputFiles } = await build({ entryPoints: [path], bundle: true, format: 'esm', write: false });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
}

/** @throws where the sources do not look as they did when this was written */
function replaced(source, declaration, by) {
  if (!declaration.test(source)) throw new Error(`Not found in the sources: ${declaration}`);
  return source.replace(declaration, () => by);
}

/** Frames that only calls write and get: their rows come with late.js, which makes calls. */
const OF_CALLS = [
  ...['token', 'send', 'broadcast', 'request', 'reply', 'confirm', 'join', 'leave', 'leaveAll', 'publish'],
  ...['members', 'count', 'clients', 'watch', 'call', 'ok', 'error', 'response', 'delivered', 'doubt'],
  ...['pair', 'holdPair', 'endPair', 'available', 'peerReport', 'standingOffer'],
];

const refusalsOf = (codes) => Object.keys(codes).filter((code) => codes[code].close === null);

/** protocol/codes.ts: names, with a number only where it is not the one after the last. Codes that close nothing come late, unless those of dialogues are wanted too. */
export async function slimCodes(path, { withDialogues }) {
  const { CODES } = await exportsOf(path);
  let last = 0;
  const rows = Object.entries(CODES).flatMap(([code, { close }]) => {
    if (close === null) return [];
    const isNext = close === last + 1;
    last = close;
    return [isNext ? code : `${code} ${close}`];
  });
  return replaced(
    withoutTexts(path),
    /export const CODES = [^]*? satisfies Record<string, Row>;/,
    `export const CODES = {};
    let last;
    for (const row of '${rows}'.split(',')) {
      const [code, close] = row.split(' ');
      last = Number(close ?? last + 1);
      CODES[code] = { close: last };
    }
    export function addCodes(codes) {
      for (const code of codes.split(',')) CODES[code] = { close: null, text: code };
    }
    ${withDialogues ? `addCodes('${refusalsOf(CODES)}');` : ''}`,
  );
}

/** protocol/errors.ts: an error's text is its code. */
export function slimErrors(path) {
  // Which call a frame was refused for is the gateway's to say: the SDK's own errors have no `ref`.
  const withoutRef = replaced(withoutTexts(path), / {4}this\.ref = options\.ref \?\? 0;\n/, '');
  const source = replaced(withoutRef, /options: ErrorOptions & \{ ref\?: number \} = \{\}/, 'options');
  return replaced(source, /CODES\[code\]\.text/g, 'code');
}

/** protocol/parse-gateway-frame.ts: only hubs of shared tabs, which have their own, ask for the session's generation. */
export function slimGatewayFrame(path) {
  return replaced(withoutTexts(path), /\n {4}generation: isUintOrNone,/, '');
}

/** Frames from this number to the next one belong to dialogues (docs/protocol.md, type numbers). */
const DIALOGUES = [64, 96];

const isLate = (type) => OF_CALLS.includes(type);

const rowsOf = (fields, types, isWanted) =>
  Object.entries(fields)
    .filter(([type]) => isWanted(type))
    .map(([type, names]) => [types[type], type, ...names].join(' '))
    .join();

/** protocol/frame.ts: number, type and fields of the frames that come early; of all where those of dialogues are wanted. */
export async function slimFrames(path, { withDialogues }) {
  const [first, after] = DIALOGUES;
  const { TYPES, CLIENT_FIELDS, GATEWAY_FIELDS } = await exportsOf(path);
  let source = replaced(
    withoutTexts(path),
    /export const TYPES = [^]*?as const;/,
    'export const TYPES = {};',
  );
  for (const name of ['CLIENT_FIELDS', 'GATEWAY_FIELDS'])
    source = replaced(source, new RegExp(`export const ${name} = [^]*?;`), `export const ${name} = {};`);
  const isEarly = (type) => withDialogues || (!isLate(type) && (TYPES[type] < first || TYPES[type] >= after));
  const client = rowsOf(CLIENT_FIELDS, TYPES, isEarly);
  const gateway = rowsOf(GATEWAY_FIELDS, TYPES, isEarly);
  return replaced(
    source,
    /export const GATEWAY_TYPES[^]*?;/,
    `export const GATEWAY_TYPES = new Map();
    const add = (fields, rows) => {
      for (const row of rows.split(',')) {
        const [number, type, ...names] = row.split(' ');
        TYPES[type] = Number(number);
        fields[type] = names;
        if (fields === GATEWAY_FIELDS) GATEWAY_TYPES.set(TYPES[type], type);
      }
    };
    export function addFrames(client, gateway) {
      add(CLIENT_FIELDS, client);
      add(GATEWAY_FIELDS, gateway);
    }
    addFrames('${client}', '${gateway}');`,
  );
}

/** What late.js adds to the tables of the first file. */
export async function lateTables(frames, codes) {
  const { TYPES, CLIENT_FIELDS, GATEWAY_FIELDS } = await exportsOf(frames);
  const { CODES } = await exportsOf(codes);
  const client = rowsOf(CLIENT_FIELDS, TYPES, isLate);
  const gateway = rowsOf(GATEWAY_FIELDS, TYPES, isLate);
  return `import { addFrames } from './protocol/frame.js';
    import { addCodes } from './protocol/codes.js';
    addFrames('${client}', '${gateway}');
    addCodes('${refusalsOf(CODES)}');`;
}

/**
 * protocol/msgpack-*.ts without what pays at a gateway's rates only: small numbers without a call, and short strings
 * character by character, some 200 ns faster than the platform's coder.
 */
export function slimMsgpack(path) {
  const source = withoutTexts(path);
  if (path.endsWith('writer.ts'))
    return replaced(
      replaced(source, /if \(length <= SHORT_STRING &&.*\n/, ''),
      /  #ascii\([^]*?\n  \}\n/,
      '',
    );
  return replaced(
    replaced(source, /if \(length <= LOOP_LIMIT_BYTES\) \{[^]*?\n    \}\n/, ''),
    /if \(head !== undefined && head < 0x80\) \{[^]*?\n    \}\n/,
    '',
  );
}

/** First number of the private names of a subclass: both stand on one object, where the parent has its own. */
const SUBCLASS_FIRST = 32;

/**
 * Private names as properties that the bundler shortens, the same few in every class: a browser's page has no use for what the
 * language does to guard them, and each has to be declared. One level of subclasses, in files of their own.
 */
export function withPlainPrivates(source) {
  const first = /\bclass \w+ extends (?!Error\b)/.test(source) ? SUBCLASS_FIRST : 0;
  const names = new Map();
  const plain = source.replace(/(?<![\w'"`$/}])#([a-zA-Z]\w*)/g, (_all, name) => {
    if (!names.has(name)) names.set(name, `private$${first + names.size}`);
    return names.get(name);
  });
  if (/\babstract class\b/.test(source) && names.size > SUBCLASS_FIRST)
    throw new Error('A parent class has more private names than are left for it: raise SUBCLASS_FIRST.');
  return plain;
}
