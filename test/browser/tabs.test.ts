// `shareTabs: true` in real browsers: several tabs, one connection, and tabs that are closed or crash.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { WebSocket } from 'ws';
import { Client } from '../../src/client/client.js';
import { VERSION } from '../../src/client/version.js';
import { type GatewayProcess, startGateway, tokenOf, until } from '../gateway-process.js';
import { Site } from './site.js';
import { type BrowserPage, BROWSERS, type TestBrowser } from './test-browser.js';

let site: Site;
let gateway: GatewayProcess;

/** The worker of another version of the SDK, at the same URL. */
function olderWorker(): string {
  const text = readFileSync(new URL('../../dist/browser/tabs-worker.js', import.meta.url), 'utf8');
  const older = text.replaceAll(`"${VERSION}"`, '"0.0.1"');
  expect(older).not.toBe(text);
  return older;
}

beforeAll(async () => {
  site = await Site.open({
    scripts: {
      // Of a page whose SDK came from elsewhere; and it can be told to end, as no browser lets a test do it.
      'own-worker.js': `importScripts('/tabs-worker.js');
        new BroadcastChannel('end').onmessage = () => self.close();`,
      'old-worker.js': `importScripts('/tabs-worker.js'.replace('tabs', 'older-tabs'));`,
      'older-tabs-worker.js': olderWorker(),
    },
    headersOf: (name) => (name === 'strict' ? { 'content-security-policy': "worker-src 'none'" } : {}),
  });
  gateway = await startGateway({ WORKERS: '1', ORIGINS: site.origin });
}, 60_000);

afterAll(async () => {
  await gateway.stop();
  await site.close();
});

