// Sides that do the same in turn, slice by slice, while all of them stay connected: what differs between them is not the moment.
import { Interval } from './interval.mjs';
import { percentile } from './statistics.mjs';

/**
 * @param sides each: server (a started one), side (its name in the generator), verb
 * @returns for each side: CPU of its server per exchange, and the percentiles of one exchange at a time
 */
export async function exchangeInTurn(generators, sides, { slices, count, alone, window, payload }) {
  const found = sides.map(() => ({
    cpuMicros: 0,
    elapsedMs: 0,
    generatorMicros: 0,
    otherMs: 0,
    latencies: [],
  }));
  const ask = ({ side, verb }, most, at) =>
    generators.askOne(0, { type: 'exchange', side, verb, count: most, window: at, payload });
  for (const each of sides) await ask(each, count, window);
  for (let slice = 0; slice < slices; slice++) {
    for (const [at, each] of sides.entries()) {
      const sum = found[at];
      const interval = new Interval(each.server, generators);
      await ask(each, count, window);
      const used = interval.end();
      sum.cpuMicros += used.serverCpuMicros;
      sum.elapsedMs += used.elapsedMs;
      sum.generatorMicros += used.generatorCores * used.elapsedMs * 1000;
      sum.otherMs += used.otherCores * used.elapsedMs;
      if (each.verb === 'send') continue;
      // One at a time: what somebody waits who does one thing after the other.
      const { latencies } = await ask(each, alone, 1);
      sum.latencies.push(...latencies);
    }
  }
  return found.map(({ latencies, ...sum }, at) => {
    const exchanges = slices * count * (sides[at].pairs ?? 1);
    const sorted = latencies.sort((a, b) => a - b);
    return {
      cpuMicrosPerMessage: sum.cpuMicros / exchanges,
      messagesPerSecond: exchanges / (sum.elapsedMs / 1000),
      p50Ms: percentile(sorted, 0.5),
      p99Ms: percentile(sorted, 0.99),
      generatorCores: sum.generatorMicros / 1000 / sum.elapsedMs,
      otherCores: sum.otherMs / sum.elapsedMs,
      faults: [],
    };
  });
}
