// A table for people, and how figures are written in it.
import { figuresOf, medianRatio, roundsOf } from './rows.mjs';

/** Columns of a table are texts of a row: its median with so many digits, */
export const fixed = (key, digits) => (row) => (key in row.figures ? row.figures[key].toFixed(digits) : '–');

export const percent = (key) => (row) =>
  key in row.figures ? `${Math.round(row.figures[key] * 100)} %` : '–';

/** … or how many times another row's. @param baseline its label, or a function of the row's label */
export const times = (key, baseline) => (row, rows) => {
  const other = typeof baseline === 'function' ? baseline(row.label) : baseline;
  const { ratio } = medianRatio(roundsOf(rows), (round) => {
    const get = figuresOf(rows, round);
    return [get(row.label, key), get(other, key)];
  });
  return Number.isFinite(ratio) ? `${ratio.toFixed(2)} ×` : '–';
};

export function scenarioTable({ name, columns }, rows) {
  return {
    head: [name, ...columns.map(({ head }) => head)],
    rows: rows.map((row) => [row.label, ...columns.map(({ text }) => text(row, rows))]),
  };
}

/** The first column, and those of `left`, begin at the left, the rest end at the right. */
export function formatTable({ head, rows, left = [0] }) {
  const cells = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  const pad = (cell, column) =>
    left.includes(column) ? cell.padEnd(widths[column]) : cell.padStart(widths[column]);
  const line = (row) => row.map(pad).join('  ').trimEnd();
  return [line(head), widths.map((width) => '─'.repeat(width)).join('──'), ...rows.map(line)].join('\n');
}
