// Loaded into a gateway's processes by NODE_OPTIONS, before its own code: crashes, blocked event loops, leaks and other clocks, on demand.
import { readFileSync } from 'node:fs';

const { FAULT_CRASH_FILE, FAULT_BLOCK_MS, FAULT_LEAK_MB, FAULT_CLOCK_FILE } = process.env;
/** Workers have a channel to their primary, which has none. */
const isWorker = process.send !== undefined;

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

if (isWorker && FAULT_CRASH_FILE !== undefined && read(FAULT_CRASH_FILE) !== '')
  throw new Error('a fault was injected: this worker crashes at boot');

if (isWorker && FAULT_BLOCK_MS !== undefined) {
  process.on('SIGUSR2', () => {
    const until = performance.now() + Number(FAULT_BLOCK_MS);
    while (performance.now() < until);
  });
}

if (isWorker && FAULT_LEAK_MB !== undefined) {
  const leaked: number[][] = [];
  process.on('SIGUSR2', () => {
    // Numbers that are no small integers: 8 bytes each, on the heap.
    for (let mb = 0; mb < Number(FAULT_LEAK_MB); mb++)
      leaked.push(Array.from({ length: 131_072 }, (_, i) => i + 0.5));
  });
}

if (FAULT_CLOCK_FILE !== undefined) {
  const realNow = Date.now;
  let offsetMs = Number(read(FAULT_CLOCK_FILE));
  // The wall clock only: timers and performance.now() are monotonic on a real machine too.
  setInterval(() => (offsetMs = Number(read(FAULT_CLOCK_FILE))), 50).unref();
  Date.now = () => realNow() + offsetMs;
}
