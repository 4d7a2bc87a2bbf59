// docs/protocol.md says what the source says: type numbers and codes, both ways.
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { CODES } from '../../src/protocol/codes.js';
import { ProtocolError } from '../../src/protocol/errors.js';
import { TYPES } from '../../src/protocol/frame.js';
import { msgpackCodec } from '../../src/protocol/msgpack-codec.js';
import { encodeMsgpack } from '../../src/protocol/msgpack-values.js';

const text = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');

/** Cells of the table between `<!-- <name>: … -->` and `<!-- end -->`, without its head. */
function table(name: string): string[][] {
  const [, after = ''] = text.split(new RegExp(`<!-- ${name}:[^>]*-->`));
  const [inside = ''] = after.split('<!-- end -->');
  const rows = inside.split('\n').filter((line) => line.startsWith('|'));
  return rows.slice(2).map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', '')),
  );
}

/** Which decoder knows the type number: the other one calls it unknown. */
function senderOf(type: number): string {
  try {
    msgpackCodec.decodeClient(encodeMsgpack([type]));
    return 'client';
  } catch (error) {
    return error instanceof ProtocolError && error.code === 'unknown_type' ? 'gateway' : 'client';
  }
}

test('docs/protocol.md has the type numbers of the source, and no others', () => {
  const source = Object.entries(TYPES).map(([name, number]) => [String(number), name, senderOf(number)]);
  expect(table('types')).toEqual(source);
});

test('docs/protocol.md has the codes of the source, and no others', () => {
  const source = Object.entries(CODES).map(([name, row]) => [
    String(row.close ?? '—'),
    name,
    row.then,
    row.text,
  ]);
  expect(table('codes')).toEqual(source);
});

test('docs/protocol.md has fields for every frame type', () => {
  for (const name of Object.keys(TYPES)) expect(text).toMatch(new RegExp(`^\\| \`${name}\` \\|`, 'm'));
});
