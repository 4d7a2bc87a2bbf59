// A page whose late files cannot be had: it went offline, or a deploy took them away. A real browser, because it decides what is asked for again.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import type { Client, ClientOptions } from '../../src/client/index.js';
import { inflate } from '../../src/client/compression.js';
import { decodePayload } from '../../src/protocol/payload.js';
import { TOKEN, until } from '../client/fixture.js';
import { BOB, type Peer, ScriptedGateway, textOf } from '../client/scripted-gateway.js';
import type { EventName, SessionId, StreamId } from '../../src/protocol/ids.js';
import { launchChromium } from './chromium.js';
import { Site } from './site.js';

/** What the page has for the test. */
interface Scene {
  client: Client;
  errors: unknown[];
  tokens: number;
}

let browser: Browser;
let site: Site;

beforeAll(async () => {
  site = await Site.open();
  browser = await launchChromium();
}, 60_000);

afterAll(async () => {
  await browser.close();
  await site.close();
});

let gateway: ScriptedGateway;
let page: Page;

beforeEach(() => {
  site.asked.length = 0;
  site.gone.clear();
});

afterEach(async () => {
  await page.close();
  await gateway.close();
});

/** Begins to connect from a page. */
async function open(options: Partial<ClientOptions> = {}): Promise<void> {
  gateway = await ScriptedGateway.open(options.codec);
  page = await browser.newPage();
  await page.goto(site.origin);
  await page.evaluate(
    async ({ url, token, given }) => {
      const sdk = (await import(`${location.origin}/client.js`)) as { Client: typeof Client };
      const scene: Scene = { errors: [], tokens: 0 } as unknown as Scene;
      scene.client = new sdk.Client(url, { token: () => `${token}${scene.tokens++}`, ...given });
      scene.client.on('error', (error) => scene.errors.push((error as { code?: string }).code));
      Object.assign(globalThis, { scene });
      scene.client.connect().catch(() => {});
    },
    { url: gateway.url, token: TOKEN, given: options },
  );
}

async function connected(options?: Partial<ClientOptions>): Promise<Peer> {
  await open(options);
  const peer = await gateway.accept();
  await peer.welcome();
  return peer;
}

/** Runs in the page. */
function within<Result>(run: (scene: Scene) => Result): Promise<Awaited<Result>> {
  return page.evaluate(`(${run.toString()})(scene)`);
}

const codeOfQuestion = (): Promise<unknown> =>
  within((scene) =>
    scene.client.isOnline('bob').catch((error: unknown) => (error as { code?: string }).code),
  );

describe('a page whose late.js cannot be had', () => {
  test('gets unavailable for a call, stays connected, and its next call tries again', async () => {
    site.gone.add('late.js');
    const peer = await connected({ acceptTimeoutMs: 1_000 });
    expect(await codeOfQuestion()).toBe('unavailable');
    expect(await within((scene) => scene.client.state)).toBe('connected');
    site.gone.clear();
    const answer = codeOfQuestion();
    peer.ok((await peer.next('online')).ref, true);
    expect(await answer).toBe(true);
    expect(gateway.waiting).toBe(0);
  });

  test('refuses a request with unavailable, and answers the next one when it is there', async () => {
    site.gone.add('late.js');
    const peer = await connected();
    await within((scene) => void scene.client.onRequest('add', (data) => [data]));
    peer.requested('first', 'add', 1);
    expect(await peer.next('reject')).toMatchObject({ handle: 'first', code: 'unavailable' });
    expect(await within((scene) => scene.errors)).toEqual(['unavailable']);
    site.gone.clear();
    peer.requested('second', 'add', 2);
    const { handle, payload } = await peer.next('reply');
    expect([handle, textOf(payload)]).toEqual(['second', [2]]);
  });

  test('renews its token before the old one expires', async () => {
    site.gone.add('late.js');
    const peer = await connected({ acceptTimeoutMs: 1_000 });
    peer.send({ type: 'expiring', inMs: 30_000 });
    await until(() => site.asked.filter((name) => name === 'late.js').length >= 2);
    await page.waitForFunction('scene.errors.length > 0');
    expect(await within((scene) => scene.errors)).toEqual(['unavailable']);
    site.gone.clear();
    const { ref, token } = await peer.next('token');
    peer.ok(ref, { expiresInMs: 3_600_000 });
    expect(token).toBe(`${TOKEN}2`);
    expect(await within((scene) => scene.client.state)).toBe('connected');
  });
});

