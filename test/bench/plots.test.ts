// The benchmark's plots: scales, places of labels, and pictures that a browser can draw.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';

const plot = fileURLToPath(new URL('../../bench/plot', import.meta.url));
const { element, figure, ticksUpTo } = await import(join(plot, 'svg.mjs'));
const { barChart } = await import(join(plot, 'bars.mjs'));
const { labelPlaces, lineChart, linePanels } = await import(join(plot, 'lines.mjs'));

/** Values of one attribute of all elements of a name. */
function attributes(svg: string, name: string, attribute: string): string[] {
  const elements = svg.match(new RegExp(`<${name} [^>]*>`, 'g')) ?? [];
  return elements.flatMap((text) => new RegExp(` ${attribute}="([^"]*)"`).exec(text)?.[1] ?? []);
}

describe('scales', () => {
  test('steps are round and reach the largest value', () => {
    expect(ticksUpTo(16.7)).toEqual([0, 5, 10, 15, 20]);
    expect(ticksUpTo(0.3)).toEqual([0, 0.1, 0.2, 0.3]);
    expect(ticksUpTo(10_000)).toEqual([0, 2000, 4000, 6000, 8000, 10_000]);
    expect(ticksUpTo(0)).toEqual([0, 1]);
  });

  test('figures have three digits and groups of thousands', () => {
    expect([0.1234, 5, 5.678, 45.67, 12_345.6, Number.NaN].map((value) => figure(value))).toEqual([
      '0.123',
      '5',
      '5.68',
      '45.7',
      '12 346',
      '–',
    ]);
  });

  test('labels that are wanted at one place stand apart and below the top', () => {
    const places: number[] = labelPlaces([50, 50, 52, 300], 40);
    const sorted = places.slice(0, 3).sort((a, b) => a - b);
    expect(places[3]).toBe(300);
    expect(Math.min(...places)).toBeGreaterThanOrEqual(40);
    expect(sorted.slice(1).every((place, i) => place - (sorted[i] ?? 0) >= 15)).toBe(true);
  });
});

describe('pictures', () => {
  test('texts are escaped', () => {
    expect(element('a', { title: '"<' }, 'x')).toBe('<a title="&quot;&lt;">x</a>');
    const svg: string = barChart({ title: 'a < b & c', unit: 'µs', rows: [{ label: '<b>', value: 1 }] });
    expect(svg).toContain('a &lt; b &amp; c');
    expect(svg).toContain('&lt;b&gt;');
  });

  test('bars are as long as their values are to each other', () => {
    const rows = [10, 20, 5].map((value) => ({ label: 'x', value, ours: value === 5 }));
    const svg: string = barChart({ title: 't', unit: 'µs', rows });
    // The first rectangle is the background.
    const [, ...widths] = attributes(svg, 'rect', 'width');
    const [ten, twenty, five] = widths.map(Number);
    expect((twenty ?? 0) / (ten ?? 0)).toBeCloseTo(2, 2);
    expect((ten ?? 0) / (five ?? 0)).toBeCloseTo(2, 2);
  });

  test('a value that was not measured neither moves nor breaks the others', () => {
    const rows = [
      { label: 'a', value: Number.NaN },
      { label: 'b', value: 4 },
    ];
    const bars: string = barChart({ title: 't', unit: 'µs', rows });
    expect(bars).not.toMatch(/NaN|Infinity|undefined/);
    expect(Number(attributes(bars, 'rect', 'width')[2])).toBeLessThan(900);
    const series = [
      { label: 'a', values: [Number.NaN, Number.NaN] },
      { label: 'b', values: [1, Number.NaN] },
      { label: 'c', values: [2, 300] },
    ];
    for (const logarithmic of [false, true]) {
      const svg: string = lineChart({ title: 't', unit: 'ms', ticks: ['x', 'y'], series, logarithmic });
      expect(svg).not.toMatch(/NaN|Infinity|undefined/);
      expect(attributes(svg, 'path', 'd')).toHaveLength(2);
    }
  });

  test('panels without any measured value stay empty', () => {
    const panels = [{ name: 'p', unit: 'µs', ticks: ['1'], series: [{ label: 'a', values: [Number.NaN] }] }];
    expect(linePanels({ title: 't', subtitle: 's', panels })).not.toMatch(/NaN|Infinity|undefined/);
  });

  test('on a logarithmic scale equal ratios are equal distances', () => {
    const series = [{ label: 'a', values: [1, 10, 100] }];
    const svg: string = lineChart({
      title: 't',
      unit: 'ms',
      ticks: ['x', 'y', 'z'],
      series,
      logarithmic: true,
    });
    const [a, b, c] = attributes(svg, 'circle', 'cy').map(Number);
    expect((a ?? 0) - (b ?? 0)).toBeCloseTo((b ?? 0) - (c ?? 0), 1);
    expect((a ?? 0) - (b ?? 0)).toBeGreaterThan(10);
  });
});
