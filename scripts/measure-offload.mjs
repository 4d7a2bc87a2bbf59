// What `offload: true` saves a page: CPU time of its main thread for each large message that it sends, and that it hears, with and without.
// node scripts/measure-offload.mjs [rounds] [chromium|firefox]
// BEFORE=folder has it measured with the files of another build's dist/browser too, in the same run.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { launch } from 'puppeteer-core';
import { gateway, token } from '../examples/gateway.mjs';
import { CHROMIUM_FLAGS, findChromium, findFirefox } from './test-tools.mjs';

const ROUNDS = Number(process.argv[2] ?? 3);
const WANTED = process.argv.slice(3);
const MESSAGES = 20;
const NOW = fileURLToPath(new URL('../dist/browser', import.meta.url));
const { BEFORE } = process.env;

/** Rows as an application has them: what differs and what repeats. Those with dates are no JSON. */
const ROWS = `(kib, withDates) => {
  const rows = [];
  for (let n = 0; n * 100 < kib * 1024; n++) {
    const at = 1e12 + n * 977;
    rows.push({ id: n, name: 'row ' + n, at: withDates ? new Date(at) : at, price: Math.sqrt(n), tags: ['a', 'b' + (n % 7)], open: n % 3 === 0 });
  }
  return rows;
}`;
const KINDS = [
  { name: '10 KiB of rows', kib: 10, withDates: false },
  { name: '50 KiB of rows', kib: 50, withDates: false },
  { name: '200 KiB of rows', kib: 200, withDates: false },
  { name: '200 KiB, with dates', kib: 200, withDates: true },
];
const WAYS = [
  { name: 'without', build: 'now', offload: false },
  ...(BEFORE ? [{ name: 'before', build: 'before', offload: true }] : []),
  { name: 'with', build: 'now', offload: true },
];

const site = createServer((request, response) => {
  const [, build, name] = (request.url ?? '').split('/');
  const folder = { now: NOW, before: BEFORE }[build];
  try {
    const text = folder && name ? readFileSync(`${folder}/${name}`) : '<!doctype html>';
    response.writeHead(200, { 'content-type': name ? 'text/javascript' : 'text/html' }).end(text);
  } catch {
    response.writeHead(404).end();
  }
}).listen(0, '127.0.0.1');
await new Promise((resolve) => site.once('listening', resolve));
const origin = `http://127.0.0.1:${site.address().port}`;
const url = await gateway({
  ORIGINS: origin,
  BYTES_PER_SECOND_LIMIT: '0',
  CLIENT_BYTES_PER_SECOND_LIMIT: '0',
  ADDRESS_BYTES_PER_SECOND_LIMIT: '0',
  FAN_OUT_BYTES_PER_SECOND_LIMIT: '0',
});
const { Client } = await import('../dist/client/index.js');

const pathOf = (name) => execFileSync('sh', ['-c', 'command -v "$0"', name], { encoding: 'utf8' }).trim();

/** Each opens pages: `run` evaluates, `cpuMs` is what the page's main thread has used. */
const BROWSERS = {
  async chromium() {
    const browser = await chromium.launch({ executablePath: pathOf(findChromium()), args: CHROMIUM_FLAGS });
    return {
      async open() {
        const context = await browser.newContext();
        const page = await context.newPage();
        await page.goto(origin);
        const session = await context.newCDPSession(page);
        await session.send('Performance.enable', { timeDomain: 'threadTicks' });
        return {
          run: (script) => page.evaluate(script),
          async cpuMs() {
            const { metrics } = await session.send('Performance.getMetrics');
            return metrics.find(({ name }) => name === 'TaskDuration').value * 1000;
          },
          close: () => context.close(),
        };
      },
      close: () => browser.close(),
    };
  },
  /** Linux only: it has the main threads of all processes with pages, of which only one does anything. */
  async firefox() {
    const browser = await launch({
      browser: 'firefox',
      executablePath: pathOf(findFirefox()),
      headless: true,
    });
    return {
      async open() {
        const page = await browser.newPage();
        await page.goto(origin);
        return {
          run: (script) => page.evaluate(script),
          async cpuMs() {
            return contentThreads(browser.process().pid).reduce((sum, ms) => sum + ms, 0);
          },
          close: () => page.close(),
        };
      },
      close: () => browser.close(),
    };
  },
};

