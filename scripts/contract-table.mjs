// Verb × transport × placement as the contract suite has played it: a Markdown table from the reports of jest (`--json --outputFile`).
//
//   npm test -- test/cluster --json --outputFile=/tmp/contract.json
//   node scripts/contract-table.mjs /tmp/contract.json
//
// Exits with 1 where a play failed, or a verb was not played on every transport at every placement.
import { readFileSync } from 'node:fs';

const PLACEMENTS = ['same worker', 'other worker', 'other node'];
const TRANSPORTS = ['websocket', 'sse', 'poll', 'tcp'];
/** As the suite names who is connected how: the transport and codec of one, and of the other. */
const WAYS = /^(websocket|sse|poll|tcp) \w+ to (websocket|sse|poll|tcp) \w+$/;

/** @returns {Map<string, Map<string, { passed: number, failed: number, transports: Set<string> }>>} by verb and placement */
function cellsOf(reports) {
  const verbs = new Map();
  for (const { assertionResults } of reports.flatMap(({ testResults }) => testResults))
    for (const { ancestorTitles = [], title, status } of assertionResults) {
      const placement = PLACEMENTS.find((one) => ancestorTitles.includes(one));
      const ways = ancestorTitles.map((one) => WAYS.exec(one)).find((one) => one !== null);
      if (placement === undefined || ways === undefined || !['passed', 'failed'].includes(status)) continue;
      const cells = verbs.get(title) ?? new Map();
      const cell = cells.get(placement) ?? { passed: 0, failed: 0, transports: new Set() };
      cell[status]++;
      for (const transport of ways.slice(1)) cell.transports.add(transport);
      verbs.set(title, cells.set(placement, cell));
    }
  return verbs;
}

function textOf(cell) {
  if (cell === undefined) return '–';
  const missing = TRANSPORTS.filter((transport) => !cell.transports.has(transport));
  const notes = [
    ...(cell.failed > 0 ? [`${cell.failed} failed`] : []),
    ...(missing.length > 0 ? [`not ${missing.join(', ')}`] : []),
  ];
  return [String(cell.passed), ...notes].join(', ');
}

const reports = process.argv.slice(2).map((path) => JSON.parse(readFileSync(path, 'utf8')));
const verbs = cellsOf(reports);
if (verbs.size === 0) {
  console.error('No test of the contract suite is in there: give it reports of test/cluster.');
  process.exit(2);
}
let isWhole = true;
console.log(`| verb (plays over ${TRANSPORTS.join(', ')}, on either side) | ${PLACEMENTS.join(' | ')} |`);
console.log(`|---|${PLACEMENTS.map(() => '---|').join('')}`);
for (const [verb, cells] of [...verbs].sort(([a], [b]) => a.localeCompare(b))) {
  const texts = PLACEMENTS.map((placement) => textOf(cells.get(placement)));
  isWhole &&= texts.every((text) => /^\d+$/.test(text));
  console.log(`| ${verb.replaceAll('|', '\\|')} | ${texts.join(' | ')} |`);
}
process.exit(isWhole ? 0 : 1);