describe.each(Object.keys(BROWSERS))('in %s', (name) => {
  const client = `alice-${name}`;
  let browser: TestBrowser;
  let bob: Client;
  let tabs: BrowserPage[] = [];

  beforeAll(async () => {
    browser = await (BROWSERS[name] as () => Promise<TestBrowser>)();
  }, 60_000);
  afterAll(() => browser.close());
  beforeEach(async () => {
    bob = new Client(gateway.url, { token: tokenOf('bob'), WebSocket });
    await bob.connect();
  });
  afterEach(async () => {
    for (const tab of tabs) await tab.close().catch(() => undefined);
    await bob.close();
    await until(async () => (await gateway.metric('connections')) === 0);
  });

  interface Options {
    /** Of `shareTabs`. */
    worker?: string;
    page?: string;
  }

  /** A connected client in each, which remembers what it hears; the first has the connection, unless a worker has it. */
  async function connected(
    count: number,
    { worker = 'false', page = '' }: Options = {},
  ): Promise<BrowserPage[]> {
    tabs = await browser.newTabs(count);
    for (const tab of tabs) {
      await tab.goto(`${site.origin}/${page}`);
      await tab.evaluate(`(async () => {
        const { Client } = await import('${site.origin}/client.js');
        window.heard = [];
        window.sockets = 0;
        const Plain = WebSocket;
        window.WebSocket = class extends Plain { constructor(...args) { super(...args); sockets++; } };
        window.client = new Client('${gateway.url}', {
          token: '${tokenOf(client)}', shareTabs: { worker: ${worker} }, backoff: { minMs: 50, maxMs: 200 }
        });
        window.states = [];
        client.on('state', (state) => states.push(state));
        client.on('error', (error) => heard.push(error.code));
        client.onMessage('*', (data) => heard.push(data));
        await client.connect();
      })()`);
    }
    return tabs;
  }

  /** Each of these tabs sends bob so many messages, without a pause longer than 5 ms. */
  function sending(
    tabs: readonly BrowserPage[],
    count: number,
  ): { got: string[]; outcomes: Promise<string[][]> } {
    const got: string[] = [];
    bob.onMessage('n', (data) => got.push(String(data)));
    const sent = tabs.map((tab, at) =>
      tab.evaluate(`(async () => {
        const sent = [];
        for (let n = 0; n < ${String(count)}; n++) {
          sent.push(client.send('bob', 'n', '${String(at)} ' + n).then(() => 'accepted', (error) => error.code));
          if (n % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
        }
        return Promise.all(sent);
      })()`),
    );
    return { got, outcomes: Promise.all(sent) as Promise<string[][]> };
  }

  /**
   * Of what each tab has sent, all that was accepted has come, and nothing twice or out of order.
   * @returns how many messages nobody can tell of whether they were stored
   */
  async function onceEach(got: readonly string[], outcomes: readonly string[][]): Promise<number> {
    for (const [at, known] of outcomes.entries()) {
      const prefix = `${String(at)} `;
      expect(known.filter((one) => !['accepted', 'unknown_outcome'].includes(one))).toEqual([]);
      const all = known.map((_, n) => prefix + String(n));
      await until(() => all.every((one, n) => known[n] !== 'accepted' || got.includes(one)));
      const theirs = got.filter((one) => one.startsWith(prefix));
      expect(theirs).toEqual(all.filter((one) => theirs.includes(one)));
    }
    return outcomes.flat().filter((one) => one === 'unknown_outcome').length;
  }

  const heardBy = (tab: BrowserPage): Promise<unknown> => tab.evaluate('heard');

  test('all tabs have one session and one connection, and each hears everything', async () => {
    const [one, two, three] = (await connected(3)) as [BrowserPage, BrowserPage, BrowserPage];
    expect(await Promise.all(tabs.map((tab) => tab.evaluate('[client.isShared, sockets]')))).toEqual([
      [true, 1],
      [true, 0],
      [true, 0],
    ]);
    expect(await gateway.locate(client)).toHaveLength(1);
    // Bob's is the other one.
    expect(await gateway.metric('connections')).toBe(2);
    for (const tab of [one, two]) await tab.evaluate(`client.room('r').join()`);
    await two.evaluate(`client.room('r').onMessage('n', (data) => heard.push(data)) && undefined`);
    await bob.send(client, 'n', 'hello');
    await three.evaluate(`client.room('r').publish('n', 'room')`);
    await until(async () => ((await heardBy(two)) as unknown[]).length === 2);
    expect(await Promise.all(tabs.map(heardBy))).toEqual([['hello'], ['hello', 'room'], ['hello']]);
    bob.onRequest('double', (n: number) => 2 * n);
    expect(
      await Promise.all(
        tabs.map((tab, at) => tab.evaluate(`client.request('bob', 'double', ${String(at)})`)),
      ),
    ).toEqual([0, 2, 4]);
    const refusal = `client.peer('bob').catch((error) => error.constructor.name + ': ' + error.message)`;
    expect(await one.evaluate(refusal)).toBe('TypeError: Peers need a client without shareTabs.');
    await one.evaluate('client.close()');
    expect(await two.evaluate('client.state')).toBe('connected');
  }, 60_000);

  // Firefox has one process for all tabs of a site: they crash together.
  test.each(name === 'Firefox' ? ['is closed'] : ['is closed', 'crashes'])(
    'another tab takes over when the one with the connection %s in the middle, and nothing is lost or comes twice',
    async (how) => {
      const [first, ...others] = (await connected(3)) as [BrowserPage, BrowserPage, BrowserPage];
      const session = await first.evaluate('client.sessionId');
      const { got, outcomes } = sending(others, 300);
      for (let n = 0; n < 5; n++) await bob.send(client, 'n', n);
      await until(() => got.length > 50);
      if (how === 'crashes') await first.crash?.();
      else await first.close();
      for (let n = 5; n < 10; n++) await bob.send(client, 'n', n);
      const doubtful = await onceEach(got, await outcomes);
      // What a tab that crashes wrote last may be in doubt (docs/adr/0009-shared-tabs.md).
      if (how === 'is closed') expect(doubtful).toBe(0);
      for (const tab of others) {
        await until(async () => ((await heardBy(tab)) as unknown[]).length >= 10);
        expect(await heardBy(tab)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        expect(await tab.evaluate('client.sessionId')).toBe(session);
      }
    },
    60_000,
  );

  const socketsIn = (): Promise<unknown[]> => Promise.all(tabs.map((tab) => tab.evaluate('sockets')));

  describe('with a SharedWorker', () => {
    test('all tabs have one connection, which none of them holds, and notice nothing when one is closed', async () => {
      const [first, two, three] = (await connected(3, { worker: 'true' })) as [
        BrowserPage,
        BrowserPage,
        BrowserPage,
      ];
      expect(await socketsIn()).toEqual([0, 0, 0]);
      expect(await gateway.metric('connections')).toBe(2);
      const session = await first.evaluate('client.sessionId');
      await bob.send(client, 'n', 0);
      for (const tab of tabs) await until(async () => ((await heardBy(tab)) as unknown[]).length === 1);
      await first.close();
      for (const tab of [two, three]) await tab.evaluate(`client.send('bob', 'n', 1)`);
      await bob.send(client, 'n', 2);
      for (const tab of [two, three]) {
        await until(async () => ((await heardBy(tab)) as unknown[]).length === 2);
        expect(await tab.evaluate('[client.sessionId, states]')).toEqual([
          session,
          ['connecting', 'connected'],
        ]);
      }
    }, 60_000);

    test('a tab takes over when the worker ends in the middle, and nothing that was accepted is lost or comes twice', async () => {
      const others = (await connected(3, { worker: `'/own-worker.js'` })) as [
        BrowserPage,
        BrowserPage,
        BrowserPage,
      ];
      expect(await socketsIn()).toEqual([0, 0, 0]);
      const { got, outcomes } = sending(others, 200);
      for (let n = 0; n < 5; n++) await bob.send(client, 'n', n);
      await until(() => got.length > 50);
      await others[0].evaluate(`new BroadcastChannel('end').postMessage('')`);
      for (let n = 5; n < 10; n++) await bob.send(client, 'n', n);
      // A worker that ends in Chromium leaves some messages in doubt at times (docs/adr/0009-shared-tabs.md).
      await onceEach(got, await outcomes);
      for (const tab of others) {
        await until(async () => ((await heardBy(tab)) as unknown[]).length >= 10);
        expect(await heardBy(tab)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      }
      expect([...(await socketsIn())].sort()).toEqual([0, 0, 1]);
    }, 60_000);

    test('the session ends with the last tab, also where that goes to another page', async () => {
      const [one, two] = (await connected(2, { worker: 'true' })) as [BrowserPage, BrowserPage];
      await one.close();
      expect(await gateway.metric('connections')).toBe(2);
      await two.goto(site.elsewhere);
      await until(async () => (await gateway.metric('connections')) === 1);
    }, 60_000);

    test.each([
      ['is forbidden by the page', { worker: 'true', page: 'strict' }],
      ['is of another origin', { worker: `'http://localhost:1/tabs-worker.js'` }],
      ['is not there', { worker: `'/nowhere.js'` }],
      ['is of another version', { worker: `'/old-worker.js'` }],
      ['is not known to the browser', { worker: `(delete window.SharedWorker, true)` }],
    ])(
      'a tab has the connection where the worker %s',
      async (_how, options) => {
        await connected(2, options);
        expect(await socketsIn()).toEqual([1, 0]);
      },
      60_000,
    );
  });

  test('a browser without Web Locks has a session of its own in each tab', async () => {
    tabs = await browser.newTabs(1);
    const [tab] = tabs as [BrowserPage];
    await tab.goto(site.origin);
    const shared = await tab.evaluate(`(async () => {
      Object.defineProperty(navigator, 'locks', { value: undefined });
      const { Client } = await import('${site.origin}/client.js');
      window.client = new Client('${gateway.url}', { token: '${tokenOf(client)}', shareTabs: true });
      await client.connect();
      return client.isShared;
    })()`);
    expect(shared).toBe(false);
  }, 60_000);
});