/** CPU time of the main thread of each process below `root` that shows pages, ms. */
function contentThreads(root) {
  const times = [];
  const below = new Set([root]);
  const ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  for (const id of ids.map(Number).sort((a, b) => a - b)) {
    try {
      const parent = Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${id}/status`, 'utf8'))[1]);
      if (!below.has(parent)) continue;
      below.add(id);
      if (!/-contentproc.*tab$/.test(readFileSync(`/proc/${id}/cmdline`, 'utf8').replace(/\0/g, ' ').trim()))
        continue;
      times.push(Number(readFileSync(`/proc/${id}/task/${id}/schedstat`, 'utf8').split(' ')[0]) / 1e6);
    } catch {
      // It ended meanwhile.
    }
  }
  return times;
}

let clients = 0;

/** The page's ms for each message that it sends, and that it hears. */
async function measure(browser, { build, offload }, { kib, withDates }) {
  const [here, there] = [`page${++clients}`, `node${clients}`];
  const page = await browser.open();
  const other = new Client(url, { token: token(there, '*'), offlineQueueLimitBytes: 1e8 });
  let heard = 0;
  other.onMessage('rows', () => heard++);
  await other.connect();
  await page.run(`(async () => {
    const { Client } = await import('/${build}/client.js');
    window.rows = (${ROWS})(${kib}, ${withDates});
    window.heard = 0;
    window.client = new Client('${url}', { token: '${token(here, '*')}', offload: ${offload}, transports: ['websocket'], offlineQueueLimitBytes: 1e8 });
    client.onMessage('rows', () => window.heard++);
    await client.connect();
  })()`);
  const rows = (0, eval)(ROWS)(kib, withDates);
  const until = async (isDone) => {
    while (!(await isDone())) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  const sends = async (count) => {
    heard = 0;
    // Not all at once: an application has other things to do in between.
    await page.run(
      `(async () => { for (let n = 0; n < ${count}; n++) await client.send('${there}', 'rows', rows); })()`,
    );
    await until(() => heard === count);
  };
  const hears = async (count) => {
    await page.run('void (window.heard = 0)');
    for (let n = 0; n < count; n++) await other.send(here, 'rows', rows);
    await page.run(
      `(async () => { while (heard < ${count}) await new Promise((resolve) => setTimeout(resolve, 5)); })()`,
    );
  };
  const timed = async (act) => {
    await act(2);
    const before = await page.cpuMs();
    await act(MESSAGES);
    return ((await page.cpuMs()) - before) / MESSAGES;
  };
  const result = { sent: await timed(sends), heard: await timed(hears) };
  await page.run('client.close()');
  await other.close();
  await page.close();
  return result;
}

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

for (const [name, start] of Object.entries(BROWSERS)) {
  if (WANTED.length > 0 && !WANTED.includes(name)) continue;
  const browser = await start();
  console.log(`${name}: main thread, ms for each message, ${WAYS.map((way) => way.name).join(' → ')}`);
  for (const kind of KINDS) {
    const results = WAYS.map(() => []);
    for (let round = 0; round < ROUNDS; round++)
      for (const [n, way] of WAYS.entries()) results[n].push(await measure(browser, way, kind));
    const of = (key) =>
      results.map((rounds) => median(rounds.map((each) => each[key])).toFixed(2)).join(' → ');
    console.log(`  ${kind.name.padEnd(20)} sent ${of('sent')}   heard ${of('heard')}`);
  }
  await browser.close();
}
process.exit(0);
