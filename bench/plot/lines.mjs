// Lines over steps (percentiles, numbers of connections), in one panel or several side by side, each line named at its end.
import { COLOURS, HEADER, MARGIN, WIDTH, element, figure, page, text, ticksUpTo } from './svg.mjs';

const HEIGHT = 340;
const AXIS_SPACE = 46;
const FOOT = 52;
const LABEL_STEP = 15;
/** Of a character of 12 px, on average. */
const CHARACTER = 6.8;

export function lineChart({ title, subtitle, ...panel }) {
  return linePanels({ title, subtitle, panels: [panel] });
}

/**
 * @param panels each with name, unit, ticks (names of the steps) and series (label, values, ours); `logarithmic` for values that span
 *   powers of ten
 */
export function linePanels({ title, subtitle, panels, columns = Math.min(2, panels.length) }) {
  const width = (WIDTH - 2 * MARGIN - (columns - 1) * MARGIN) / columns;
  const parts = panels.flatMap((panel, index) => {
    const left = MARGIN + (index % columns) * (width + MARGIN);
    const top = HEADER + Math.floor(index / columns) * HEIGHT;
    return drawPanel(panel, { left, top, width });
  });
  const rows = Math.ceil(panels.length / columns);
  return page({ title, subtitle, height: HEADER + rows * HEIGHT }, parts);
}

function drawPanel({ name = '', unit, ticks, series, logarithmic = false }, { left, top, width }) {
  const drawn = series.filter(({ values }) => values.some(Number.isFinite));
  const labelSpace = Math.max(40, ...drawn.map(({ label }) => label.length * CHARACTER)) + 14;
  const box = {
    left: left + AXIS_SPACE,
    right: left + width - labelSpace,
    top: top + 30,
    bottom: top + HEIGHT - FOOT,
  };
  const values = drawn.flatMap((each) => each.values.filter(Number.isFinite));
  const { y, steps } = logarithmic ? logScale(values, box) : linearScale(values, box);
  const x = (index) =>
    ticks.length === 1 ? box.left : box.left + ((box.right - box.left) * index) / (ticks.length - 1);
  const parts = [text(left, top + 14, name === '' ? unit : `${name}, ${unit}`, { weight: 600 })];
  for (const step of steps) {
    parts.push(
      element('line', { x1: box.left, x2: box.right, y1: y(step), y2: y(step), stroke: COLOURS.grid }),
    );
    const style = { size: 11, fill: COLOURS.faint, anchor: 'end' };
    parts.push(text(box.left - 6, y(step) + 4, figure(step), style));
  }
  for (const [index, tick] of ticks.entries()) {
    const style = { size: 11, fill: COLOURS.faint, anchor: 'middle' };
    parts.push(text(x(index), box.bottom + 18, tick, style));
  }
  const strokes = strokesOf(drawn);
  const ends = labelPlaces(
    drawn.map((each) => y(each.values.filter(Number.isFinite).at(-1))),
    box.top,
  );
  for (const [index, each] of drawn.entries())
    parts.push(...drawSeries(each, { stroke: strokes[index], x, y, end: ends[index], box }));
  return parts;
}

function linearScale(values, box) {
  const steps = ticksUpTo(Math.max(...values));
  return { steps, y: (value) => box.bottom - ((box.bottom - box.top) * value) / steps.at(-1) };
}

/** Steps 1, 2 and 5 of each power of ten around the values. */
function logScale(values, box) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const candidates = [];
  for (let power = Math.floor(Math.log10(low)) - 1; power <= Math.ceil(Math.log10(high)); power++) {
    for (const factor of [1, 2, 5]) candidates.push(Number((factor * 10 ** power).toPrecision(3)));
  }
  const first = candidates.findLastIndex((step) => step <= low);
  const last = candidates.findIndex((step) => step >= high);
  const steps = candidates.slice(first, Math.max(last, first + 1) + 1);
  const [bottom, top] = [Math.log10(steps[0]), Math.log10(steps.at(-1))];
  return {
    steps,
    y: (value) => box.bottom - ((box.bottom - box.top) * (Math.log10(value) - bottom)) / (top - bottom),
  };
}

/** Names of lines that end close to each other are moved apart. */
export function labelPlaces(wanted, top) {
  const order = wanted.map((_, index) => index).sort((a, b) => wanted[b] - wanted[a]);
  const places = [...wanted];
  let above = Infinity;
  for (const index of order) {
    places[index] = Math.min(wanted[index], above - LABEL_STEP);
    above = places[index];
  }
  // What was pushed out at the top comes back in, and pushes the others down.
  let below = top;
  for (const index of [...order].reverse()) {
    places[index] = Math.max(places[index], below);
    below = places[index] + LABEL_STEP;
  }
  return places;
}

/** Ours from light to dark; a lone one is neither. */
function strokesOf(series) {
  const { ourLines, otherLines } = COLOURS;
  const ours = series.filter((each) => each.ours);
  const others = series.filter((each) => !each.ours);
  return series.map((each) => {
    if (!each.ours) return otherLines[others.indexOf(each) % otherLines.length];
    return ours.length === 1 ? COLOURS.ours : ourLines[ours.indexOf(each) % ourLines.length];
  });
}

function drawSeries({ label, values, ours }, { stroke, x, y, end, box }) {
  const points = values.flatMap((value, at) => (Number.isFinite(value) ? [[x(at), y(value)]] : []));
  const path = points
    .map(([px, py], at) => `${at === 0 ? 'M' : 'L'}${px.toFixed(1)} ${py.toFixed(1)}`)
    .join('');
  const [lastX, lastY] = points.at(-1);
  return [
    element('path', { d: path, fill: 'none', stroke, 'stroke-width': ours ? 2.5 : 1.5 }),
    ...points.map(([cx, cy]) => element('circle', { cx, cy, r: ours ? 3.5 : 2.5, fill: stroke })),
    element('line', { x1: lastX, y1: lastY, x2: box.right + 8, y2: end, stroke, 'stroke-opacity': 0.4 }),
    text(box.right + 12, end + 4, label, { size: 12, fill: stroke, weight: ours ? 600 : 400 }),
  ];
}
