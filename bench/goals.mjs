// Goals: a figure of ours, what it is compared with, and how many times that it may be at most.
import { figuresOf, medianRatio, roundsOf } from './rows.mjs';
import { median } from './statistics.mjs';

/** The usual goal: one figure of two rows. */
export function atMost({ what, key, label, baseline, most, unit, digits }) {
  return {
    what,
    label,
    against: baseline,
    most,
    unit,
    digits,
    ours: (get) => get(label, key),
    theirs: (get) => get(baseline, key),
  };
}

/** A goal of how a figure grows from one row to another, beside how the same figure of others grows. */
export function growsAtMost({ what, key, from, to, baseline, most }) {
  return {
    what,
    label: to,
    against: baseline === undefined ? 'flat' : baseline.to,
    most,
    unit: '×',
    digits: 2,
    ours: (get) => get(to, key) / get(from, key),
    theirs: (get) => (baseline === undefined ? 1 : get(baseline.to, key) / get(baseline.from, key)),
  };
}

/** What became of a goal. @returns figures NaN and verdict `not measured` where a row is missing */
export function judge(goal, rows) {
  const rounds = roundsOf(rows);
  const figures = Array.from({ length: rounds }, (_, round) => {
    const get = figuresOf(rows, round);
    return [goal.ours(get), goal.theirs(get)];
  });
  const { ratio, low, high, rounds: measured } = medianRatio(rounds, (round) => figures[round]);
  const middle = (index) => median(figures.map((pair) => pair[index]).filter(Number.isFinite));
  const verdict = Number.isNaN(ratio) ? 'not measured' : ratio <= goal.most ? 'met' : 'MISSED';
  const { what, label, against, most, unit, digits } = goal;
  return {
    goal: what,
    system: label,
    figure: middle(0),
    unit,
    digits,
    against,
    theirs: middle(1),
    ratio,
    low,
    high,
    rounds: measured,
    most,
    verdict,
  };
}

const HEAD = ['goal', 'system', 'figure', 'against', 'its figure', 'ratio', 'lowest … highest', 'goal', ''];

/** All goals side by side. */
export function goalTable(judged) {
  const number = (value, digits) => (Number.isFinite(value) ? value.toFixed(digits) : '–');
  return {
    head: HEAD,
    left: [0, 1, 3, 8],
    rows: judged.map((each) => [
      each.goal,
      each.system,
      `${number(each.figure, each.digits)} ${each.unit}`,
      each.against,
      number(each.theirs, each.digits),
      number(each.ratio, 2),
      `${number(each.low, 2)} … ${number(each.high, 2)}`,
      `≤ ${each.most}`,
      each.verdict,
    ]),
  };
}
