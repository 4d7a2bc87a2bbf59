// What the benchmark writes into documents: sizing by arithmetic, shares of a CPU profile, blocks that are filled.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';

const bench = fileURLToPath(new URL('../../bench', import.meta.url));
const { sizingRows, sizingTable } = await import(join(bench, 'sizing.mjs'));
const { profileTable, shares, timeByPart } = await import(join(bench, 'profile.mjs'));
const { headlineTable } = await import(join(bench, 'headline.mjs'));
const { fillBlocks } = await import(join(bench, 'blocks.mjs'));

describe('sizing', () => {
  const figures = {
    kibPerConnection: 8,
    baseMib: 100,
    microsPerHandshake: 600,
    microsPerMessage: 10,
    nodeMicrosPerMessage: 20,
    sendBytes: 230,
    messageBytes: 260,
  };

  test('is the arithmetic that it shows', () => {
    const values = sizingRows(figures).map(({ of }: { of: (n: number) => number }) => of(1_000_000));
    const expected = [
      (1e6 * 8) / 1024 / 1024 + 100 / 1024,
      (1e6 * 3792) / 2 ** 30,
      (1e6 * (0.1 + 1 / 25) * 10) / 1e6 / 0.6,
      (1e6 * (0.1 * 20 + 10 / 25)) / 1e6 / 0.6,
      ((1e6 / 60) * 600) / 1e6,
      // Up 230 + 8, down 260 + 4, four segments; ping 2 + 2 and pong 2 + 6, four segments.
      (1e6 * (0.1 * (238 + 264 + 264) + (4 + 8 + 264) / 25) * 8) / 1e6,
    ];
    expect(values).toHaveLength(expected.length);
    for (const [at, value] of expected.entries()) expect(values[at]).toBeCloseTo(value, 6);
  });

  test('is a table with a column for each number of connections, in plain numbers', () => {
    const lines: string[] = sizingTable(figures).split('\n');
    expect(lines[0]).toBe('| | arithmetic | 10 000 | 100 000 | 1 000 000 |');
    expect(new Set(lines.map((line) => line.split('|').length))).toEqual(new Set([7]));
    expect(lines.join('\n')).not.toMatch(/e\+|NaN|undefined/);
    expect(lines[2]).toContain('N × 8.0 KiB + 100 MiB | 0.17 | 0.86 | 7.7 |');
  });
});

describe('the headline', () => {
  const row = (label: string, cpuMicrosPerMessage: number, messagesPerSecond: number) => ({
    label,
    figures: { cpuMicrosPerMessage, messagesPerSecond },
  });

  test('has the systems that ran, ours first, and leaves out those that did not', () => {
    const table: string = headlineTable([
      row('ws-json/1', 8.76, 110_488),
      row('signalbox/1', 4.56, 1_187_015),
      row('nats/1', 0, 0),
      row('not shown', 1, 1),
    ]);
    expect(table.split('\n').slice(2)).toEqual([
      '| **signalbox**, one worker | 4.6 µs | 1 187 000 |',
      '| bare `ws` and JSON, one process | 8.8 µs | 110 000 |',
    ]);
  });
});

describe('profiles', () => {
  const frame = (functionName: string, url: string) => ({ functionName, url });
  const profile = {
    nodes: [
      { id: 1, callFrame: frame('(idle)', '') },
      { id: 2, callFrame: frame('writev', '') },
      { id: 3, callFrame: frame('route', 'file:///x/dist/relay/router.js') },
      { id: 4, callFrame: frame('getInfo', 'file:///x/node_modules/ws/lib/receiver.js') },
      { id: 5, callFrame: frame('send', 'file:///x/node_modules/ws/lib/sender.js') },
      { id: 6, callFrame: frame('writev', 'file:///x/dist/other.js') },
    ],
    samples: [1, 2, 3, 3, 4, 5, 6],
    timeDeltas: [1000, 40, 20, 10, 5, 5, 20],
  };

  test('give the time before each sample to the part of the code that ran', () => {
    expect(Object.fromEntries(timeByPart(profile))).toEqual({
      idle: 1000,
      'writing to sockets (system calls)': 40,
      'relay: route, delivery, links': 30,
      'ws: frames in': 5,
      'ws: the rest': 5,
      other: 20,
    });
  });

  test('of several processes are added up, without the time in which they were idle', () => {
    const { busySeconds, parts } = shares([timeByPart(profile), new Map([['other', 100]])]);
    expect(busySeconds).toBeCloseTo(200e-6);
    expect(parts[0]).toEqual({ part: 'other', share: 0.6 });
    const { head, rows } = profileTable('x', { busySeconds, parts }, 10);
    expect(head).toContain('µs/message');
    expect(rows[0].slice(0, 3)).toEqual(['other', '60.0 %', '6.00']);
  });
});

describe('blocks of a document', () => {
  const text = 'a\n<!-- bench: x -->\nold\n<!-- /bench -->\nb\n<!-- bench: y-z -->\n\n<!-- /bench -->\nc\n';

  test('are filled each with its own, and can be filled again', () => {
    const blocks = { x: () => 'one $& two', 'y-z': () => 'three' };
    const once = fillBlocks(text, blocks);
    expect(once).toBe(
      'a\n<!-- bench: x -->\n\none $& two\n\n<!-- /bench -->\nb\n<!-- bench: y-z -->\n\nthree\n\n<!-- /bench -->\nc\n',
    );
    expect(fillBlocks(once, blocks)).toBe(once);
  });

  test('are refused when nothing fills them', () => {
    expect(() => fillBlocks(text, { x: () => '' })).toThrow('no block y-z');
  });
});
