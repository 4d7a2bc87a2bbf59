// What the network fuzz makes of its calls: cells by name, percentiles, and the tables.
import { describe, expect, test } from '@jest/globals';
import { ALL_CELLS, nameOf, parseCells } from './cell.js';
import type { Call } from './round.js';
import { markdownOf, summaryOf } from './summary.js';

const [PLAIN] = parseCells('10%x150');
if (PLAIN === undefined) throw new Error('no cell');

function call(connectMs: number | null, recoverMs: number | null): Call {
  return { signInMs: connectMs === null ? null : 5, connectMs, recoverMs, log: [] };
}

describe('cells', () => {
  test('are named as they are asked for', () => {
    for (const cell of ALL_CELLS) expect(parseCells(nameOf(cell))).toEqual([cell]);
    expect(new Set(ALL_CELLS.map(nameOf)).size).toBe(ALL_CELLS.length);
    expect(parseCells('5x0, 0%x50/64k/both/video')).toEqual([
      { loss: 0.05, delayMs: 0, kbps: null, side: 'one', content: 'data' },
      { loss: 0, delayMs: 50, kbps: 64, side: 'both', content: 'video' },
    ]);
  });

  test.each(['', '10%', '10%x', '101%x0', '10%x5/fast', '10%x5/0k', '10%x5,'])('refuse %j', (text) => {
    expect(() => parseCells(text)).toThrow(RangeError);
  });
});

describe('a summary', () => {
  test('counts what calls came to, and gives figures that were measured', () => {
    const calls = [call(300, 40), call(100, null), call(200, 20), call(null, null)];
    expect(summaryOf('name', PLAIN, calls)).toMatchObject({
      calls: 4,
      signedIn: 3,
      connected: 3,
      recovered: 2,
      connect: { p50Ms: 200, p95Ms: 300 },
      recover: { p50Ms: 20, p95Ms: 40 },
    });
  });

  test('becomes a table of loss and delay, and a list of the rest', () => {
    const both = { ...PLAIN, side: 'both', kbps: 64 } as const;
    const text = markdownOf([
      summaryOf('a', PLAIN, [call(1500, 40)]),
      summaryOf('b', { ...PLAIN, loss: 0 }, [call(100, null), call(null, null)]),
      summaryOf('c', { ...PLAIN, delayMs: 0 }, [call(null, null)]),
      summaryOf('d', both, [call(900, 20)]),
    ]);
    expect(text.split('\n')).toEqual([
      '| loss | 0 ms | 150 ms |',
      '| --- | --- | --- |',
      '| **0 %** |  | 50 % (1 not signed in) · 0.1 / 0.1 s · – (0 of 1) |',
      '| **10 %** | 0 % (1 not signed in) | 100 % · 1.5 / 1.5 s · 0.0 / 0.0 s |',
      '',
      '| other networks | calls |',
      '| --- | --- |',
      '| 10 % loss, 150 ms, 64 kbit/s, both sides | 100 % · 0.9 / 0.9 s · 0.0 / 0.0 s |',
    ]);
  });
});
