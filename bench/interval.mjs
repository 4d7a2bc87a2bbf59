// What server, generators and everybody else used between two moments, and whether the generators were the limit.
import { performance } from 'node:perf_hooks';
import { cpuMicros, machineCpuMicros, mainThread } from './machine.mjs';

export class Interval {
  #serverPids;
  #generatorPids;
  #before;

  constructor(server, generators) {
    this.#serverPids = server.pids;
    this.#generatorPids = generators.pids;
    this.#before = this.#usage();
  }

  #usage() {
    return {
      at: performance.now(),
      serverCpu: cpuMicros(this.#serverPids),
      generatorCpu: cpuMicros(this.#generatorPids),
      machineCpu: machineCpuMicros(),
      servers: this.#serverPids.map(mainThread),
      generators: this.#generatorPids.map(mainThread),
    };
  }

  end() {
    const [before, after] = [this.#before, this.#usage()];
    const elapsedMs = after.at - before.at;
    const cores = (key) => (after[key] - before[key]) / (elapsedMs * 1000);
    return {
      elapsedMs,
      serverCpuMicros: after.serverCpu - before.serverCpu,
      serverCores: cores('serverCpu'),
      serverIdle: leastIdle(before.servers, after.servers, elapsedMs),
      generatorCores: cores('generatorCpu'),
      generatorIdle: leastIdle(before.generators, after.generators, elapsedMs),
      otherCores: Math.max(0, cores('machineCpu') - cores('serverCpu') - cores('generatorCpu')),
    };
  }
}

/** Of the busiest main thread: the share of the time in which it neither ran nor waited for a core. */
function leastIdle(before, after, elapsedMs) {
  const busy = after.map(
    ({ ranMs, waitedMs }, i) => (ranMs - before[i].ranMs + waitedMs - before[i].waitedMs) / elapsedMs,
  );
  return Math.max(0, 1 - Math.max(...busy));
}

export const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
