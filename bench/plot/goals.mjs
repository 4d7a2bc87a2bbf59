// All goals in one picture: how far each figure is from what it may be at most.
import { barChart } from './bars.mjs';
import { COLOURS } from './svg.mjs';

export function plotGoals(goals) {
  return barChart({
    title: 'Goals: ratio reached ÷ ratio allowed',
    subtitle:
      'bars that end left of the dashed line are goals that are met; beside each: the ratio, and the most it may be',
    unit: '×',
    limit: 1,
    rows: goals
      .filter((goal) => goal.verdict !== 'not measured')
      .map(({ goal, against, ratio, most, verdict }) => ({
        label: `${goal} (${against})`,
        value: ratio / most,
        said: `${ratio.toFixed(2)} of ${most}`,
        colour: verdict === 'met' ? COLOURS.met : COLOURS.missed,
      })),
  });
}
