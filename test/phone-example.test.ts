// examples/phone.mjs in real browsers: who is online, ringing, the call itself, and what is said at its end.
import { request } from 'node:http';
import { afterEach, expect, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { launchFirefox } from './browser/firefox.js';
import {
  button,
  chromiumWithDevices,
  closers,
  endCalls,
  faultsOf,
  narrowCamera,
  open,
  PHONE,
  picture,
  plays,
  sees,
  sounds,
  startPhone,
  tile,
  told,
  WATCHING,
} from './call-page.js';
import { until } from './gateway-process.js';

afterEach(endCalls);

async function enter(
  browser: Browser,
  url: string,
  name: string,
  ...more: [Parameters<typeof open>[2]?, Parameters<typeof open>[3]?]
): Promise<Page> {
  const page = await open(browser, url, ...more);
  await page.getByLabel('Your user name').fill(name);
  await page.getByRole('button', { name: 'Go online' }).click();
  await page.getByRole('heading', { name: 'Who is online' }).waitFor();
  return page;
}
const call = (page: Page, who: string): Promise<void> =>
  page.getByRole('button', { name: `Call ${who}` }).click();
const answer = (page: Page, what: 'Take the call' | 'Decline' | 'Cancel'): Promise<void> =>
  page.getByRole('button', { name: what }).click();
const rings = (page: Page, who: string): Promise<void> =>
  page.getByRole('heading', { name: `${who} is calling` }).waitFor();
/** In the book, without a camera that is on. */
async function idle(...pages: Page[]): Promise<void> {
  for (const page of pages) {
    await page.getByRole('heading', { name: 'Who is online' }).waitFor();
    await until(() => page.evaluate(`devices.every(({ readyState }) => readyState === 'ended')`));
  }
}

test('one calls, the other hears it in two pages and takes it in one: both are seen and heard until one hangs up', async () => {
  const url = await startPhone();
  const chromium = await chromiumWithDevices();
  const ada = await enter(chromium, url, 'ada');
  await ada.getByText('Nobody else.').waitFor();
  const [desk, sofa] = [
    await enter(chromium, url, 'grace'),
    await enter(chromium, url, 'grace', { viewport: PHONE }),
  ];
  await picture(ada, 'phone-book');
  await call(ada, 'grace');
  await ada.getByRole('heading', { name: 'Calling grace…' }).waitFor();
  await Promise.all([rings(desk, 'ada'), rings(sofa, 'ada')]);
  expect(await sofa.title()).toBe('☎ ada is calling');
  await Promise.all([picture(ada, 'phone-calling'), picture(sofa, 'phone-ringing')]);
  await answer(sofa, 'Take the call');
  await told(desk, 'Another page of yours has dealt with the call.');
  expect(await sofa.title()).toBe('signalbox: a telephone');
  await Promise.all([plays(ada, 'grace'), plays(sofa, 'ada'), sounds(ada, 'grace'), sounds(sofa, 'ada')]);

  await narrowCamera(ada);
  await sees(sofa, 'ada', 'camera');
  await button(ada, 'Share screen').click();
  await sees(sofa, 'ada', 'screen');
  await Promise.all([picture(ada, 'phone-sharing'), picture(sofa, 'phone-narrow')]);
  await button(ada, 'Stop sharing').click();
  await sees(sofa, 'ada', 'camera');
  await button(ada, 'Mute').click();
  await tile(sofa, 'ada').getByLabel('muted').waitFor();
  await button(ada, 'Camera off').click();
  await sofa.locator('#theirs.dark').waitFor();
  await picture(sofa, 'phone-dark');
  await button(ada, 'Camera on').click();
  await sofa.locator('#theirs:not(.dark)').waitFor();
  await button(sofa, 'Hang up').click();
  await told(ada, /^grace has hung up. The call took 0:\d\d.$/);
  await idle(ada, desk, sofa);
  await picture(ada, 'phone-after');

  // The next one is another call, the other way round, in the page that had none.
  await call(desk, 'ada');
  await rings(ada, 'grace');
  await answer(ada, 'Take the call');
  await Promise.all([plays(ada, 'grace'), plays(desk, 'ada')]);
  await desk.close();
  await told(ada, /^grace has hung up./);
  await idle(ada, sofa);
  expect(await faultsOf([ada, sofa])).toEqual([]);
}, 120_000);

test('Firefox calls, and is called', async () => {
  const url = await startPhone();
  const firefox = await launchFirefox();
  closers.push(() => firefox.close());
  const grace = await firefox.newPage();
  await grace.goto(url);
  /** Presses a button of that page as soon as it may be pressed. */
  const press = (button: string): Promise<unknown> =>
    grace.evaluate(`(async () => {
      const find = () => document.querySelector(${JSON.stringify(button)});
      while (!find()?.checkVisibility() || find().disabled) await new Promise((resolve) => setTimeout(resolve, 20));
      find().click();
    })()`);
  const seesAda = (): Promise<unknown> =>
    until(() =>
      grace.evaluate(
        `(({ videoWidth, currentTime }) => videoWidth > 0 && currentTime > 0)(document.querySelector('#theirs video'))`,
      ),
    );
  await grace.evaluate(`document.getElementById('name').value = 'grace'`);
  await press('#enter');
  const ada = await enter(await chromiumWithDevices(), url, 'ada');

  await press('[aria-label="Call ada"]');
  await rings(ada, 'grace');
  await answer(ada, 'Take the call');
  await Promise.all([plays(ada, 'grace'), seesAda()]);
  await press('#hang-up');
  await told(ada, /^grace has hung up./);

  await call(ada, 'grace');
  await press('#take');
  await Promise.all([plays(ada, 'grace'), seesAda()]);
  await press('#mute');
  await tile(ada, 'grace').getByLabel('muted').waitFor();
  await button(ada, 'Hang up').click();
  await idle(ada);
  expect(await faultsOf([ada])).toEqual([]);
}, 120_000);

test('of two pages that take the call at the same moment one has it', async () => {
  const url = await startPhone();
  const chromium = await chromiumWithDevices();
  const [ada, desk, sofa] = [
    await enter(chromium, url, 'ada'),
    await enter(chromium, url, 'grace'),
    await enter(chromium, url, 'grace'),
  ];
  await call(ada, 'grace');
  await Promise.all([rings(desk, 'ada'), rings(sofa, 'ada')]);
  await Promise.all([desk, sofa].map((page) => page.evaluate(`document.getElementById('take').click()`)));
  const winner = await Promise.any(
    [desk, sofa].map(async (page) => {
      await plays(page, 'ada');
      return page;
    }),
  );
  await plays(ada, 'grace');
  const loser = winner === desk ? sofa : desk;
  await told(loser, 'Another page of yours has dealt with the call.');
  await idle(loser);
}, 120_000);

test('who takes the call of a page that has crashed is told so, and a camera that is permitted after the call stays off', async () => {
  const url = await startPhone();
  const chromium = await chromiumWithDevices();
  const [ada, grace] = [await enter(chromium, url, 'ada'), await enter(chromium, url, 'grace')];
  await grace.evaluate(`
    const ask = navigator.mediaDevices.getUserMedia;
    const permitted = new Promise((resolve) => (globalThis.permit = resolve));
    navigator.mediaDevices.getUserMedia = async (wanted) => {
      await permitted;
      return await ask(wanted);
    };
  `);
  await call(ada, 'grace');
  await rings(grace, 'ada');
  await ada.goto('chrome://crash').catch(() => undefined);
  await answer(grace, 'Take the call');
  await told(grace, 'ada is not online any more.');
  expect(await grace.evaluate('devices.length')).toBe(0);
  await grace.evaluate('permit()');
  await until(() => grace.evaluate('devices.length === 2'));
  await idle(grace);
}, 120_000);

test('the server of the page answers what is no path', async () => {
  const { hostname, port } = new URL(await startPhone());
  const statusOf = (path: string, method = 'GET'): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      request({ hostname, port, path, method }, (response) => resolve(response.resume().statusCode))
        .on('error', reject)
        .end();
    });
  expect(await statusOf('//')).toBe(404);
  expect(await statusOf('/token?name=a%20b', 'POST')).toBe(400);
  expect(await statusOf('/token?name=ada', 'POST')).toBe(200);
  expect(await statusOf('/')).toBe(200);
});

