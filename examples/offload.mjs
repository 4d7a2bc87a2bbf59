// Functions off the main thread, as in a page's Web Workers: node examples/offload.mjs
import { createRequire } from 'node:module';

const { OffloadPool } = await import('../dist/client/offload/offload.js');
const pool = new OffloadPool();

// Scripts first, then functions that use what they brought.
await pool.loadScripts(createRequire(import.meta.url).resolve('pako/dist/pako.min.js'));
const run = await pool.registerFunctions(
  {
    checkPako: (first, second) => `${first} ${second} (${typeof pako})`,
    countPrimes: (from, to) => {
      let count = 0;
      for (let n = from; n < to; n++) {
        let isPrime = n > 1;
        for (let d = 2; d * d <= n && isPrime; d++) isPrime = n % d > 0;
        if (isPrime) count++;
      }
      return count;
    },
    fail: () => {
      // eslint-disable-next-line no-undef -- one of the constants below, which travel with the functions
      throw new RangeError(`more than ${LIMIT}`);
    },
  },
  { constants: { LIMIT: 100 } },
);

console.log(await run.checkPako('is pako found?', 'yes!'));

let ticks = 0;
const clock = setInterval(() => ticks++, 5);
const parts = await Promise.all(
  [0, 1, 2, 3].map((part) => run.countPrimes(part * 250_000, (part + 1) * 250_000)),
);
clearInterval(clock);
console.log(
  `${parts.reduce((sum, count) => sum + count)} primes below a million, on ${pool.threads} threads`,
);
console.log(`the main thread was ${ticks > 0 ? 'free' : 'blocked'} meanwhile`);

// Moved, not copied; and what a script left there can be called by its name.
const bytes = new TextEncoder().encode('a'.repeat(100_000));
const deflated = await pool.call('pako.deflate', [bytes], { transfer: [bytes.buffer] });
console.log(`100000 bytes became ${deflated.length}, ${bytes.length} are left here`);

const error = await run.fail().catch((thrown) => thrown);
console.log(`${error.code}: ${error.cause.name}, ${error.cause.message}`);
const hung = await pool.call('countPrimes', [0, 1e12], { timeoutMs: 200 }).catch((thrown) => thrown);
console.log(`a call without end: ${hung.code}; the next one: ${await run.countPrimes(0, 100)}`);
pool.terminate();
