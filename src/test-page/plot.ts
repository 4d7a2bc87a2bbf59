// Plots in SVG of our own: all round trips of one way, and shares of outcomes.
import type { PairOutcome, Spread } from '../protocol/test-report.js';
import { draw } from './element.js';
import type { LogScale } from './scale.js';
import { number, percent } from './wording.js';

/** Places across are shares of the width, so that dots stay round and texts legible on every screen. */
const HEIGHT = 22;
const MIDDLE = HEIGHT / 2;
/** Room at both ends, for dots and for half of a text, in percent. */
const MARGIN = 3;
/** Dots of one strip: the newest say enough, and the page stays light. */
const DOTS_LIMIT = 200;

/** Each round trip is a dot; the band is mean ± deviation, the tick at its right the 95th percentile. */
export function strip(pings: readonly number[], spread: Spread, scale: LogScale): SVGElement {
  const x = placeOn(scale);
  const sd = spread.sd ?? 0;
  const [from, to] = [Math.max(spread.mean - sd, 0.001), spread.mean + sd];
  const width = `${String(Math.max(share(scale, to) - share(scale, from), 0.3))}%`;
  const label = `${String(spread.count)} round trips, ${number(spread.mean)} ms in the mean, 95 % below ${number(spread.p95)} ms`;
  const upright = (name: string, value: number, inset: number): SVGElement =>
    draw('line', { class: name, x1: x(value), x2: x(value), y1: inset, y2: HEIGHT - inset });
  return draw(
    'svg',
    { height: HEIGHT, class: 'strip', role: 'img', 'aria-label': label },
    draw('title', {}, label),
    ...scale.ticks.map((tick) => upright('grid', tick, 0)),
    draw('line', { class: 'axis', x1: '0%', x2: '100%', y1: MIDDLE, y2: MIDDLE }),
    draw('rect', { class: 'band', x: x(from), y: 3, width, height: HEIGHT - 6, rx: 3 }),
    ...pings.slice(-DOTS_LIMIT).map((value, i) =>
      // Up and down a little, so that equal ones do not hide each other.
      draw('circle', { class: 'dot', cx: x(value), cy: MIDDLE + ((i * 7) % 9) - 4, r: 2 }),
    ),
    upright('mean', spread.mean, 2),
    upright('p95', spread.p95, 5),
  );
}

/** The axis that all strips share. */
export function axis(scale: LogScale): SVGElement {
  const x = placeOn(scale);
  const { ticks } = scale;
  return draw(
    'svg',
    { height: 15, class: 'strip ticks', 'aria-hidden': 'true' },
    ...ticks.map((tick, i) =>
      // The unit once, at the end: more texts have room.
      draw(
        'text',
        { x: x(tick), y: 11, 'text-anchor': 'middle' },
        i < ticks.length - 1 ? mark(tick) : `${mark(tick)} ms`,
      ),
    ),
  );
}

function placeOn(scale: LogScale): (value: number) => string {
  return (value) => `${share(scale, value).toFixed(2)}%`;
}

/** Of the width, in percent. */
function share(scale: LogScale, value: number): number {
  return MARGIN + scale.place(value) * (100 - 2 * MARGIN);
}

/** A round figure as it is written: `0.05`, `0.5`, `2`, `1 000`. */
export function mark(value: number): string {
  return value >= 1 ? number(value).replace(/\.0$/, '') : String(value);
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