test('a call is declined, missed, to somebody busy, and to somebody who is gone', async () => {
  const url = await startPhone();
  const chromium = await chromiumWithDevices();
  const [ada, grace, alan] = [
    await enter(chromium, url, 'ada'),
    await enter(chromium, url, 'grace'),
    // Who has no camera and no microphone may see and hear.
    await enter(chromium, url, 'alan', {}, WATCHING),
  ];
  await call(ada, 'grace');
  await rings(grace, 'ada');
  await answer(grace, 'Decline');
  await told(ada, 'grace declined.');
  await call(ada, 'grace');
  await rings(grace, 'ada');
  await answer(ada, 'Cancel');
  await told(grace, 'You missed a call from ada.');
  await idle(ada, grace);

  await call(alan, 'grace');
  await rings(grace, 'alan');
  await answer(grace, 'Take the call');
  await plays(alan, 'grace');
  await told(alan, /may not use your camera and microphone/);
  await call(ada, 'grace');
  await told(ada, 'grace is in another call.');
  await button(alan, 'Hang up').click();
  await told(grace, /^alan has hung up./);

  await call(grace, 'alan');
  await rings(alan, 'grace');
  await alan.close();
  await told(grace, 'alan is not online any more.');
  await until(async () => (await grace.locator('#people li').allTextContents()).join() === 'AadaCall');
  await idle(ada, grace);
  expect(await faultsOf([ada, grace])).toEqual([]);
}, 120_000);
