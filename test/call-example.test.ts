// examples/call.mjs in real browsers: who is seen and heard, what is said when something is missing, and how a call ends.
import { afterEach, expect, test } from '@jest/globals';
import type { Browser, BrowserContextOptions, Frame, Locator, Page } from 'playwright-core';
import { launchChromium } from './browser/chromium.js';
import { launchFirefox } from './browser/firefox.js';
import { endExamples, run } from './example-process.js';
import { SECRET, startGateway, until } from './gateway-process.js';
import { freePort } from './free-port.js';

const FAKE_DEVICES = [
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  // Sharing begins with a dialogue, in which nobody clicks here.
  '--auto-select-desktop-capture-source=Entire screen',
];
/** Without the flag that says yes: what is not among the permissions of a page is refused. */
const STRICT_DEVICES = FAKE_DEVICES.slice(0, 1);
const REFUSED = ['geolocation'];
const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 375, height: 812 };

afterEach(endExamples);

/** Runs the example; resolves with the address of its page. */
async function startCall(env: Record<string, string> = {}): Promise<string> {
  const ports = { PORT: String(await freePort()), PAGE_PORT: String(await freePort()) };
  const example = run(process.execPath, ['examples/call.mjs'], { ...ports, ...env });
  return await until(() => /Open (\S+) in two to six tabs/.exec(example.output())?.[1]);
}

/** Opens the page. Its connections are kept in `connections`, for what no page shows. */
async function open(
  browser: Browser,
  url = 'about:blank',
  options: BrowserContextOptions = {},
): Promise<Page> {
  const context = await browser.newContext({ viewport: DESKTOP, ...options });
  await context.addInitScript(`
    globalThis.connections = [];
    globalThis.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(...options) {
        super(...options);
        connections.push(this);
      }
    };
    globalThis.faults = [];
    for (const kind of ['error', 'unhandledrejection'])
      addEventListener(kind, ({ message, reason }) => faults.push(message ?? String(reason)));
  `);
  const page = await context.newPage();
  // Shorter than any test's, so that what never comes is told by its name.
  page.setDefaultTimeout(60_000);
  await page.goto(url);
  return page;
}

async function join(page: Page | Frame, name: string): Promise<void> {
  await page.getByLabel('Your name').fill(name);
  await page.getByRole('button', { name: 'Join' }).click();
}

const tile = (page: Page, name: string): Locator => page.locator('figure', { hasText: name });
/** A sentence that the page says, at the door or in the call. */
const told = (page: Page, text: string): Promise<void> =>
  page.locator('.status:visible', { hasText: text }).waitFor();
const button = (page: Page | Frame, name: string): Locator =>
  page.locator('#bar').getByRole('button', { name });

async function plays(page: Page, name: string): Promise<void> {
  await until(() =>
    tile(page, name).evaluate((figure) => {
      const video = figure.querySelector('video');
      return video !== null && video.videoWidth > 0 && video.currentTime > 0;
    }),
  );
}

type Ears = HTMLElement & { ears?: Map<MediaStreamTrack, AnalyserNode> };

/** Waits until the tile plays a sound: a fake microphone beeps every second. */
async function sounds(page: Page, name: string): Promise<void> {
  await until(() =>
    tile(page, name).evaluate((figure: Ears) => {
      const video = figure.querySelector('video');
      const [track] = (video?.srcObject as MediaStream | null | undefined)?.getAudioTracks() ?? [];
      if (video === null || video.muted || video.paused || track === undefined) return false;
      const ears = (figure.ears ??= new Map<MediaStreamTrack, AnalyserNode>());
      let ear = ears.get(track);
      if (ear === undefined) {
        const context = new AudioContext();
        ear = context.createAnalyser();
        ear.fftSize = 32_768;
        context.createMediaStreamSource(new MediaStream([track])).connect(ear);
        ears.set(track, ear);
      }
      const samples = new Float32Array(ear.fftSize);
      ear.getFloatTimeDomainData(samples);
      return samples.some((sample) => Math.abs(sample) > 0.01);
    }),
  );
}

/** How many times smaller than the camera's the pictures are that this page sends. */
const scales = (page: Page): Promise<number[]> =>
  page.evaluate(`
    connections
      .filter(({ connectionState }) => connectionState === 'connected')
      .flatMap((connection) => connection.getSenders())
      .filter(({ track }) => track?.kind === 'video')
      .flatMap((sender) => sender.getParameters().encodings)
      .map(({ scaleResolutionDownBy }) => scaleResolutionDownBy)
  `);
const scaled = (page: Page, wanted: number[]): Promise<unknown> =>
  until(async () => String(await scales(page)) === String(wanted));

const faultsOf = async (pages: (Page | Frame)[]): Promise<unknown[]> =>
  (await Promise.all(pages.map((page) => page.evaluate('faults')))).flat();

