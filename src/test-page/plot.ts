// The plots, in SVG of our own: all round trips of one way, round trips over time, and shares of outcomes.
import type { PairOutcome, Spread } from '../protocol/test-report.js';
import { draw } from './element.js';
import type { LogScale } from './scale.js';
import { number, percent } from './wording.js';

const STRIP = { width: 300, height: 22 };
/** Dots of one strip: the newest say enough, and the page stays light. */
const DOTS_LIMIT = 200;

/** Each round trip is a dot; the band is mean ± deviation, the tick at its right the 95th percentile. */
export function strip(pings: readonly number[], spread: Spread, scale: LogScale): SVGElement {
  const { width, height } = STRIP;
  const x = (value: number): number => 4 + scale.place(value) * (width - 8);
  const middle = height / 2;
  const sd = spread.sd ?? 0;
  const [from, to] = [x(Math.max(spread.mean - sd, 0.001)), x(spread.mean + sd)];
  const label = `${String(spread.count)} round trips, ${number(spread.mean)} ms in the mean, 95 % below ${number(spread.p95)} ms`;
  return draw(
    'svg',
    { viewBox: `0 0 ${width} ${height}`, class: 'strip', role: 'img', 'aria-label': label },
    draw('title', {}, label),
    draw('line', { class: 'axis', x1: 4, x2: width - 4, y1: middle, y2: middle }),
    draw('rect', { class: 'band', x: from, y: 3, width: Math.max(to - from, 1), height: height - 6, rx: 3 }),
    ...pings.slice(-DOTS_LIMIT).map((value, i) =>
      // Up and down a little, so that equal ones do not hide each other.
      draw('circle', { class: 'dot', cx: x(value).toFixed(1), cy: middle + ((i * 7) % 9) - 4, r: 2 }),
    ),
    draw('line', { class: 'mean', x1: x(spread.mean), x2: x(spread.mean), y1: 2, y2: height - 2 }),
    draw('line', { class: 'p95', x1: x(spread.p95), x2: x(spread.p95), y1: 5, y2: height - 5 }),
  );
}

/** The axis that all strips share. */
export function axis(scale: LogScale): SVGElement {
  const { width } = STRIP;
  return draw(
    'svg',
    { viewBox: `0 0 ${width} 14`, class: 'strip ticks', 'aria-hidden': 'true' },
    // Those at the edge have no room for their text.
    ...scale.ticks.filter(isInside(scale)).map((tick) =>
      draw(
        'text',
        { x: 4 + scale.place(tick) * (width - 8), y: 11, 'text-anchor': 'middle' },
        `${number(tick)
          .replace(/\.0+$/, '')
          .replace(/(\.\d)0$/, '$1')} ms`,
      ),
    ),
  );
}

function isInside(scale: LogScale): (tick: number) => boolean {
  return (tick) => scale.place(tick) > 0.05 && scale.place(tick) < 0.94;
}

export interface Line {
  name: string;
  points: readonly { at: number; pingMs: number }[];
}

const TIME = { width: 640, height: 190, left: 46, right: 10, top: 8, bottom: 22 };
/** Classes of lines, `line-0` and so on; the legend has the same. */
export const LINE_COLOURS = 8;

/** Mean ping of each round over the time that the page is open. */
export function timePlot(lines: readonly Line[], scale: LogScale): SVGElement {
  const { width, height, left, right, top, bottom } = TIME;
  const times = lines.flatMap(({ points }) => points.map(({ at }) => at));
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const x = (at: number): number =>
    left + ((at - first) / Math.max(last - first, 1)) * (width - left - right);
  const y = (value: number): number => height - bottom - scale.place(value) * (height - top - bottom);
  const clock = (at: number): string =>
    new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  return draw(
    'svg',
    { viewBox: `0 0 ${width} ${height}`, class: 'time', role: 'img', 'aria-label': 'Ping over time' },
    ...scale.ticks.flatMap((tick) => [
      draw('line', { class: 'grid', x1: left, x2: width - right, y1: y(tick), y2: y(tick) }),
      draw(
        'text',
        { x: left - 5, y: y(tick) + 4, 'text-anchor': 'end' },
        tick >= 1 ? String(tick) : number(tick),
      ),
    ]),
    draw('text', { x: left, y: height - 5 }, clock(first)),
    draw('text', { x: width - right, y: height - 5, 'text-anchor': 'end' }, clock(last)),
    ...lines.flatMap(({ name, points }, i) => {
      const path = points.map(({ at, pingMs }) => `${x(at).toFixed(1)},${y(pingMs).toFixed(1)}`).join(' ');
      const colour = `line-${i % LINE_COLOURS}`;
      return [
        draw('polyline', { class: `line ${colour}`, points: path }, draw('title', {}, name)),
        ...points.map(({ at, pingMs }) =>
          draw('circle', { class: `point ${colour}`, cx: x(at), cy: y(pingMs), r: 2.5 }),
        ),
      ];
    }),
  );
}

/** Direct, relayed and failed pairs as one bar. */
export function outcomeBar(pairs: Record<PairOutcome, number>): SVGElement {
  const all = pairs.direct + pairs.relay + pairs.none;
  const outcomes: [PairOutcome, string][] = [
    ['direct', 'direct'],
    ['relay', 'through TURN'],
    ['none', 'not at all'],
  ];
  const label = outcomes.map(([outcome, text]) => `${percent(pairs[outcome], all)} ${text}`).join(', ');
  let at = 0;
  return draw(
    'svg',
    {
      viewBox: '0 0 100 8',
      preserveAspectRatio: 'none',
      class: 'outcomes',
      role: 'img',
      'aria-label': label,
    },
    draw('title', {}, label),
    ...outcomes.map(([outcome]) => {
      const width = all === 0 ? 0 : (pairs[outcome] / all) * 100;
      const bar = draw('rect', { class: outcome, x: at, y: 0, width, height: 8 });
      at += width;
      return bar;
    }),
  );
}
