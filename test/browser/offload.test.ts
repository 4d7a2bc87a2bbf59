// Functions in the Web Workers of real browsers: shipped, loaded, moved, hung and dead, with and without a strict Content-Security-Policy.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Site } from './site.js';
import { type BrowserPage, BROWSERS, type TestBrowser } from './test-browser.js';

const PAKO = readFileSync(
  fileURLToPath(new URL('../../node_modules/pako/dist/pako.min.js', import.meta.url)),
);
/** Workers of this origin's files only, and nothing that is evaluated. */
const STRICT = "default-src 'none'; script-src 'self'; worker-src 'self'";
const OWN_SCRIPT =
  'offload.provide({ hash: (bytes) => bytes.reduce((sum, byte) => (sum * 31 + byte) | 0, 7) });';

let site: Site;

beforeAll(async () => {
  site = await Site.open({
    scripts: { 'pako.js': PAKO, 'own.js': OWN_SCRIPT },
    // A worker of a file has the policy of that file's own response.
    headersOf: (name): Record<string, string> =>
      name === 'strict' || name === 'offload-worker.js' ? { 'content-security-policy': STRICT } : {},
  });
}, 60_000);

afterAll(() => site.close());

describe.each(Object.keys(BROWSERS))('in %s', (name) => {
  let browser: TestBrowser;
  let page: BrowserPage;

  beforeAll(async () => {
    browser = await (BROWSERS[name] as () => Promise<TestBrowser>)();
  }, 60_000);
  afterAll(() => browser.close());
  afterEach(() => page.close());

  /** Runs in the page, with a pool. */
  async function within(body: string, { path = '/', options = '{}' } = {}): Promise<unknown> {
    page = await browser.newPage();
    await page.goto(site.origin + path);
    return page.evaluate(`(async () => {
      const { OffloadPool } = await import('/offload.js');
      const pool = new OffloadPool(${options});
      const failureOf = (promise) => promise.then(() => null, (error) => error);
      try { ${body} } finally { pool.terminate(); }
    })()`);
  }

  test('functions are shipped, use a loaded script, and return what they are given', async () => {
    const result = await within(`
      await pool.loadScripts('/pako.js');
      const run = await pool.registerFunctions({
        checkPako: (first, second) => [first, second, typeof pako],
        echo: (value) => value,
        onMain: () => typeof document,
      });
      const value = await run.echo({ when: new Date(5), map: new Map([[1, new Uint8Array([2])]]) });
      const deflated = await pool.call('pako.deflate', ['a'.repeat(10000)]);
      return [await run.checkPako('is pako found?', 'yes!'), value.when.getTime(), value.map.get(1)[0], deflated.length < 100, await run.onMain()];
    `);
    expect(result).toEqual([['is pako found?', 'yes!', 'object'], 5, 2, true, 'undefined']);
  });

  test('the pool has as many threads as hardwareConcurrency says, and the page goes on meanwhile', async () => {
    const result = await within(`
      const run = await pool.registerFunctions({ spin: (ms) => { const end = performance.now() + ms; while (performance.now() < end); return ms; } });
      let ticks = 0;
      const clock = setInterval(() => ticks++, 5);
      const cores = navigator.hardwareConcurrency;
      const calls = Array.from({ length: cores + 1 }, () => run.spin(200));
      const counts = [pool.threads === cores, pool.waiting];
      await Promise.all(calls);
      clearInterval(clock);
      return [...counts, ticks > 2];
    `);
    expect(result).toEqual([true, 1, true]);
  });

  test('bytes are moved both ways', async () => {
    const result = await within(`
      await pool.registerFunctions({ reverse: (bytes) => offload.transfer(bytes.reverse(), [bytes.buffer]) });
      const bytes = new Uint8Array([1, 2, 3]);
      const back = await pool.call('reverse', [bytes], { transfer: [bytes.buffer] });
      return [[...back], bytes.length];
    `);
    expect(result).toEqual([[3, 2, 1], 0]);
  });

  test('what a function throws comes with its stack', async () => {
    const result = await within(`
      const run = await pool.registerFunctions({ fail: function deepInside() { throw new RangeError('too deep'); } });
      const error = await failureOf(run.fail());
      return [error.code, error.cause.name, error.cause.message, error.stack.includes('deepInside'), error.stack.includes('called from')];
    `);
    expect(result).toEqual(['rejected', 'RangeError', 'too deep', true, true]);
  });

  test('a thread that hangs, closes itself or throws beside its calls is replaced', async () => {
    const result = await within(
      `
      const run = await pool.registerFunctions({
        hang: () => { for (;;); },
        leave: () => { close(); return new Promise(() => {}); },
        fuse: () => { setTimeout(() => { throw new Error('later'); }); return new Promise(() => {}); },
        add: (a, b) => a + b,
      });
      const codes = [];
      codes.push((await failureOf(pool.call('hang', [], { timeoutMs: 100 }))).code, await run.add(1, 1));
      codes.push((await failureOf(run.leave())).code, await run.add(1, 2));
      codes.push((await failureOf(run.fuse())).code, await run.add(1, 3));
      return codes;
    `,
      { options: '{ threads: 1 }' },
    );
    expect(result).toEqual(['timeout', 2, 'provider_gone', 3, 'provider_gone', 4]);
  });

  test('a script that is not there rejects, and the pool goes on', async () => {
    const result = await within(`
      const error = await failureOf(pool.loadScripts('/missing.js'));
      await pool.loadScripts('/own.js');
      return [error.code, await pool.call('hash', [[1, 2]])];
    `);
    expect(result).toEqual(['rejected', (7 * 31 + 1) * 31 + 2]);
  });

  test('under a strict policy a blob: worker is refused, a served one loads own files, and ships no functions', async () => {
    const result = await within(
      `
      const refused = await failureOf(pool.call('hash', [[1]]));
      const served = new OffloadPool({ workerUrl: '/offload-worker.js' });
      try {
        await served.loadScripts('/own.js');
        const shipped = await failureOf(served.registerFunctions({ add: (a, b) => a + b }));
        return [refused.code, await served.call('hash', [[1, 2]]), shipped.code];
      } finally { served.terminate(); }
    `,
      { path: '/strict' },
    );
    expect(result).toEqual(['unavailable', (7 * 31 + 1) * 31 + 2, 'forbidden']);
  });

  test('a worker file that is not there rejects with unavailable, again and again', async () => {
    const result = await within(
      `return [(await failureOf(pool.call('a'))).code, (await failureOf(pool.loadScripts('/own.js'))).code, pool.threads];`,
      { options: "{ workerUrl: '/missing.js' }" },
    );
    expect(result).toEqual(['unavailable', 'unavailable', 0]);
  });
});
