// Scenario bundle: what a page must load before it can connect, and what it loads later when it needs it.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { bundleClient } from '../../scripts/bundle-client.mjs';
import { barChart } from '../plot/bars.mjs';
import { fixed } from '../table.mjs';

const ENTRY = 'signalbox: entry';
const LAZY = 'signalbox: all lazy parts';
const GOAL_BYTES = 10_000;

const sizes = (texts) => ({
  bytes: texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0),
  gzip: texts.reduce((sum, text) => sum + gzipSync(text, { level: 9 }).length, 0),
  faults: [],
});

/** The file that a page would load from a CDN. */
function socketIoClient() {
  const manifest = createRequire(import.meta.url).resolve('socket.io-client/package.json');
  return [readFileSync(join(dirname(manifest), 'dist', 'socket.io.esm.min.js'), 'utf8')];
}

async function cases() {
  const { files } = await bundleClient();
  const [entry, ...lazy] = [...files];
  return [
    { label: ENTRY, texts: () => [entry[1]] },
    ...lazy.map(([name, text]) => ({ label: `signalbox: ${name}`, texts: () => [text] })),
    { label: LAZY, texts: () => lazy.map(([, text]) => text) },
    { label: 'socket.io-client', texts: socketIoClient },
  ];
}

export const bundle = {
  name: 'bundle',
  defaults: {},
  exact: true,
  cases,
  run: async ({ texts }) => sizes(texts()),
  describe: (r) => `${r.bytes} bytes, ${r.gzip} as gzip`,
  columns: [
    { head: 'bytes', text: fixed('bytes', 0) },
    { head: 'gzip', text: fixed('gzip', 0) },
  ],
  goals: [
    {
      what: 'SDK entry, codec included, gzip',
      label: ENTRY,
      against: '10 kB',
      most: 1,
      unit: 'bytes',
      digits: 0,
      ours: (get) => get(ENTRY, 'gzip'),
      theirs: () => GOAL_BYTES,
    },
  ],
  plot: (rows) =>
    barChart({
      title: 'What a browser loads',
      subtitle:
        'gzip, level 9; lazy parts are loaded when first used; the dashed line is the goal for the entry',
      unit: 'bytes',
      limit: GOAL_BYTES,
      rows: rows.map((row) => ({
        label: row.label,
        value: row.figures.gzip,
        ours: row.label.startsWith('signalbox'),
      })),
    }),
};
