// Scenario call-rate: how many calls a second does a server set up, and what does each cost it? Recorded signals of real calls, replayed.
import { atMost } from '../goals.mjs';
import { Interval, sleep } from '../interval.mjs';
import { Load } from '../load.mjs';
import { connectPairs } from '../pairing.mjs';
import { peerServer } from '../peers/peer-server.mjs';
import { signalbox } from '../peers/signalbox.mjs';
import { barChart } from '../plot/bars.mjs';
import { ServerProcess } from '../server-process.mjs';
import { mergeSamples, percentile } from '../statistics.mjs';
import { fixed, percent, times } from '../table.mjs';

const SYSTEMS = [
  { ...peerServer, driver: 'peer-server-call', recording: 'peer-server' },
  ...[1, 2].map((workers) => ({
    ...signalbox(workers),
    driver: 'signalbox-call',
    recording: 'signalbox',
  })),
];

async function measureCalls({ system, load }) {
  const server = await ServerProcess.start(system);
  const generators = new Load();
  try {
    const { pairs, across } = await connectPairs(system, server, generators, load);
    await generators.askAll((index) => ({
      type: 'startCalls',
      recording: system.recording,
      pairs: pairs[index],
    }));
    // The load itself warms the code up.
    await sleep(load.warmup);
    await generators.ask({ type: 'mark' });
    const interval = new Interval(server, generators);
    await sleep(load.seconds);
    const used = interval.end();
    const results = await generators.ask({ type: 'stop' });
    const latencies = mergeSamples(results.map((result) => result.latenciesMs));
    const perSecond = results.reduce((sum, r) => sum + (r.latenciesMs.length / r.elapsedMs) * 1000, 0);
    const [began, ended] = ['sent', 'received'].map((key) => results.reduce((sum, r) => sum + r[key], 0));
    return {
      ...used,
      across,
      callsPerSecond: perSecond,
      microsPerCall: 1e6 / perSecond,
      cpuMicrosPerCall: (used.serverCores * 1e6) / perSecond,
      p50Ms: percentile(latencies, 0.5),
      p99Ms: percentile(latencies, 0.99),
      faults: [
        ...results.flatMap((r) => r.faults),
        ...(began === ended ? [] : [`${began} calls began but ${ended} ended`]),
      ],
    };
  } finally {
    await generators.stop();
    await server.stop();
  }
}

const BASELINE = peerServer.label;

export const callRate = {
  name: 'call-rate',
  defaults: { seconds: 4, warmup: 3, pairs: 100 },
  cases: (load) => SYSTEMS.map((system) => ({ label: system.label, system, load })),
  run: measureCalls,
  describe: (r) =>
    `${r.callsPerSecond.toFixed(0)} calls/s, ${r.cpuMicrosPerCall.toFixed(0)} µs each, p99 ${r.p99Ms.toFixed(0)} ms`,
  columns: [
    { head: 'calls/s', text: fixed('callsPerSecond', 0) },
    { head: 'CPU µs/call', text: fixed('cpuMicrosPerCall', 0) },
    { head: BASELINE, text: times('cpuMicrosPerCall', BASELINE) },
    { head: 'p50 ms', text: fixed('p50Ms', 1) },
    { head: 'p99 ms', text: fixed('p99Ms', 1) },
    { head: 'across workers', text: percent('across') },
    { head: 'server cores', text: fixed('serverCores', 2) },
    { head: 'generator cores', text: fixed('generatorCores', 2) },
    { head: 'other cores', text: fixed('otherCores', 2) },
  ],
  goals: [
    atMost({
      what: 'a call, at as many a second as can be',
      key: 'microsPerCall',
      label: 'signalbox/2',
      baseline: BASELINE,
      most: 1,
      unit: 'µs/call',
      digits: 0,
    }),
  ],
  plot: (rows) =>
    barChart({
      title: 'Calls set up per second',
      subtitle: 'recorded signals of real calls, 100 pairs, each one call after the other; all on two cores',
      unit: 'calls/s',
      rows: rows.map(({ label, figures }) => ({
        label,
        value: figures.callsPerSecond,
        ours: label.startsWith('signalbox'),
      })),
    }),
};