test('a page whose dialogues.js cannot be had is told unavailable, and takes streams when it is there', async () => {
  site.gone.add('dialogues.js');
  const peer = await connected();
  const opened = await within((scene) =>
    scene.client.openStream('bob', 'file').catch((error: unknown) => (error as { code?: string }).code),
  );
  expect(opened).toBe('unavailable');
  await within((scene) => void scene.client.onStream('file', () => 'done'));
  await page.waitForFunction('scene.errors.length > 0');
  expect(await within((scene) => scene.errors)).toEqual(['unavailable']);
  site.gone.clear();
  await within((scene) => void scene.client.onStream('file', () => 'done'));
  const stream = 'StReAmStReAmStReAmStRe' as StreamId;
  const session = 'AbCdEfGhIjKlMnOpQrStUv' as SessionId;
  const payload = { encoding: 0, data: new Uint8Array() };
  peer.send({ type: 'offer', stream, from: BOB, session, channel: null, name: 'file' as EventName, payload });
  expect(await peer.next('attachStream')).toMatchObject({ stream, to: `bob#${session}`, opened: false });
  peer.send({ type: 'credited', stream, upTo: 0, limit: 65_536, ask: 0 });
  expect(await peer.next('chunk')).toMatchObject({ stream, part: 2 });
});

test('a page whose standing-calls.js cannot be had takes ordinary calls, and leaves one with the next connection', async () => {
  site.gone.add('standing-calls.js');
  const peer = await connected({ backoff: { minMs: 1, maxMs: 50 } });
  await within((scene) => scene.client.onPeer(() => null, {}, { standing: true }).then(() => null));
  await until(() => site.asked.includes('standing-calls.js'));
  expect(await within((scene) => [scene.client.state, scene.errors.length])).toEqual(['connected', 0]);
  site.gone.clear();
  peer.cut();
  const next = await gateway.accept();
  await next.welcome();
  expect(await next.next('standingOffer')).toMatchObject({ event: '~rtc' });
});

test('a page at a gateway that knows no standing offers takes and makes ordinary calls', async () => {
  const peer = await connected();
  await within((scene) => scene.client.onPeer(() => null, {}, { standing: true }).then(() => null));
  const { ref } = await peer.next('standingOffer');
  peer.refuse(ref, 'unknown_type');
  const sdp = await page.evaluate(async () => {
    const connection = new RTCPeerConnection();
    connection.createDataChannel('a channel');
    const { sdp: offered } = await connection.createOffer();
    connection.close();
    return offered;
  });
  // Such a gateway passes on what who calls says of crossing, and gives it nothing.
  peer.message('~rtc', { type: 'offer', round: 1, sdp, cross: true, route: ['bob-1', null, 1, 0] });
  const answer = await peer.next('send');
  expect(decodePayload(answer.payload, { inflate })).toMatchObject({
    type: 'answer',
    round: 1,
    route: [expect.any(String), 'bob-1', 1, 1],
  });
  expect(await within((scene) => [scene.client.state, scene.errors])).toEqual(['connected', []]);
});

test('a page whose json-codec.js cannot be had tries again until it is there', async () => {
  site.gone.add('json-codec.js');
  await open({ codec: 'json', backoff: { minMs: 1, maxMs: 50 } });
  await until(() => site.asked.filter((name) => name === 'json-codec.js').length >= 2);
  site.gone.clear();
  await (await gateway.accept()).welcome();
  await page.waitForFunction("scene.client.state === 'connected'");
  expect(await within((scene) => scene.errors)).toContain('unavailable');
});

test('a page whose compression.js cannot be had sends as it is, and compresses when it is there', async () => {
  site.gone.add('compression.js');
  const peer = await connected();
  const send = (): Promise<void> => within((scene) => void scene.client.send('bob', 'n', 'x'.repeat(5_000)));
  await send();
  const first = await peer.next('send');
  expect(first.payload.encoding & 0x10).toBe(0);
  peer.ok(first.ref);
  site.gone.clear();
  await send();
  expect((await peer.next('send')).payload.encoding & 0x10).toBe(0x10);
});

test('a page that takes calls has compression.js before the first one comes, or goes on without a word', async () => {
  site.gone.add('compression.js');
  const peer = await connected({ backoff: { minMs: 1, maxMs: 50 } });
  const errors: Error[] = [];
  page.on('pageerror', (error) => errors.push(error));
  await within((scene) => scene.client.onPeer(() => null).then(() => null));
  await until(() => site.asked.includes('compression.js'));
  site.gone.clear();
  peer.cut();
  await (await gateway.accept()).welcome();
  // Another URL, as Chromium never asks again for one that it could not load.
  await until(() => site.asked.filter((name) => name === 'compression.js').length > 1);
  expect(await within((scene) => [scene.client.state, scene.errors])).toEqual(['connected', []]);
  expect(errors).toEqual([]);
});

test.each<[string, Partial<ClientOptions>]>([
  ['compresses nothing', { compressAboveBytes: Infinity }],
  ['has a worker that compresses', { offload: true }],
])('a page that %s does not load compression.js for calls', async (_what, options) => {
  await open(options);
  await within((scene) => scene.client.onPeer(() => null, {}, { standing: true }).then(() => null));
  await (await gateway.accept()).welcome();
  await until(() => site.asked.includes('standing-calls.js'));
  await page.waitForFunction("scene.client.state === 'connected'");
  expect(site.asked).not.toContain('compression.js');
});
