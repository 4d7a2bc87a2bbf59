// Scenario services: what a call of a service costs beside a request to a client, with its answer.
import { exchangeInTurn } from '../exchange.mjs';
import { atMost } from '../goals.mjs';
import { Load } from '../load.mjs';
import { signalbox } from '../peers/signalbox.mjs';
import { groupedBars } from '../plot/bars.mjs';
import { ServerProcess } from '../server-process.mjs';
import { fixed, times } from '../table.mjs';

const label = (verb, workers) => `${verb}/${workers}`;

async function run({ system, load }) {
  const server = await ServerProcess.start(system);
  const generators = new Load(1);
  try {
    const end = { url: `ws://127.0.0.1:${server.ports[0]}` };
    const { pairs, slices, calls: count, payload } = load;
    // With two workers each pair is across: a worker takes every other connection.
    await generators.askOne(0, {
      type: 'exchangeConnect',
      side: 'both',
      pairs,
      asker: end,
      answerer: end,
    });
    const sides = ['request', 'call'].map((verb) => ({ server, side: 'both', verb, pairs }));
    return await exchangeInTurn(generators, sides, { slices, count, alone: load.alone, window: 4, payload });
  } finally {
    await generators.stop();
    await server.stop();
  }
}

const goal = (workers, key, unit, digits, what) =>
  atMost({
    what,
    key,
    label: label('call', workers),
    baseline: label('request', workers),
    most: 1.2,
    unit,
    digits,
  });

export const services = {
  name: 'services',
  defaults: { slices: 4, calls: 1000, alone: 100, pairs: 4, payload: 64 },
  cases: (load) =>
    [1, 2].map((workers) => ({
      label: `services/${workers}`,
      system: signalbox(workers),
      load,
      parts: [label('request', workers), label('call', workers)],
    })),
  run,
  describe: (r) =>
    `p50 ${r.p50Ms.toFixed(3)} ms, ${r.cpuMicrosPerMessage.toFixed(1)} µs of the servers' CPU each`,
  columns: [
    { head: 'CPU µs each', text: fixed('cpuMicrosPerMessage', 1) },
    { head: label('request', 1), text: times('cpuMicrosPerMessage', label('request', 1)) },
    { head: 'p50 ms', text: fixed('p50Ms', 3) },
    { head: 'p99 ms', text: fixed('p99Ms', 3) },
    { head: 'each/s', text: fixed('messagesPerSecond', 0) },
    { head: 'generator cores', text: fixed('generatorCores', 2) },
    { head: 'other cores', text: fixed('otherCores', 2) },
  ],
  goals: [
    goal(1, 'cpuMicrosPerMessage', 'µs/call', 1, 'service call beside a request, 1 worker'),
    goal(1, 'p50Ms', 'ms p50', 3, 'the same, its time'),
    goal(2, 'cpuMicrosPerMessage', 'µs/call', 1, 'service call beside a request, across 2 workers'),
    goal(2, 'p50Ms', 'ms p50', 3, 'the same, its time'),
  ],
  plot: (rows) =>
    groupedBars({
      title: 'A service’s call beside a request',
      subtitle: 'CPU time of all server processes, answer included',
      unit: 'µs',
      groups: [1, 2].map((workers) => ({
        name: workers === 1 ? 'one worker' : 'across two workers',
        rows: rows
          .filter((row) => row.label.endsWith(`/${workers}`))
          .map(({ label: name, figures }) => ({
            label: name,
            value: figures.cpuMicrosPerMessage,
            ours: name.startsWith('call'),
          })),
      })),
    }),
};
