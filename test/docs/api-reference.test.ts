// docs/api says what the docstrings say, and everything that is exported has one.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

const root = fileURLToPath(new URL('../..', import.meta.url));

function textsOf(folder: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]),
  );
}

test('the API reference is made without a warning, and is the one that is checked in', () => {
  const out = mkdtempSync(join(tmpdir(), 'signalbox-api-'));
  try {
    // Warnings, such as an export without a docstring, are errors by typedoc.json.
    const made = spawnSync(process.execPath, ['node_modules/typedoc/bin/typedoc', '--out', out], {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, NO_COLOR: '1' },
    });
    const complaints = made.stderr + made.stdout;
    expect([made.status, complaints.split('\n').filter((line) => /\[(warning|error)\]/.test(line))]).toEqual([
      0,
      [],
    ]);
    const [fresh, kept] = [textsOf(out), textsOf(join(root, 'docs', 'api'))];
    expect(Object.keys(kept)).toEqual(Object.keys(fresh));
    // Names only: a whole page as a difference helps nobody. `npm run api-reference` makes them anew.
    expect(Object.keys(fresh).filter((name) => fresh[name] !== kept[name])).toEqual([]);
  } finally {
    rmSync(out, { recursive: true });
  }
}, 180_000);
