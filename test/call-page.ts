// Opens the pages of examples/call.mjs and phone.mjs in real browsers for tests, and sees who is seen and heard in them.
import type { Browser, BrowserContextOptions, Frame, Locator, Page } from 'playwright-core';
import { launchChromium } from './browser/chromium.js';
import { endExamples, run } from './example-process.js';
import { freePort } from './free-port.js';
import { until } from './gateway-process.js';

const FAKE_DEVICES = [
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  // Sharing begins with a dialogue, in which nobody clicks here.
  '--auto-select-desktop-capture-source=Entire screen',
];
/** Without the flag that says yes: what is not among the permissions of a page is refused. */
const STRICT_DEVICES = FAKE_DEVICES.slice(0, 1);
export const REFUSED = ['geolocation'];
export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 375, height: 812 };

/** What a test has started, closed after it in the opposite order. */
export const closers: (() => Promise<unknown>)[] = [];
/** For afterEach. */
export async function endCalls(): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
  await endExamples();
}

/** Runs the example; resolves with the address of its page. */
async function start(name: string, env: Record<string, string>): Promise<string> {
  const ports = { PORT: String(await freePort()), PAGE_PORT: String(await freePort()) };
  const example = run(process.execPath, [`examples/${name}.mjs`], { ...ports, ...env });
  return await until(() => /Open (\S+) in two /.exec(example.output())?.[1]);
}
export const startCall = (env: Record<string, string> = {}): Promise<string> => start('call', env);
export const startPhone = (): Promise<string> => start('phone', {});

async function chromiumWith(flags: string[]): Promise<Browser> {
  const chromium = await launchChromium(flags);
  closers.push(() => chromium.close());
  return chromium;
}
/** With a camera, a microphone and a screen. */
export const chromiumWithDevices = (...more: string[]): Promise<Browser> =>
  chromiumWith([...FAKE_DEVICES, ...more]);
/** With those that a page is permitted. */
export const strictChromium = (...more: string[]): Promise<Browser> =>
  chromiumWith([...STRICT_DEVICES, ...more]);

interface Circumstances {
  configuration?: RTCConfiguration;
  /** What the page may not use until a test changes its `denied`. Chromium cannot refuse these and let the screen be shared. */
  denied?: readonly ('audio' | 'video')[];
}

/** Without camera and microphone. */
export const WATCHING: Circumstances = { denied: ['audio', 'video'] };

/** Opens the page. Its connections are kept in `connections`, what it takes of the machine in `devices`, for what no page shows. */
export async function open(
  browser: Browser,
  url = 'about:blank',
  options: BrowserContextOptions = {},
  { configuration = {}, denied = [] }: Circumstances = {},
): Promise<Page> {
  const context = await browser.newContext({ viewport: DESKTOP, ...options });
  await context.addInitScript(`
    globalThis.connections = [];
    globalThis.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(configuration) {
        super({ ...configuration, ...${JSON.stringify(configuration)} });
        connections.push(this);
      }
    };
    globalThis.devices = [];
    globalThis.denied = ${JSON.stringify(denied)};
    const { mediaDevices } = navigator;
    for (const method of mediaDevices ? ['getUserMedia', 'getDisplayMedia'] : []) {
      const ask = mediaDevices[method].bind(mediaDevices);
      mediaDevices[method] = async (wanted) => {
        if (method === 'getUserMedia' && denied.some((kind) => wanted[kind])) throw new DOMException('', 'NotAllowedError');
        const stream = await ask(wanted);
        devices.push(...stream.getTracks());
        return stream;
      };
    }
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

export async function join(page: Page | Frame, name: string): Promise<void> {
  await page.getByLabel('Your name').fill(name);
  await page.getByRole('button', { name: 'Join' }).click();
}

export const tile = (page: Page, name: string): Locator => page.locator('figure', { hasText: name });
/** A sentence that the page says, at the door or in the call. */
export const told = (page: Page, text: string | RegExp): Promise<void> =>
  page.locator('.status:visible', { hasText: text }).waitFor();
export const button = (page: Page | Frame, name: string): Locator =>
  page.locator('#bar').getByRole('button', { name });

/** A picture that stands still is one or two frames that were under way. */
const MOVING_FRAMES = 5;

/** Waits until the tile plays pictures that are new since the call of this. */
export async function plays(page: Page, name: string): Promise<void> {
  let first = Infinity;
  await until(async () => {
    const frames = await tile(page, name).evaluate(
      (figure) => figure.querySelector('video')?.getVideoPlaybackQuality().totalVideoFrames ?? 0,
    );
    // Counted anew where the video has another stream.
    first = Math.min(first, frames);
    return frames >= first + MOVING_FRAMES;
  });
}

/** Width by height of the picture that a tile plays. */
export const sizeOf = (page: Page, name: string): Promise<string> =>
  tile(page, name).evaluate((figure) => {
    const { videoWidth = 0, videoHeight = 0 } = figure.querySelector('video') ?? {};
    return `${String(videoWidth)}x${String(videoHeight)}`;
  });

/** A camera of 4:3 beside screens of 16:9, so that what is seen tells which of them it is. */
export const narrowCamera = (page: Page): Promise<unknown> =>
  page.evaluate(`
    Promise.all(
      devices
        .filter(({ kind, label, readyState }) => kind === 'video' && !label.startsWith('screen') && readyState === 'live')
        .map((camera) => camera.applyConstraints({ width: 640, height: 480 })),
    )
  `);

/** Waits until the tile plays that. */
export async function sees(page: Page, name: string, what: 'camera' | 'screen'): Promise<void> {
  await until(async () => {
    const [width = 0, height = 1] = (await sizeOf(page, name)).split('x').map(Number);
    // The shape of small pictures is not exact.
    return Math.abs(width / height - (what === 'camera' ? 4 / 3 : 16 / 9)) < 0.1;
  });
  await plays(page, name);
}

/** How many pictures and sounds each connection has places for. */
export const placesOf = (page: Page): Promise<unknown> =>
  page.evaluate(`
    connections
      .filter(({ connectionState }) => connectionState === 'connected')
      .map((connection) => connection.getSenders().filter(({ track }) => track !== null).map(({ track }) => track.kind).sort().join())
  `);

type Ears = HTMLElement & { ears?: Map<MediaStreamTrack, AnalyserNode> };

/** Waits until the tile plays a sound that comes after the call of this: a fake microphone beeps every second. */
export async function sounds(page: Page, name: string): Promise<void> {
  // Their last 0.7 s may have a beep that was before.
  await tile(page, name).evaluate((figure: Ears) => {
    delete figure.ears;
  });
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
export const scaled = (page: Page, wanted: number[]): Promise<unknown> =>
  until(async () => String(await scales(page)) === String(wanted));

export const faultsOf = async (pages: (Page | Frame)[]): Promise<unknown[]> =>
  (await Promise.all(pages.map((page) => page.evaluate('faults')))).flat();

export async function picture(page: Page, name: string): Promise<void> {
  if (process.env.SCREENSHOTS !== undefined)
    await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png` });
}
