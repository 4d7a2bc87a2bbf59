// The last full run, as a file of JSON lines beside the suite, and the tables of it in docs/webrtc.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { type CellResult, markdownOf, type RunInfo } from './summary.js';

/** Relative to the root of the repository, which is where npm runs scripts. */
export const RESULTS_FILE = 'test/network-fuzz/results.jsonl';
export const DOCS_FILE = 'docs/webrtc.md';
const BLOCK = /(<!-- fuzz:network -->\n)[^]*?(\n<!-- \/fuzz:network -->)/;

export function saveResults(info: RunInfo, results: readonly CellResult[]): void {
  writeFileSync(RESULTS_FILE, [info, ...results].map((line) => `${JSON.stringify(line)}\n`).join(''));
  writeFileSync(DOCS_FILE, withBlock(readFileSync(DOCS_FILE, 'utf8'), blockOf(info, results)));
}

export function readResults(text: string): { info: RunInfo; results: CellResult[] } {
  const [info = '', ...lines] = text.trim().split('\n');
  return {
    info: JSON.parse(info) as RunInfo,
    results: lines.map((line) => JSON.parse(line) as CellResult),
  };
}

/** What stands between the marks. */
export function blockOf(info: RunInfo, results: readonly CellResult[]): string {
  const { at, command, machine, browser } = info;
  const origin = `\`${command}\`, ${at.slice(0, 10)}, ${browser}, ${machine}.`;
  return `${origin}\n\n${markdownOf(results)}`;
}

/** @throws Error where the marks are not there */
export function withBlock(text: string, block: string): string {
  if (!BLOCK.test(text)) throw new Error(`${DOCS_FILE} has no place for the tables of the network fuzz`);
  return text.replace(BLOCK, (_, begin: string, end: string) => `${begin}${block}${end}`);
}
