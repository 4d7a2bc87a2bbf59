// Reads jest's reports for .ci/run: which files get a second run, and what passed and failed in the end.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Files with a failure that get a second run. More than these, and it is no accident. */
const SECOND_RUN_LIMIT_FILES = 5;

const [command, folder, steps, status] = process.argv.slice(2);

function read(name) {
  const file = join(folder, name);
  if (!existsSync(file)) return null;
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return null;
  }
}

const isFailed = ({ status: outcome }) => outcome === 'failed';
const failuresOf = (file) =>
  file.assertionResults.filter(isFailed).map(({ fullName }) => `${file.name}: ${fullName}`);

function again() {
  const failed = read('first.json')?.testResults.filter(isFailed) ?? [];
  if (failed.length <= SECOND_RUN_LIMIT_FILES) for (const { name } of failed) console.log(name);
}

/** Of a file that ran twice the second run counts. A file that could not start, a step before the tests, and no report count as failed. */
function count() {
  const first = read('first.json')?.testResults ?? [];
  const second = read('second.json')?.testResults ?? [];
  const twice = new Set(second.map(({ name }) => name));
  const files = [...first.filter(({ name }) => !twice.has(name)), ...second];
  const outcomes = files.flatMap(({ assertionResults }) => assertionResults);
  const passed = outcomes.filter(({ status: outcome }) => outcome === 'passed').length;
  const unstarted = files.filter((file) => isFailed(file) && failuresOf(file).length === 0).length;
  let failed = outcomes.filter(isFailed).length + unstarted + Number(steps);
  if (failed === 0 && (status !== '0' || passed === 0)) failed = 1;
  const still = new Set(second.flatMap(failuresOf));
  for (const name of first.filter((file) => twice.has(file.name)).flatMap(failuresOf))
    if (!still.has(name)) console.log(`FLAKY: ${name}`);
  console.log(`${passed} passed, ${failed} failed`);
}

if (command === 'again') again();
else count();
