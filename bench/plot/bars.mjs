// Horizontal bars, one for each system; ours stand out.
import { COLOURS, HEADER, MARGIN, WIDTH, element, figure, page, text, ticksUpTo } from './svg.mjs';

const BAR = 20;
const STEP = 28;
const AXIS = 30;
const GROUP_HEAD = 30;
const VALUE_SPACE = 20;
/** Of a bold character of 13 px, on average. */
const CHARACTER = 8;

/** @param rows label, value, ours; `said` in place of the value, `colour` in place of ours or not. `limit` draws a line at that value */
export function barChart({ title, subtitle, unit, rows, limit }) {
  return groupedBars({ title, subtitle, unit, limit, groups: [{ name: '', rows }] });
}

/** Groups stand below each other; those of one unit share its scale. */
export function groupedBars({ title, subtitle, unit, groups, limit }) {
  const labels = groups.flatMap((group) => group.rows.map((row) => row.label));
  const left = MARGIN + Math.max(60, ...labels.map((label) => label.length * CHARACTER)) + 10;
  const said = groups.flatMap((group) => group.rows.map((row) => spoken(row, group.unit ?? unit).length));
  const right = WIDTH - MARGIN - VALUE_SPACE - Math.max(...said) * CHARACTER * 0.9;
  const parts = [];
  let y = HEADER;
  for (const group of groups) {
    const own = group.unit ?? unit;
    const sharing = groups.filter((other) => (other.unit ?? unit) === own).flatMap((other) => other.rows);
    const values = sharing.map((row) => row.value).filter(Number.isFinite);
    const ticks = ticksUpTo(Math.max(0, ...values, limit ?? 0));
    const x = (value) => left + ((right - left) * value) / ticks.at(-1);
    if (group.name !== '') {
      parts.push(text(MARGIN, y + 18, group.name, { weight: 600 }));
      y += GROUP_HEAD;
    }
    const height = group.rows.length * STEP;
    for (const tick of ticks) {
      parts.push(element('line', { x1: x(tick), x2: x(tick), y1: y, y2: y + height, stroke: COLOURS.grid }));
      parts.push(
        text(x(tick), y + height + 16, figure(tick), { size: 11, fill: COLOURS.faint, anchor: 'middle' }),
      );
    }
    for (const [index, row] of group.rows.entries())
      parts.push(...bar(row, { x, y: y + index * STEP, left, unit: own }));
    if (limit !== undefined) {
      const line = { x1: x(limit), x2: x(limit), y1: y - 4, y2: y + height, stroke: COLOURS.limit };
      parts.push(element('line', { ...line, 'stroke-width': 1.5, 'stroke-dasharray': '4 3' }));
    }
    y += height + AXIS;
  }
  return page({ title, subtitle, height: y + 6 }, parts);
}

const spoken = ({ value, said }, unit) => said ?? `${figure(value)} ${unit}`;

function bar({ label, value, ours, colour, said }, { x, y, left, unit }) {
  const middle = y + STEP / 2;
  return [
    text(left - 8, middle + 4.5, label, { anchor: 'end', weight: ours ? 600 : 400 }),
    element('rect', {
      x: left,
      y: middle - BAR / 2,
      width: Math.max(1, x(Number.isFinite(value) ? value : 0) - left),
      height: BAR,
      rx: 2,
      fill: colour ?? (ours ? COLOURS.ours : COLOURS.others),
    }),
    text(x(Number.isFinite(value) ? value : 0) + 6, middle + 4.5, spoken({ value, said }, unit), {
      fill: COLOURS.faint,
    }),
  ];
}
