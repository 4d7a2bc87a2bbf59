// SVG as text: elements, a page with a title, and round numbers for axes.

export const COLOURS = {
  ours: '#1d4ed8',
  others: '#94a3b8',
  ink: '#0f172a',
  faint: '#64748b',
  grid: '#e2e8f0',
  limit: '#0f172a',
  met: '#15803d',
  missed: '#b91c1c',
  /** Of lines: ours, and the others'. */
  ourLines: ['#60a5fa', '#1d4ed8', '#1e3a8a'],
  otherLines: ['#b45309', '#64748b', '#7c3aed', '#15803d', '#be185d', '#0f766e'],
};

export const WIDTH = 960;
export const MARGIN = 24;
/** Height of the title and the line below it. */
export const HEADER = 68;

const escaped = (text) =>
  String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const short = (value) => (typeof value === 'number' ? Number(value.toFixed(2)) : value);

export function element(name, attributes, content = '') {
  const list = Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${escaped(short(value)).replaceAll('"', '&quot;')}"`)
    .join('');
  return content === '' ? `<${name}${list}/>` : `<${name}${list}>${content}</${name}>`;
}

export function text(x, y, content, { size = 13, fill = COLOURS.ink, anchor = 'start', weight = 400 } = {}) {
  const attributes = { x, y, 'font-size': size, fill, 'text-anchor': anchor, 'font-weight': weight };
  return element('text', attributes, escaped(content));
}

/** A whole picture, with what it shows in words for those who do not see it. */
export function page({ title, subtitle = '', height }, parts) {
  const frame = {
    xmlns: 'http://www.w3.org/2000/svg',
    viewBox: `0 0 ${WIDTH} ${Math.ceil(height)}`,
    width: WIDTH,
    height: Math.ceil(height),
    role: 'img',
    'aria-label': title,
    'font-family': 'system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif',
  };
  const background = element('rect', { width: '100%', height: '100%', fill: '#ffffff' });
  const head = [
    text(MARGIN, 32, title, { size: 18, weight: 600 }),
    text(MARGIN, 52, subtitle, { fill: COLOURS.faint }),
  ];
  return `${element('svg', frame, `\n${[background, ...head, ...parts].join('\n')}\n`)}\n`;
}

/** Round steps (1, 2 or 5 times a power of ten) from 0 to at least `most`, about `count` of them. */
export function ticksUpTo(most, count = 5) {
  if (!(most > 0)) return [0, 1];
  const rough = most / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough * 0.999);
  const steps = Math.ceil((most / step) * 0.9999);
  return Array.from({ length: steps + 1 }, (_, i) => Number((i * step).toPrecision(12)));
}

/** Three significant digits, and thousands set apart. */
export function figure(value) {
  if (!Number.isFinite(value)) return '–';
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3;
  const [whole, rest] = value.toFixed(digits).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ' ');
  const shown = rest?.replace(/0+$/, '') ?? '';
  return shown === '' ? grouped : `${grouped}.${shown}`;
}
