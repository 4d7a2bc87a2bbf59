// examples/call.mjs in real browsers: who is seen and heard, sharing a screen, and devices that come and go.
import { afterEach, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { launchFirefox } from './browser/firefox.js';
import {
  button,
  chromiumWithDevices,
  closers,
  DESKTOP,
  endCalls,
  faultsOf,
  join,
  narrowCamera,
  open,
  PHONE,
  picture,
  placesOf,
  plays,
  REFUSED,
  scaled,
  sees,
  sizeOf,
  sounds,
  startCall,
  strictChromium,
  tile,
  told,
  WATCHING,
} from './call-page.js';
import { until } from './gateway-process.js';

afterEach(endCalls);

test('three people see each other: muted, dark, sharing, gone and back', async () => {
  const url = await startCall();
  const chromium = await chromiumWithDevices();
  const firefox = await launchFirefox();
  closers.push(() => firefox.close());
  const [ada, grace] = await Promise.all([open(chromium, url), open(chromium, url)]);
  await join(ada, 'Ada');
  await join(grace, 'Grace');
  await Promise.all([plays(ada, 'Grace'), plays(grace, 'Ada')]);
  await Promise.all([scaled(ada, [1]), scaled(grace, [1])]);

  const alan = await firefox.newPage();
  await alan.goto(url);
  await alan.evaluate(`(async () => {
    while (document.getElementById('join').disabled) await new Promise((resolve) => setTimeout(resolve, 20));
    document.getElementById('name').value = 'Alan';
    document.getElementById('join').click();
  })()`);
  await Promise.all([plays(ada, 'Alan'), plays(grace, 'Alan')]);
  await until(async () =>
    Boolean(
      await alan.evaluate(
        `[...document.querySelectorAll('figure[data-state=connected] video')].filter(({ videoWidth, currentTime }) => videoWidth > 0 && currentTime > 0).length === 2`,
      ),
    ),
  );
  // 720 lines for one other, 480 for each of two.
  await scaled(ada, [1.5, 1.5]);
  await picture(ada, 'call-wide');

  await button(ada, 'Mute').click();
  await button(ada, 'Unmute').waitFor();
  await tile(grace, 'Ada').getByLabel('muted').waitFor();
  await button(ada, 'Camera off').click();
  await grace.locator('figure.dark', { hasText: 'Ada' }).waitFor();
  await button(ada, 'Camera on').click();
  await grace.locator('figure:not(.dark)', { hasText: 'Ada' }).waitFor();
  const camera = await sizeOf(grace, 'Ada');
  await button(ada, 'Share screen').click();
  await grace.locator('figure.shares.large', { hasText: 'Ada' }).waitFor();
  await scaled(ada, [1, 1]);
  await until(async () => (await sizeOf(grace, 'Ada')) !== camera);
  await picture(grace, 'call-sharing');
  await tile(grace, 'Ada').dblclick();
  await until(() => grace.evaluate('document.fullscreenElement?.matches(".large")'));
  await tile(grace, 'Ada').dblclick();
  await until(() => grace.evaluate('document.fullscreenElement === null'));
  await button(ada, 'Stop sharing').click();
  await grace.locator('figure:not(.shares):not(.large)', { hasText: 'Ada' }).waitFor();
  await scaled(ada, [1.5, 1.5]);

  await button(grace, 'Leave').click();
  await tile(ada, 'Grace').waitFor({ state: 'detached' });
  await scaled(ada, [1]);
  await grace.setViewportSize(PHONE);
  await picture(grace, 'call-door');
  await grace.getByRole('button', { name: 'Join' }).click();
  await Promise.all([plays(ada, 'Grace'), plays(grace, 'Ada'), plays(grace, 'Alan')]);
  // Who came back is told how the others are.
  await tile(grace, 'Ada').getByLabel('muted').waitFor();
  await picture(grace, 'call-narrow');
  expect(await faultsOf([ada, grace])).toEqual([]);
  // Three pages with cameras, beside three other test files.
}, 180_000);

test('who has no camera is heard, also while they share their screen', async () => {
  const url = await startCall();
  const chromium = await chromiumWithDevices();
  const [host, grace] = await Promise.all([open(chromium, `${url}call-page.js`), open(chromium, url)]);
  // The page that it is in keeps the camera from it, but not the screen.
  await host.evaluate(`document.body.innerHTML = '<iframe src="/" allow="camera \\'none\\'">'`);
  const ada = await (await host.waitForSelector('iframe')).contentFrame();
  if (ada === null) throw new Error('no frame');
  await ada.getByText('This page may not use your camera.').waitFor();
  await join(ada, 'Ada');
  await join(grace, 'Grace');
  await sounds(grace, 'Ada');
  await button(ada, 'No camera').waitFor();
  await button(ada, 'Share screen').click();
  await plays(grace, 'Ada');
  await sounds(grace, 'Ada');
  await button(ada, 'Stop sharing').click();
  await grace.locator('figure.dark', { hasText: 'Ada' }).waitFor();
  await sounds(grace, 'Ada');
  expect(await faultsOf([ada, grace])).toEqual([]);
}, 120_000);

test('camera and microphone that were refused can be permitted at the door and in the call', async () => {
  const url = await startCall();
  const chromium = await strictChromium();
  const permissions = ['camera'];
  const [ada, grace] = await Promise.all([
    open(chromium, url, { permissions: REFUSED }),
    open(chromium, url, { permissions }),
  ]);
  await grace.getByText('This page may not use your microphone.').waitFor();
  await ada.getByText('This page may not use your camera and microphone.').waitFor();
  await picture(ada, 'call-refused');
  await ada.context().grantPermissions(permissions);
  await ada.getByRole('button', { name: 'Try again' }).click();
  await ada.getByText('This page may not use your microphone.').waitFor();
  await until(() => ada.evaluate(`document.getElementById('preview').videoWidth > 0`));
  await join(ada, 'Ada');
  await join(grace, 'Grace');
  await Promise.all([plays(ada, 'Grace'), plays(grace, 'Ada')]);

  await button(ada, 'No microphone').click();
  await told(ada, 'This page may not use your microphone.');
  await ada.context().grantPermissions([...permissions, 'microphone']);
  await button(ada, 'No microphone').click();
  await button(ada, 'Mute').waitFor();
  await sounds(grace, 'Ada');
  expect(await faultsOf([ada, grace])).toEqual([]);
}, 120_000);

test.each([
  ['microphone', ['audio' as const], 'No microphone'],
  ['camera and microphone', ['audio' as const, 'video' as const], 'No camera'],
])(
  'a %s that is permitted while the screen is shared takes nothing from those who look at it',
  async (_, denied, missing) => {
    const url = await startCall();
    const chromium = await chromiumWithDevices();
    const [ada, grace] = await Promise.all([
      open(chromium, url, {}, { denied }),
      open(chromium, url, {}, WATCHING),
    ]);
    await ada.getByText('You can also take part without.').waitFor();
    await narrowCamera(ada);
    await join(ada, 'Ada');
    await join(grace, 'Grace');
    await tile(grace, 'Ada').waitFor();
    await button(ada, 'Share screen').click();
    await grace.locator('figure.shares.large', { hasText: 'Ada' }).waitFor();
    await sees(grace, 'Ada', 'screen');

    await ada.evaluate('denied = []');
    await button(ada, missing).click();
    await button(ada, 'Mute').waitFor();
    await narrowCamera(ada);
    await sounds(grace, 'Ada');
    await sees(grace, 'Ada', 'screen');
    await button(ada, 'Stop sharing').click();
    await grace.locator('figure:not(.shares):not(.dark)', { hasText: 'Ada' }).waitFor();
    await sees(grace, 'Ada', 'camera');
    await button(ada, 'Share screen').click();
    await grace.locator('figure.shares.large', { hasText: 'Ada' }).waitFor();
    await sees(grace, 'Ada', 'screen');
    await sounds(grace, 'Ada');
    expect(await placesOf(ada)).toEqual(['audio,video']);
    expect(await faultsOf([ada, grace])).toEqual([]);
  },
  120_000,
);

test('a camera that is unplugged and plugged in again, while its owner shares and somebody comes', async () => {
  const url = await startCall();
  const chromium = await chromiumWithDevices();
  const [ada, grace, alan] = await Promise.all([
    open(chromium, url),
    open(chromium, url, {}, WATCHING),
    open(chromium, url, {}, WATCHING),
  ]);
  await until(() => ada.evaluate('devices.length === 2'));
  await narrowCamera(ada);
  await join(ada, 'Ada');
  await join(grace, 'Grace');
  await sees(grace, 'Ada', 'camera');
  await button(ada, 'Share screen').click();
  await sees(grace, 'Ada', 'screen');

  await ada.evaluate(`{
    const camera = devices.find(({ kind }) => kind === 'video');
    camera.stop();
    camera.dispatchEvent(new Event('ended'));
  }`);
  await button(ada, 'No camera').waitFor();
  await join(alan, 'Alan');
  for (const page of [grace, alan]) await sees(page, 'Ada', 'screen');
  await button(ada, 'Stop sharing').click();
  for (const page of [grace, alan]) await page.locator('figure.dark', { hasText: 'Ada' }).waitFor();

  await button(ada, 'No camera').click();
  await button(ada, 'Camera off').waitFor();
  await narrowCamera(ada);
  for (const page of [grace, alan]) {
    await page.locator('figure:not(.dark)', { hasText: 'Ada' }).waitFor();
    await sees(page, 'Ada', 'camera');
    await sounds(page, 'Ada');
  }
  expect(await placesOf(ada)).toEqual(['audio,video', 'audio,video']);
  expect(await faultsOf([ada, grace, alan])).toEqual([]);
}, 150_000);

test('the seventh is told that the call is full, and who loads the page again finds its place free', async () => {
  const url = await startCall();
  const chromium = await strictChromium();
  const pages: Page[] = [];
  // Without media, which so many would be too much for.
  const openOne = (viewport: typeof PHONE): Promise<Page> =>
    open(chromium, url, { viewport, permissions: REFUSED });
  for (const name of ['Ada', 'Grace', 'Alan', 'Edsger', 'Barbara', 'Donald']) {
    const page = await openOne(pages.length === 0 ? DESKTOP : PHONE);
    await join(page, name);
    await page.locator('figure', { hasText: '(you)' }).waitFor();
    pages.push(page);
  }
  const [ada, grace] = pages as [Page, Page];
  const isWhole = async (page: Page): Promise<boolean> =>
    (await page.locator('figure[data-state=connected]').count()) === 5;
  const allAreWhole = async (): Promise<unknown> =>
    await Promise.all(pages.map((page) => until(() => isWhole(page))));
  await allAreWhole();
  await picture(ada, 'call-six-wide');
  await picture(grace, 'call-six-narrow');

  const seventh = await openOne(PHONE);
  await join(seventh, 'Tony');
  await told(seventh, 'The call is full: 6 people are in it.');
  await picture(seventh, 'call-full');
  expect(await seventh.locator('#call').isHidden()).toBe(true);

  await grace.reload();
  await join(grace, 'Grace again');
  for (const page of pages) await tile(page, 'Grace again').waitFor();
  await allAreWhole();
  expect(await faultsOf([...pages, seventh])).toEqual([]);
}, 180_000);
