// What `offload: true` saves a page: its main thread's work and longest stop for large payloads, with and without: node scripts/measure-offload.mjs
import { execFileSync } from 'node:child_process';
import { chromium } from 'playwright-core';
import { gateway, token } from '../examples/gateway.mjs';
import { findChromium } from './test-tools.mjs';

const ROUNDS = Number(process.argv[2] ?? 3);
const MESSAGES = 20;
const SIZES = [1, 10, 50, 200].map((kib) => kib * 1024);
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const url = await gateway({
  ORIGINS: `http://127.0.0.1:${process.env.PORT ?? 8081}`,
  BYTES_PER_SECOND_LIMIT: '0',
  CLIENT_BYTES_PER_SECOND_LIMIT: '0',
  ADDRESS_BYTES_PER_SECOND_LIMIT: '0',
  FAN_OUT_BYTES_PER_SECOND_LIMIT: '0',
});
const executablePath = execFileSync('sh', ['-c', 'command -v "$0"', findChromium()], {
  encoding: 'utf8',
}).trim();
const browser = await chromium.launch({ executablePath, args: FLAGS });

/** Rows as an application has them: what differs and what repeats. */
const ROWS = `(size) => {
  const rows = [];
  for (let bytes = 0, n = 0; bytes < size; bytes += 100, n++)
    rows.push({ id: n, name: 'row ' + n, at: 1e12 + n * 977, price: Math.sqrt(n), tags: ['a', 'b' + (n % 7)], open: n % 3 === 0 });
  return rows;
}`;

/** Main thread's ms in all, and in its longest stretch, for MESSAGES messages sent to oneself and heard. */
async function measure(offload, size, access) {
  const page = await (await browser.newContext()).newPage();
  await page.goto(`${url.replace('ws', 'http')}/healthz`);
  await page.evaluate(`(async () => {
    const { Client } = await import('/client.js');
    window.rows = (${ROWS})(${size});
    window.client = new Client('${url}', { token: '${access}', offload: ${offload}, transports: ['websocket'], offlineQueueLimitBytes: 1e8 });
    let heard = 0;
    client.onMessage('n', () => heard++);
    await client.connect();
    window.run = async (count) => {
      heard = 0;
      for (let n = 0; n < count; n++) client.send(client.id, 'n', rows);
      while (heard < count) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    await run(2);
    window.longest = 0;
    new PerformanceObserver((list) => { for (const { duration } of list.getEntries()) longest = Math.max(longest, duration); }).observe({ entryTypes: ['longtask'] });
  })()`);
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  const taskSeconds = async () =>
    (await session.send('Performance.getMetrics')).metrics.find(({ name }) => name === 'TaskDuration').value;
  const before = await taskSeconds();
  await page.evaluate(`run(${MESSAGES})`);
  const ms = ((await taskSeconds()) - before) * 1000;
  const longest = await page.evaluate('longest');
  // How long the page would take to clone the same rows to a worker, and one to read them.
  const clone = await page.evaluate(`(() => {
    const { port1 } = new MessageChannel();
    const begun = performance.now();
    for (let n = 0; n < ${MESSAGES}; n++) port1.postMessage(rows);
    return (performance.now() - begun) / ${MESSAGES};
  })()`);
  await page.evaluate('client.close()');
  await page.context().close();
  return { ms: ms / MESSAGES, longest, clone };
}

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
console.log(
  'payload   main thread, ms per message sent and heard   longest stop, ms   cloning the data once, ms',
);
for (const size of SIZES) {
  const results = { false: [], true: [] };
  for (let round = 0; round < ROUNDS; round++)
    for (const offload of [false, true])
      results[offload].push(await measure(offload, size, token(`m${size}${round}${offload}`, '*')));
  const of = (offload, key) => median(results[offload].map((result) => result[key]));
  console.log(
    `${String(size / 1024).padStart(4)} KiB   ${of(false, 'ms').toFixed(2)} → ${of(true, 'ms').toFixed(2)}   ${of(false, 'longest').toFixed(0)} → ${of(true, 'longest').toFixed(0)}   ${of(false, 'clone').toFixed(2)}`,
  );
}
await browser.close();
process.exit(0);
