// What the browser's bundle says in fewer bytes than the sources do: no sentences, and tables as one text each.
import { build } from 'esbuild';
import { readFileSync } from 'node:fs';

/**
 * In browsers an error's text is its code, which docs/protocol.md explains: all texts together are 1.3 kB.
 * Those of `TypeError`, for mistakes of a program, stay.
 */
const TEXTS = [
  /(new (?:Protocol|Gateway)Error\(\s*[^,()]+),\s*(['`])[^'`]*\2(,?)/g,
  /(\b(?:fail|refuse)\()\s*(['`])[^'`]*\2(,?)/g,
];

/** The source of a module without the texts of its errors. */
export function withoutTexts(path) {
  const [inErrors, inCalls] = TEXTS;
  return readFileSync(path, 'utf8')
    .replace(inErrors, (_all, before, _quote, comma) => before + (comma && ', undefined,'))
    .replace(inCalls, (_all, before, _quote, comma) => before + (comma && 'undefined,'));
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

/** protocol/codes.ts: names, with a number only where it is not the one after the last. */
export async function slimCodes(path) {
  const { CODES } = await exportsOf(path);
  let last = 0;
  const rows = Object.entries(CODES).map(([code, { close }]) => {
    const isNext = close === null ? Number.isNaN(last) : close === last + 1;
    last = close ?? NaN;
    return isNext ? code : `${code} ${close}`;
  });
  return replaced(
    withoutTexts(path),
    /export const CODES = [^]*? satisfies Record<string, Row>;/,
    // Codes without a number come last: Number('null') + 1 is NaN too.
    `export const CODES = {};
    let last;
    for (const row of '${rows}'.split(',')) {
      const [code, close] = row.split(' ');
      last = close ? Number(close) : last + 1;
      CODES[code] = { close: last || null, text: code };
    }`,
  );
}

/** Frames from this number to the next one belong to dialogues (docs/protocol.md, type numbers). */
const DIALOGUES = [64, 96];

/** protocol/frame.ts: number, type and fields of all frames of a family, without those of dialogues unless they are wanted. */
export async function slimFrames(path, { withDialogues }) {
  const [first, after] = DIALOGUES;
  const { TYPES, CLIENT_FIELDS, GATEWAY_FIELDS } = await exportsOf(path);
  const textOf = (table) =>
    Object.entries(table)
      .filter(([type]) => withDialogues || TYPES[type] < first || TYPES[type] >= after)
      .map(([type, fields]) => [TYPES[type], type, ...fields].join(' '))
      .join();
  const table = `export const TYPES = {};
    const fieldsOf = (text) => Object.fromEntries(text.split(',').map((row) => {
      const [number, type, ...fields] = row.split(' ');
      TYPES[type] = Number(number);
      return [type, fields];
    }));`;
  let source = replaced(withoutTexts(path), /export const TYPES = [^]*?as const;/, table);
  for (const [name, fields] of Object.entries({ CLIENT_FIELDS, GATEWAY_FIELDS })) {
    const declaration = new RegExp(`export const ${name} = [^]*?;`);
    source = replaced(source, declaration, `export const ${name} = fieldsOf('${textOf(fields)}');`);
  }
  return source;
}
