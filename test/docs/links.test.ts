// Every relative link of the documents leads to a file that exists, and every anchor to a heading or an `<a id>`.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

const root = fileURLToPath(new URL('../..', import.meta.url));
const documents = [
  'README.md',
  'CHANGELOG.md',
  'bench/README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

/** Without what is code, where brackets and `#` mean something else. */
function withoutBlocks(text: string): string {
  return text.replace(/^( *)(```|~~~)[\s\S]*?^\1\2 *$/gm, '');
}

/** As GitHub makes them: lower case, without punctuation, `-` for each space, and numbered where a heading comes again. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  const seen = new Map<string, number>();
  for (const [, heading = ''] of withoutBlocks(text).matchAll(/^ {0,3}#{1,6} +(.+?) *#* *$/gm)) {
    const shown = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/<[^>]*>/g, '');
    const slug = shown
      .toLowerCase()
      .replace(/[^\p{L}\p{M}\p{N}\p{Pc} -]/gu, '')
      .replace(/ /g, '-');
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    anchors.add(times === 0 ? slug : `${slug}-${String(times)}`);
  }
  for (const [, id = ''] of text.matchAll(/<a (?:id|name)="([^"]+)"/g)) anchors.add(id);
  return anchors;
}

function linksOf(text: string): string[] {
  const plain = withoutBlocks(text).replace(/(`+)(?!`)[^`\n]*?\1(?!`)/g, 'code');
  return [
    ...plain.matchAll(/\]\(\s*<?([^)>\s]+)>?(?:\s+"[^"]*")?\s*\)/g),
    ...plain.matchAll(/^ {0,3}\[[^\]]+\]: +(\S+)/gm),
    ...plain.matchAll(/<(?:a|img|source)\b[^>]*?\b(?:href|src|srcset)="([^"\s]+)"/g),
  ].flatMap(([, target = '']) => (/^(?:[a-z][a-z\d+.-]*:|\/\/)/i.test(target) ? [] : [target]));
}

const read = (path: string): string => readFileSync(path, 'utf8');

function faultOf(link: string, document: string): string | null {
  const [file = '', anchor] = link.split('#').map(decodeURIComponent);
  const path = file === '' ? document : join(dirname(document), file);
  if (!existsSync(join(root, path))) return `${document}: ${link}: there is no ${path}`;
  // typedoc numbers the headings of its pages in a way of its own: those within one are not ours to mend.
  if (anchor === undefined || !path.endsWith('.md') || (file === '' && path.startsWith('docs/api/')))
    return null;
  return anchorsOf(read(join(root, path))).has(anchor)
    ? null
    : `${document}: ${link}: ${path} has no such heading`;
}

test('every relative link of the documents leads somewhere', () => {
  const links = documents.flatMap((document) =>
    linksOf(read(join(root, document))).map((link) => ({ link, document })),
  );
  expect(links.length).toBeGreaterThan(100);
  const faults = links.flatMap(({ link, document }) => faultOf(link, document) ?? []);
  expect([...new Set(faults)]).toEqual([]);
});

test('the README names every guide and every example', () => {
  const readme = read(join(root, 'README.md'));
  const linked = new Set(linksOf(readme).map((link) => link.split('#')[0]));
  // Notes of how a question was settled are named by the architecture.
  const guides = documents.filter((path) => dirname(path) === 'docs' && path !== 'docs/close-paths.md');
  expect(guides.filter((path) => !linked.has(path))).toEqual([]);
  const examples = readdirSync(join(root, 'examples'))
    .filter((name) => name.endsWith('.mjs') && !['gateway.mjs', 'page-server.mjs'].includes(name))
    .map((name) => relative(root, join(root, 'examples', name)));
  expect(examples.filter((path) => !readme.includes(`node ${path} `))).toEqual([]);
});
