// The connection test page where things go wrong: a gateway that is killed, one that wants no such page, a browser that is too old.
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Browser, Page, WebSocket } from 'playwright-core';
import { Client } from '../../src/client/index.js';
import { freePort } from '../free-port.js';
import { type GatewayProcess, SECRET, startGateway, until } from '../gateway-process.js';
import { launchChromium } from './chromium.js';
import { has, rowsOf, textOf, urlOf } from './seen-on-test-page.js';

let chromium: Browser;
let port: number;
const closers: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  chromium = await launchChromium();
});
afterAll(async () => {
  await chromium.close();
});
beforeEach(async () => {
  port = await freePort();
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Each time at the same port and with the same key: one that is killed comes back. */
async function startPage(env: Record<string, string> = {}): Promise<GatewayProcess> {
  const origin = `http://127.0.0.1:${String(port)}`;
  const gateway = await startGateway({
    ...{ PORT: String(port), WORKERS: '1', JWT_SECRET: SECRET, TEST_PAGE: 'on', ORIGINS: origin },
    ...env,
  });
  closers.push(() => gateway.stop());
  return gateway;
}

async function kill({ process: child }: GatewayProcess): Promise<void> {
  child.kill('SIGKILL');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

async function open(url: string, prepare?: (page: Page) => Promise<unknown>): Promise<Page> {
  const context = await chromium.newContext();
  closers.push(() => context.close());
  const page = await context.newPage();
  await prepare?.(page);
  await page.goto(url);
  return page;
}

const verdictOf = (page: Page): Promise<string> => textOf(page, '#verdict h2');
const isIdle = async (page: Page, rounds: string): Promise<boolean> =>
  (await textOf(page, '#rounds')) === rounds && (await page.locator('#again').isEnabled());

describe('a page whose gateway was killed', () => {
  test('says so without being asked, keeps the sums, and tests again when the gateway is back', async () => {
    const gateway = await startPage();
    const page = await open(urlOf(gateway));
    await until(() => isIdle(page, '1 round'));
    await until(async () => (await textOf(page, '#summary')).includes('1 report of all pages'));
    await kill(gateway);
    await until(async () => (await verdictOf(page)) === 'The gateway does not answer any more');
    expect(await page.locator('#verdict').getAttribute('class')).toContain('bad');
    await until(async () => page.locator('#summary-old').isVisible());
    expect(await textOf(page, '#summary')).toContain('1 report of all pages');
    expect(await textOf(page, '#activity')).toBe('the gateway does not answer; trying on');

    await startPage();
    await until(async () => !(await verdictOf(page)).includes('gateway'));
    await until(() => isIdle(page, '2 rounds'));
    expect(await has(page, { websocket: 'ok', sse: 'ok' })).toBe(true);
    await until(async () => !(await page.locator('#summary-old').isVisible()));
  }, 180_000);

  test('says after a round that nothing came through, in words, beside the dimmed figures of before', async () => {
    const gateway = await startPage();
    const page = await open(urlOf(gateway));
    await until(() => isIdle(page, '1 round'));
    const colour = (): Promise<unknown> =>
      page.evaluate(`getComputedStyle(document.querySelector('#server [data-way] .figure')).color`);
    const before = await colour();
    await kill(gateway);
    await page.getByRole('button', { name: 'Test again now' }).click();
    await until(() => isIdle(page, '2 rounds'));
    expect(await verdictOf(page)).toBe('The gateway cannot be reached');
    for (const { state, text } of (await rowsOf(page)).slice(0, 2)) {
      expect([state, text]).toEqual([
        'failed',
        expect.stringContaining('failed: the gateway does not answer'),
      ]);
      expect(text).toMatch(/\d ms/);
    }
    expect(await colour()).not.toBe(before);
  }, 180_000);

  test('is free again where it happened between the answer of another page and the connection to it', async () => {
    const gateway = await startPage();
    // A page by all that others see of it.
    const answer = await fetch(`${urlOf(gateway)}/token`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Origin: new URL(urlOf(gateway)).origin },
      body: JSON.stringify({ key: 'a'.repeat(32) }),
    });
    const { token, room } = (await answer.json()) as { token: string; room: string };
    const other = new Client(gateway.url, { token });
    closers.push(() => other.close());
    let said = 'ready';
    const about = { browser: 'firefox', platform: 'linux', network: 'unknown', hasWebRTC: true, tag: '' };
    other.onRequest('connection-test-about', () => about);
    other.onRequest('connection-test-begin', () => said);
    await other.connect();
    await other.room(room).join();

    // What a peer is made of is loaded when the other one was ready: at that moment the gateway goes.
    let isKilled = false;
    const sockets: WebSocket[] = [];
    const page = await open(urlOf(gateway), async (made) => {
      made.on('websocket', (socket) => sockets.push(socket));
      await made.route('**/rtc.js', async (route) => {
        const response = await route.fetch();
        await kill(gateway);
        // It knows that it has no connection.
        await until(() => sockets.every((socket) => socket.isClosed()));
        isKilled = true;
        said = 'busy';
        await route.fulfill({ response });
      });
    });
    await until(() => Promise.resolve(isKilled));
    await until(() => isIdle(page, '1 round'));
    expect((await rowsOf(page)).find(({ way }) => way === 'direct')?.text).toContain('the gateway went away');

    await startPage();
    await until(async () => (await textOf(page, '#peers')).includes('the other page is busy'));
  }, 180_000);

  test('sees when the gateway is back who has left meanwhile', async () => {
    const gateway = await startPage();
    const page = await open(urlOf(gateway));
    const other = await open(urlOf(gateway));
    for (const end of [page, other]) await until(() => has(end, { direct: 'ok', media: 'ok' }));
    await kill(gateway);
    await other.context().close();
    expect(await textOf(page, '#peers h3')).not.toContain('gone');
    await startPage();
    await until(async () => (await textOf(page, '#peers h3')).includes('gone'));
  }, 180_000);
});

test("a page from an origin that the gateway does not list shows the gateway's own words for it", async () => {
  const gateway = await startPage({ ORIGINS: 'https://elsewhere.example' });
  const page = await open(urlOf(gateway));
  await until(async () => (await verdictOf(page)) === 'The gateway refuses this page');
  expect(await textOf(page, '#verdict')).toContain(
    `Pages of http://127.0.0.1:${String(port)} may not connect to this gateway. Its operator has to add that origin to ORIGINS.`,
  );
}, 60_000);

test('a browser that does not understand the script says that it is too old, in colours that it knows', async () => {
  const gateway = await startPage();
  const body = 'class Page { #later ~= 1 }';
  const page = await open(urlOf(gateway), (made) =>
    made.route('**/test/page.js', (route) => route.fulfill({ body, contentType: 'text/javascript' })),
  );
  await until(async () => (await verdictOf(page)) === 'This page does not run in this browser');
  expect(await textOf(page, '#verdict')).toContain('too old');
  expect(await (await fetch(`${urlOf(gateway)}/page.css`)).text()).not.toContain('light-dark(');
}, 60_000);
