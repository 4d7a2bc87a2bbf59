// The connection test page in real browsers, two at a time: what it finds, what it says, and what of it reaches the gateway.
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { Client } from '../../src/client/index.js';
import { ADMIN_KEY, type GatewayProcess, startGateway, until } from '../gateway-process.js';
import type { TestSummary } from '../../src/protocol/test-report.js';
import { freePort } from '../free-port.js';
import { startTurnServer } from '../turn-server.js';
import { launchChromium } from './chromium.js';
import { launchFirefox } from './firefox.js';
import { has, type RowSeen, rowsOf, textOf, urlOf } from './seen-on-test-page.js';
import type { BrowserPage, TestBrowser } from './test-browser.js';

const TURN_SECRET = 'a-secret-of-coturn-for-tests';
let chromium: Browser;
const closers: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  chromium = await launchChromium();
});
afterAll(async () => {
  await chromium.close();
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startPage(env: Record<string, string> = {}): Promise<GatewayProcess> {
  const gateway = await startGateway({ JWT_SECRET: undefined, ...env });
  closers.push(() => gateway.stop());
  return gateway;
}

async function withTurn(): Promise<Record<string, string>> {
  const turn = await startTurnServer([TURN_SECRET]);
  closers.push(() => turn.stop());
  return { TURN_URLS: `turn:127.0.0.1:${String(turn.port)}`, TURN_SECRET };
}

/** @param address as a trusted proxy would tell it */
async function inChromium(url: string, prepare = '', address = ''): Promise<Page> {
  const context = await chromium.newContext({
    viewport: { width: 1280, height: 900 },
    ...(address === '' ? {} : { extraHTTPHeaders: { 'X-Forwarded-For': address } }),
  });
  closers.push(() => context.close());
  const page = await context.newPage();
  if (prepare !== '') await page.addInitScript(prepare);
  await page.goto(url);
  return page;
}

async function inFirefox(url: string, preferences: Record<string, unknown> = {}): Promise<BrowserPage> {
  const firefox: TestBrowser = await launchFirefox(preferences);
  closers.push(() => firefox.close());
  const page = await firefox.newPage();
  await page.goto(url);
  return page;
}

type Told = TestSummary & { turnShare: number | null };
/** Sums over all that was told; null before the first. */
const allOf = ({ groups }: Told) => groups.find(({ by }) => by === 'all') ?? null;

async function summaryOf({ adminPort }: GatewayProcess): Promise<Told> {
  const answer = await fetch(`http://127.0.0.1:${String(adminPort)}/api/v1/connection-tests`, {
    headers: { Authorization: `Bearer ${ADMIN_KEY}` },
  });
  return (await answer.json()) as Told;
}

describe('Chromium and Firefox on the page', () => {
  test('measure every way to the gateway, through coturn and to each other, and the gateway sums it up', async () => {
    const gateway = await startPage(await withTurn());
    const errors: string[] = [];
    const page = await inChromium(urlOf(gateway));
    page.on('pageerror', ({ message }) => errors.push(message));
    page.on('console', (line) => {
      if (line.type() === 'error') errors.push(line.text());
    });
    const fox = await inFirefox(urlOf(gateway));
    const all = { websocket: 'ok', sse: 'ok', turn: 'ok', direct: 'ok', relay: 'ok', media: 'ok' };
    await until(async () => (await has(page, all)) && (await has(fox, all)));
    for (const { text } of await rowsOf(page)) expect(text).toMatch(/\d ms[\s\S]*\d ms[\s\S]*\d [kMG]b\/s/);
    expect((await rowsOf(page)).find(({ way }) => way === 'relay')?.text).toContain('by relay');
    expect((await rowsOf(page)).find(({ way }) => way === 'direct')?.text).toContain('by own address');
    for (const end of [page, fox]) {
      expect(await textOf(end, '#verdict h2')).toBe('Calls will work');
      expect(await textOf(end, '#peers h3')).toContain('same network');
    }
    expect(await textOf(page, '#peers h3')).toContain('Firefox on Linux');
    expect(await page.locator('#peers svg.strip circle').count()).toBeGreaterThan(40);
    expect(errors).toEqual([]);

    // Both sides tell of the pair; its ends are in one network, which is no share of TURN.
    const summary = await until(async () => {
      const told = await summaryOf(gateway);
      return allOf(told)?.sameNetworkPairs.direct === 2 ? told : null;
    });
    expect(summary.turnShare).toBeNull();
    const browsers = summary.groups.filter(({ by }) => by === 'browser');
    expect(browsers.map(({ value }) => value).sort()).toEqual(['chrome', 'firefox']);
    for (const { ways, sameNetworkWays } of browsers) {
      const worked = (sums: typeof ways) => sums.filter(({ ok }) => ok > 0).map(({ way }) => way);
      expect(worked(ways)).toEqual(['websocket', 'sse', 'turn']);
      expect(worked(sameNetworkWays)).toEqual(['direct', 'relay', 'media']);
    }
    const relayed = { way: 'relay', candidate: 'relay', same_network: 'true', outcome: 'ok' };
    expect(await gateway.metric('connection_tests_total', relayed)).toBe(2);
    await until(async () => (await textOf(page, '#summary')).includes(' reports of all pages'));
    expect(await textOf(page, '#summary')).toContain('Data channel, relayed, same network');

    const screenshots = process.env.SCREENSHOTS;
    if (screenshots !== undefined) {
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        for (const [name, width] of [
          ['wide', 1280],
          ['narrow', 375],
        ] as const) {
          await page.setViewportSize({ width, height: 900 });
          await page.screenshot({
            path: `${screenshots}/test-page-${name}-${colorScheme}.png`,
            fullPage: true,
          });
        }
      }
      await page.setViewportSize({ width: 1280, height: 900 });
    }

    // Nothing is wider than a phone.
    await page.setViewportSize({ width: 320, height: 700 });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(320);
    expect(await page.evaluate(`document.querySelector('#summary .scroll').scrollWidth`)).toBeLessThan(320);
    expect(await page.locator('#summary td[data-name="Set-up"]').first().isVisible()).toBe(true);
    // Each plot has its scale, and its texts are as large as they are meant.
    const heights = await page.evaluate<number[]>(
      `[...document.querySelectorAll('#server .plot .under text')].map((text) => text.getBoundingClientRect().height)`,
    );
    expect(heights.length).toBeGreaterThanOrEqual(9);
    expect(Math.min(...heights)).toBeGreaterThan(9);

    // A second round adds to the figures and begins the plot over time.
    await page.getByRole('button', { name: 'Test again now' }).click();
    await page.locator('#time svg polyline').first().waitFor({ timeout: 90_000 });
    await until(async () => (await textOf(page, '#rounds')) === '2 rounds');

    // The link shows the same figures to somebody who tests nothing.
    await page.getByRole('button', { name: 'Share this result' }).click();
    const link = String(await page.evaluate(`document.getElementById('link').value`));
    expect(link).not.toMatch(/~test-|127\.0\.0\.1.*127\.0\.0\.1/);
    const shared = await inChromium(link);
    await shared.getByText('A result that somebody shared').waitFor();
    expect(await textOf(shared, '#verdict h2')).toBe('Calls will work');
    const figures = (rows: RowSeen[]) =>
      rows.flatMap(({ text }) => [...text.matchAll(/([\d.]+) ± [\d.]+ ms/g)].map(([, mean]) => Number(mean)));
    const [there, here] = [figures(await rowsOf(shared)), figures(await rowsOf(page))];
    expect(there).toHaveLength(here.length);
    // The link holds every round trip, rounded: the last digit, a tenth below 10 ms, may be another one.
    for (const [i, mean] of here.entries())
      expect(Math.abs((there[i] ?? NaN) - mean)).toBeLessThan(0.02 * mean + (mean < 10 ? 0.11 : 1.01));
    expect(await shared.locator('#again').isVisible()).toBe(false);
  }, 240_000);

  test('say that there is no relay where there is none, and that only this network is sure', async () => {
    const gateway = await startPage();
    const page = await inChromium(urlOf(gateway));
    const fox = await inFirefox(urlOf(gateway));
    const ways = { websocket: 'ok', turn: 'off', direct: 'ok', relay: 'off' };
    await until(async () => (await has(page, ways)) && (await has(fox, ways)));
    expect(await textOf(page, '#verdict h2')).toBe('Calls inside this network will work');
    expect(await textOf(page, '#verdict')).toContain('neither STUN nor a relay');
  }, 150_000);

  test('know what it means that Firefox has WebRTC switched off', async () => {
    const gateway = await startPage();
    const page = await inChromium(urlOf(gateway));
    const fox = await inFirefox(urlOf(gateway), { 'media.peerconnection.enabled': false });
    await until(async () => has(fox, { websocket: 'ok', sse: 'ok', direct: 'off' }));
    expect(await textOf(fox, '#verdict h2')).toBe('Calls cannot work in this browser');
    expect(await textOf(fox, '#missing')).toMatch(/WebRTC[\s\S]*needed[\s\S]*No calls at all/);
    await until(async () => has(page, { direct: 'off', media: 'off' }));
    expect(await textOf(page, '#peers')).toContain('no WebRTC in that browser');
    // It says nothing of the network: no pair is told.
    await until(
      async () => (await summaryOf(gateway)).groups.filter(({ by }) => by === 'browser').length === 2,
    );
    const all = allOf(await summaryOf(gateway));
    expect([all?.pairs, all?.sameNetworkPairs]).toEqual([
      { direct: 0, relay: 0, none: 0 },
      { direct: 0, relay: 0, none: 0 },
    ]);
  }, 150_000);
});

/** A network that lets nothing through but the relay. */
const RELAY_ONLY = `{
  const Native = RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(configuration) { super({ ...configuration, iceTransportPolicy: 'relay' }); }
  };
}`;

test('two pages of different networks that reach each other through TURN only need a relay, and count in its share', async () => {
  const gateway = await startPage({ ...(await withTurn()), TRUSTED_PROXIES: '127.0.0.1' });
  const page = await inChromium(urlOf(gateway), RELAY_ONLY, '203.0.113.5');
  const other = await inChromium(urlOf(gateway), '', '198.51.100.7');
  const states = { direct: 'failed', relay: 'ok', media: 'ok' };
  await until(async () => (await has(page, states)) && (await has(other, states)));
  for (const end of [page, other]) {
    expect(await textOf(end, '#verdict h2')).toBe('Calls will work, and need a relay');
    expect(await textOf(end, '#peers h3')).not.toContain('same network');
  }
  const told = await until(async () => {
    const summary = await summaryOf(gateway);
    return allOf(summary)?.pairs.relay === 2 ? summary : null;
  });
  expect([told.turnShare, allOf(told)?.pairs]).toEqual([1, { direct: 0, relay: 2, none: 0 }]);
  expect(allOf(told)?.sameNetworkWays).toEqual([]);
  expect(JSON.stringify(told)).not.toMatch(/203\.0|198\.51|~test-/);
  await until(async () =>
    (await textOf(page, '#summary')).includes('100 % of the ways between different networks'),
  );
  const screenshots = process.env.SCREENSHOTS;
  if (screenshots !== undefined) {
    await page.locator('#summary summary').click();
    await page.screenshot({ path: `${screenshots}/test-page-relay.png`, fullPage: true });
  }
}, 180_000);

/** The page's clock can be set forward. */
const FAST_CLOCK = `{
  const now = performance.now.bind(performance);
  window.skipMs = 0;
  performance.now = () => now() + window.skipMs;
}`;

/** Pauses between tries, which chance makes: an eighth of them. Time-outs are whole numbers, and stay. */
const SHORT_PAUSES = `{
  const wait = setTimeout;
  window.setTimeout = (run, ms, ...rest) => wait(run, Number.isInteger(ms) ? ms : ms / 8, ...rest);
}`;

describe('a page', () => {
  test('goes by plain requests, and says so, where a WebSocket is blocked', async () => {
    const port = { gateway: 0 };
    const proxy = createServer((from, to) => {
      const { method, url, headers } = from;
      const options = { port: port.gateway, host: '127.0.0.1', method, path: url, headers };
      const forward = request(options, (answer) => {
        to.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(to);
      });
      forward.on('error', () => to.destroy());
      to.on('close', () => forward.destroy());
      from.pipe(forward);
    });
    proxy.on('upgrade', (_from, socket) => {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    closers.push(async () => {
      proxy.closeAllConnections();
      await new Promise((resolve) => proxy.close(resolve));
    });
    port.gateway = (await startPage()).port;
    const page = await inChromium(`http://127.0.0.1:${String((proxy.address() as AddressInfo).port)}/test`);
    await until(async () => has(page, { websocket: 'failed', sse: 'ok', turn: 'off' }));
    const note = 'A WebSocket does not get through';
    await until(async () => (await textOf(page, '#verdict')).includes(note));
    expect(await textOf(page, '#verdict')).toContain('only addresses of their own network');
  }, 120_000);

  test('takes another that was closed in the middle of a test for gone, not for unreachable, and forgets it', async () => {
    const gateway = await startPage();
    const page = await inChromium(urlOf(gateway), FAST_CLOCK);
    const other = await inChromium(urlOf(gateway));
    for (const end of [page, other])
      await until(
        async () => (await has(end, { direct: 'ok', media: 'ok' })) && end.locator('#again').isEnabled(),
      );
    await page.getByRole('button', { name: 'Test again now' }).click();
    // The other one is idle: this is the test itself, and takes a second or two.
    await until(async () => has(page, { direct: 'running' }));
    await other.context().close();
    await until(async () => (await textOf(page, '#rounds')) === '2 rounds');
    await until(async () => (await textOf(page, '#peers')).includes('gone'));
    const [direct, , media] = (await rowsOf(page)).slice(-3);
    expect([direct?.state, media?.state]).toEqual(['ok', 'ok']);
    const all = allOf(await summaryOf(gateway));
    expect([all?.pairs.none, all?.sameNetworkPairs.none]).toEqual([0, 0]);
    expect(all?.sameNetworkWays.find(({ way }) => way === 'direct')?.failed).toBe(0);

    // A minute later its card is gone, and how it was reached is not.
    await page.evaluate('void (skipMs += 60_000)');
    await until(async () => (await page.locator('#peers .card').count()) === 0);
    expect(await textOf(page, '#past')).toBe('1 browser has left; reached before: 1 directly.');
    expect(await textOf(page, '#verdict h2')).toBe('Calls inside this network will work');
    const screenshots = process.env.SCREENSHOTS;
    for (const [name, width] of Object.entries(
      screenshots === undefined ? {} : { wide: 1280, narrow: 375 },
    )) {
      await page.setViewportSize({ width, height: 900 });
      await page.screenshot({ path: `${String(screenshots)}/test-page-gone-${name}.png`, fullPage: true });
    }
  }, 150_000);

  test('asks one that is always busy less and less often', async () => {
    const gateway = await startPage();
    const page = await inChromium(urlOf(gateway), FAST_CLOCK + SHORT_PAUSES);
    // A page by all that others see of it, which never has time.
    const answer = await fetch(`${urlOf(gateway)}/token`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Origin: new URL(urlOf(gateway)).origin },
      body: JSON.stringify({ key: 'a'.repeat(32) }),
    });
    const { token, room } = (await answer.json()) as { token: string; room: string };
    const busy = new Client(`ws://127.0.0.1:${String(gateway.port)}`, { token });
    closers.push(() => busy.close());
    let asked = 0;
    const about = { browser: 'firefox', platform: 'linux', network: 'unknown', hasWebRTC: true, tag: '' };
    busy.onRequest('connection-test-about', () => about);
    busy.onRequest('connection-test-begin', () => (asked++, 'busy'));
    await busy.connect();
    await busy.room(room).join();
    // Some tries, further and further apart, and then the page has other things to do.
    await until(() => Promise.resolve(asked === 5));
    await until(async () => page.locator('#again').isEnabled());
    expect(await textOf(page, '#peers')).toContain('the other page is busy');
    // It looks every second whether it is time to ask.
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(asked).toBe(5);
    await page.evaluate('void (skipMs += 10_000)');
    await until(() => Promise.resolve(asked === 10));
    await until(async () => page.locator('#again').isEnabled());
    // Twice as long the second time, half of it by chance.
    await page.evaluate('void (skipMs += 5_000)');
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(asked).toBe(10);
  }, 150_000);

  test('goes on when its worker was killed, and the sums go on with it', async () => {
    const gateway = await startPage({ WORKERS: '1', PORT: String(await freePort()) });
    const page = await inChromium(urlOf(gateway));
    await until(async () => has(page, { websocket: 'ok', sse: 'ok' }));
    await until(async () => (await textOf(page, '#rounds')) === '1 round');
    const [worker] = await gateway.workers();
    process.kill(worker?.pid ?? 0, 'SIGKILL');
    await until(async () =>
      (await gateway.workers()).some(({ pid, state }) => state === 'ready' && pid !== worker?.pid),
    );
    await page.getByRole('button', { name: 'Test again now' }).click();
    await until(async () => (await textOf(page, '#rounds')) === '2 rounds');
    for (const row of (await rowsOf(page)).slice(0, 2))
      expect(row).toMatchObject({ state: 'ok', text: expect.stringContaining('ms') });
    // The sums outlive the worker.
    await until(async () => (await summaryOf(gateway)).reports === 2);
  }, 150_000);

  test('tests as always where the link is of a shared result that was made up', async () => {
    const gateway = await startPage();
    const page = await inChromium(`${urlOf(gateway)}#r=eyJhdCI6MX0`);
    await until(async () => has(page, { websocket: 'ok' }));
    expect(await page.getByText('A result that somebody shared').isVisible()).toBe(false);
  }, 60_000);
});
