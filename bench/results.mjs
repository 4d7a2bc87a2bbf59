// The last run on disk: for each scenario a line on the machine, then a line for each row; and a plot of it.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { judge } from './goals.mjs';
import { makeRow } from './rows.mjs';

const FOLDER = fileURLToPath(new URL('results/', import.meta.url));

/** Six digits: more would be noise. */
const rounded = (_key, value) =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;

export function toJson(scenario, row) {
  return JSON.stringify(
    { scenario, row: row.label, ...row.figures, repeats: row.repeats, faults: row.faults },
    rounded,
  );
}

export function saveResults(scenario, run, rows) {
  const lines = [
    JSON.stringify({ scenario: scenario.name, ...run }),
    ...rows.map((row) => toJson(scenario.name, row)),
  ];
  save(`${scenario.name}.jsonl`, lines);
  savePlot(scenario, rows);
}

/** Every goal by the rows that are saved: a scenario that was run alone renews its own. */
export function saveGoals(scenarios) {
  const judged = scenarios.flatMap((scenario) =>
    scenario.goals.map((goal) => judge(goal, readRows(scenario.name))),
  );
  save(
    'goals.jsonl',
    judged.map((goal) => JSON.stringify(goal, rounded)),
  );
}

/** Draws a picture of the goals of the last run. */
export function savePlotOfGoals(plot) {
  writeFileSync(`${FOLDER}goals.svg`, plot(readGoals()));
}

/** Draws a scenario's plot again from its last run. */
export function replot(scenario) {
  savePlot(scenario, readRows(scenario.name));
}

function save(name, lines) {
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(`${FOLDER}${name}`, `${lines.join('\n')}\n`);
}

function savePlot(scenario, rows) {
  writeFileSync(
    `${FOLDER}${scenario.name}.svg`,
    scenario.plot(rows.filter((row) => row.repeats.some(Boolean))),
  );
}

/** The rows of a scenario's last run. */
export function readRows(name) {
  const [, ...lines] = readLines(name);
  return lines.map(({ row, repeats, faults }) => makeRow(row, repeats, faults));
}

/** Where the time of one row's processes went. */
export function saveProfile(row, found) {
  save('profile.jsonl', [
    JSON.stringify({ row: row.label, micros: row.figures.cpuMicrosPerMessage, ...found }, rounded),
  ]);
}

export function readProfile() {
  return readLines('profile')[0];
}

export function readGoals() {
  return readLines('goals');
}

/** When and where a scenario's last run was. */
export function readRun(name) {
  return readLines(name)[0];
}

function readLines(name) {
  const lines = readFileSync(`${FOLDER}${name}.jsonl`, 'utf8').trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line));
}