async function picture(page: Page, name: string): Promise<void> {
  if (process.env.SCREENSHOTS !== undefined)
    await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png` });
}

test('three people see each other: muted, dark, sharing, gone and back', async () => {
  const url = await startCall();
  const chromium = await launchChromium(FAKE_DEVICES);
  const firefox = await launchFirefox();
  try {
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
    const width = (): Promise<number> =>
      tile(grace, 'Ada').evaluate((figure) => figure.querySelector('video')?.videoWidth ?? 0);
    const camera = await width();
    await button(ada, 'Share screen').click();
    await grace.locator('figure.shares.large', { hasText: 'Ada' }).waitFor();
    await scaled(ada, [1, 1]);
    await until(async () => (await width()) !== camera);
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
  } finally {
    await chromium.close();
    await firefox.close();
  }
  // Three pages with cameras, beside three other test files.
}, 180_000);

test('who has no camera is heard, also while they share their screen', async () => {
  const url = await startCall();
  const chromium = await launchChromium(FAKE_DEVICES);
  try {
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
  } finally {
    await chromium.close();
  }
}, 120_000);

test('camera and microphone that were refused can be permitted at the door and in the call', async () => {
  const url = await startCall();
  const chromium = await launchChromium(STRICT_DEVICES);
  try {
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
  } finally {
    await chromium.close();
  }
}, 120_000);

test('the seventh is told that the call is full, and who loads the page again finds its place free', async () => {
  const url = await startCall();
  const chromium = await launchChromium(STRICT_DEVICES);
  try {
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
    await until(() => isWhole(ada));
    await picture(ada, 'call-six-wide');
    await picture(grace, 'call-six-narrow');

    const seventh = await openOne(PHONE);
    await join(seventh, 'Tony');
    await told(seventh, 'The call is full: 6 people are in it.');
    await picture(seventh, 'call-full');
    expect(await seventh.locator('#call').isHidden()).toBe(true);

    await grace.reload();
    await join(grace, 'Grace again');
    await tile(ada, 'Grace again').waitFor();
    await until(() => isWhole(ada));
    expect(await faultsOf([...pages, seventh])).toEqual([]);
  } finally {
    await chromium.close();
  }
}, 180_000);

test('the page tells what the gateway does: away, back, renewing the token, giving the place to another tab', async () => {
  const pagePort = String(await freePort());
  const settings = {
    PORT: String(await freePort()),
    ORIGINS: `http://127.0.0.1:${pagePort}`,
    // Tokens of an hour are renewed after so many seconds of it.
    TOKEN_EXPIRY_WARNING_MS: '3590000',
  };
  let gateway = await startGateway(settings);
  const chromium = await launchChromium(FAKE_DEVICES);
  try {
    const url = await startCall({ PAGE_PORT: pagePort, GATEWAY: gateway.url, JWT_SECRET: SECRET });
    const ada = await open(chromium, url);
    const tokens: string[] = [];
    const shown: string[] = [];
    ada.on('response', async (response) => {
      if (!response.url().endsWith('/token')) return;
      shown.push((await response.request().headerValue('authorization')) ?? '');
      tokens.push(await response.text());
    });
    await gateway.stop();
    await join(ada, 'Ada');
    await told(ada, 'The gateway does not answer. Trying again…');
    await told(ada, 'The gateway does not answer. Look at your network, then try again.');
    gateway = await startGateway(settings);
    await join(ada, 'Ada');
    await tile(ada, 'Ada (you)').waitFor();

    // The guest that it was asks for the next token with the last one.
    const before = tokens.length;
    await until(() => tokens.length > before);
    expect(shown.at(-1)).toBe(`Bearer ${String(tokens.at(-2))}`);
    const [first, ...others] = tokens.map((token) => subjectOf(token));
    expect(first).toMatch(/^guest-/);
    for (const other of others) expect(other).toBe(first);

    const grace = await open(chromium, url);
    await join(grace, 'Grace');
    await Promise.all([plays(ada, 'Grace'), plays(grace, 'Ada')]);
    await gateway.stop();
    await told(ada, 'The gateway is away. The call goes on');
    await plays(ada, 'Grace');
    await button(ada, 'Mute').click();
    gateway = await startGateway(settings);
    await tile(grace, 'Ada').getByLabel('muted').waitFor();
    await until(async () => (await ada.locator('#call .status').innerText()) === '');

    const again = await open(chromium);
    await again.route('**/token', (route) =>
      route.continue({ headers: { authorization: `Bearer ${String(tokens.at(-1))}` } }),
    );
    await again.goto(url);
    await join(again, 'Ada again');
    await told(ada, 'You joined in another tab or window: this one has left the call.');
    await picture(ada, 'call-replaced');
    expect(await ada.locator('#call').isHidden()).toBe(true);
    await plays(grace, 'Ada again');
    expect(await faultsOf([ada, grace, again])).toEqual([]);
  } finally {
    await chromium.close();
    await gateway.stop();
  }
}, 240_000);

/** Whose token that is. */
function subjectOf(token: string): unknown {
  const claims = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
  return (JSON.parse(claims) as { sub?: unknown }).sub;
}
