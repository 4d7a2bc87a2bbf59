// The plot of pings over time, drawn for the width that it has: a text is as large on a phone as on a desk.
import { draw } from './element.js';
import { mark } from './plot.js';
import type { LogScale } from './scale.js';

export interface Line {
  name: string;
  points: readonly { at: number; pingMs: number }[];
}

const HEIGHT = 190;
const ROOM = { left: 52, right: 8, top: 10, bottom: 24 };
/** Where the page tells no width: it is not drawn yet. */
const LEAST_WIDTH = 240;
/** Classes of lines, `line-0` and so on; the legend has the same. */
export const LINE_COLOURS = 8;

/** Mean ping of each round over the time that the page is open. @param available pixels across */
export function timePlot(lines: readonly Line[], scale: LogScale, available: number): SVGElement {
  const width = Math.max(available, LEAST_WIDTH);
  const { left, right, top, bottom } = ROOM;
  const times = lines.flatMap(({ points }) => points.map(({ at }) => at));
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const x = (at: number): number =>
    left + ((at - first) / Math.max(last - first, 1)) * (width - left - right);
  const y = (value: number): number => HEIGHT - bottom - scale.place(value) * (HEIGHT - top - bottom);
  const clock = (at: number): string =>
    new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  return draw(
    'svg',
    { width, height: HEIGHT, class: 'time', role: 'img', 'aria-label': 'Ping over time, in milliseconds' },
    ...scale.ticks.flatMap((tick) => [
      draw('line', { class: 'grid', x1: left, x2: width - right, y1: y(tick), y2: y(tick) }),
      draw('text', { x: left - 6, y: y(tick) + 4, 'text-anchor': 'end' }, `${mark(tick)} ms`),
    ]),
    draw('text', { x: left, y: HEIGHT - 6 }, clock(first)),
    draw('text', { x: width - right, y: HEIGHT - 6, 'text-anchor': 'end' }, clock(last)),
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
