// Writes what the last run measured into the documents.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { fillBlocks } from './blocks.mjs';
import { goalTable } from './goals.mjs';
import { headlineTable } from './headline.mjs';
import { frameBytes } from './peers/signalbox.mjs';
import { readGoals, readProfile, readRows, readRun } from './results.mjs';
import { profileTable } from './profile.mjs';
import { sizingTable, USE } from './sizing.mjs';
import { formatTable, scenarioTable } from './table.mjs';

const DOCUMENTS = ['README.md', '../README.md', '../docs/performance.md'];

const asCode = (text) => `\`\`\`\n${text}\n\`\`\``;

/** Which scenarios ran when, where, and how often. */
function runLines(scenarios) {
  const runs = new Map();
  for (const { name, exact } of scenarios) {
    const { machine, at, repeat, seconds } = readRun(name);
    const key = `${at.slice(0, 16).replace('T', ' ')}, ${machine}`;
    runs.set(key, [...(runs.get(key) ?? []), `${name} (${exact ? '' : `${repeat} rounds, `}${seconds} s)`]);
  }
  return [...runs].map(([key, names]) => `- ${key}: ${names.join(', ')}`).join('\n');
}

function sizing() {
  const figure = (scenario, label, key) => {
    const value = readRows(scenario).find((row) => row.label === label)?.figures[key];
    if (value === undefined) throw new Error(`the last run has no ${key} of ${label} in ${scenario}`);
    return value;
  };
  return sizingTable({
    kibPerConnection: figure('idle', 'signalbox/2', 'kibPerConnection'),
    baseMib: figure('idle', 'signalbox/2', 'baseMib'),
    microsPerHandshake: figure('idle', 'signalbox/2', 'cpuMicrosPerHandshake'),
    microsPerMessage: figure('relay', 'signalbox/2', 'cpuMicrosPerMessage'),
    nodeMicrosPerMessage: figure('relay', 'nodes/2', 'cpuMicrosPerMessage'),
    ...frameBytes(USE.payloadBytes),
  });
}

/** Each document with its blocks as the last run has them. @param scenarios those that have a table */
export function writeReports(scenarios) {
  const blocks = {
    run: () => runLines(scenarios),
    goals: () => asCode(formatTable(goalTable(readGoals()))),
    sizing,
    headline: () => headlineTable(readRows('relay')),
    profile: () => {
      const { row, micros, ...found } = readProfile();
      return asCode(formatTable(profileTable(row, found, micros)));
    },
    ...Object.fromEntries(
      scenarios.map((scenario) => [
        scenario.name,
        () => asCode(formatTable(scenarioTable(scenario, readRows(scenario.name)))),
      ]),
    ),
  };
  for (const name of DOCUMENTS) {
    const path = fileURLToPath(new URL(name, import.meta.url));
    writeFileSync(path, fillBlocks(readFileSync(path, 'utf8'), blocks));
  }
}
