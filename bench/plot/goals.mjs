// All goals in one picture: how far each figure is from what it may be at most.
import { barChart } from './bars.mjs';

export function plotGoals(goals) {
  return barChart({
    title: 'Goals: ratio reached ÷ ratio allowed',
    subtitle: 'left of the dashed line the goal is met; beside each bar: the ratio, and the most it may be',
    unit: '×',
    limit: 1,
    rows: goals
      .filter((goal) => goal.verdict !== 'not measured')
      .map(({ goal, against, ratio, most, verdict }) => ({
        label: `${goal} (${against})`,
        value: ratio / most,
        note: `(${ratio.toFixed(2)} of ${most})`,
        ours: verdict === 'met',
      })),
  });
}
