// examples/call.mjs in real browsers: what is said when something is missing or away, and how a call ends.
import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterEach, expect, test } from '@jest/globals';
import jwt from 'jsonwebtoken';
import {
  button,
  chromiumWithDevices,
  closers,
  endCalls,
  faultsOf,
  join,
  open,
  PHONE,
  picture,
  plays,
  sounds,
  startCall,
  tile,
  told,
  WATCHING,
} from './call-page.js';
import { run } from './example-process.js';
import { freePort, isFree } from './free-port.js';
import { SECRET, startGateway, until } from './gateway-process.js';
import { startTurnServer } from './turn-server.js';

/** As where a firewall lets nothing else through. */
const ONLY_RELAYED = { configuration: { iceTransportPolicy: 'relay' } } as const;

afterEach(endCalls);

test('the page tells what the gateway does: away, back, renewing the token, giving the place to another tab', async () => {
  const pagePort = String(await freePort());
  const settings = {
    PORT: String(await freePort()),
    ORIGINS: `http://127.0.0.1:${pagePort}`,
    // Tokens of an hour are renewed after so many seconds of it.
    TOKEN_EXPIRY_WARNING_MS: '3590000',
  };
  let gateway = await startGateway(settings);
  closers.push(() => gateway.stop());
  const chromium = await chromiumWithDevices();
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
}, 240_000);

test('calls that find no way of their own go by the TURN server that the example was given', async () => {
  const secret = 'a-secret-of-coturn-for-tests';
  const turn = await startTurnServer([secret]);
  closers.push(() => turn.stop());
  const TURN_URLS = `turn:127.0.0.1:${String(turn.port)}`;
  const url = await startCall({ TURN_URLS, TURN_SECRET: secret, STUN_URLS: 'stun:127.0.0.1:9' });
  const chromium = await chromiumWithDevices();
  const [ada, grace] = await Promise.all([
    open(chromium, url, {}, ONLY_RELAYED),
    open(chromium, url, {}, WATCHING),
  ]);
  await join(ada, 'Ada');
  await join(grace, 'Grace');
  await plays(grace, 'Ada');
  const [server] = await ada.evaluate<RTCIceServer[]>('connections[0].getConfiguration().iceServers');
  expect(server).toMatchObject({ urls: ['stun:127.0.0.1:9'] });
  expect(turn.output()).toMatch(/user <\d+:guest-[0-9a-f]{12}>/);
  expect(await faultsOf([ada, grace])).toEqual([]);
}, 120_000);

test('who cannot be reached is named, with what would help', async () => {
  const url = await startCall();
  const chromium = await chromiumWithDevices();
  const [ada, grace] = await Promise.all([
    open(chromium, url, {}, ONLY_RELAYED),
    open(chromium, url, {}, WATCHING),
  ]);
  await join(ada, 'Ada');
  await told(ada, 'You are alone here.');
  await join(grace, 'Grace');
  await told(ada, 'No way to Grace was found');
  await told(ada, 'A TURN server would help');
  await told(grace, 'No way to Ada was found');
  await tile(grace, 'Ada').getByText('no way found').waitFor();
  await picture(grace, 'call-no-way-wide');
  await grace.setViewportSize(PHONE);
  await picture(grace, 'call-no-way-narrow');
  await button(grace, 'Leave').click();
  await told(ada, 'You are alone here.');
  expect(await faultsOf([ada, grace])).toEqual([]);
}, 120_000);

test('who only watches is asked for a tap where the browser plays nothing without one', async () => {
  const url = await startCall();
  const chromium = await chromiumWithDevices('--autoplay-policy=user-gesture-required');
  const ada = await open(chromium, url);
  await join(ada, 'Ada');
  const grace = await open(chromium, 'about:blank', {}, WATCHING);
  // A click on Join would do for some seconds; so does whatever else is asked of the page from here.
  await grace.addInitScript(`
    addEventListener('load', () => {
      document.getElementById('name').value = 'Grace';
      document.getElementById('door').requestSubmit();
    });
  `);
  await grace.goto(url);
  await tile(ada, 'Grace').and(ada.locator('[data-state=connected]')).waitFor();
  await until(() =>
    ada.evaluate(`connections.some((connection) => {
      const sent = connection.getTransceivers().filter(({ currentDirection }) => currentDirection?.includes('send'));
      return sent.length === 2;
    })`),
  );
  await told(grace, 'Tap to see and hear the others.');
  await tile(grace, 'Grace').click();
  await plays(grace, 'Ada');
  await sounds(grace, 'Ada');
  await until(async () => (await grace.locator('#call .status').innerText()) === '');
  expect(await faultsOf([ada, grace])).toEqual([]);
}, 120_000);

test('what passes is said beside what stays, and goes', async () => {
  const url = await startCall();
  const chromium = await chromiumWithDevices();
  const ada = await open(chromium, 'about:blank', {}, WATCHING);
  await ada.clock.install();
  await ada.goto(url);
  await ada.getByText('This page may not use your camera and microphone.').waitFor();
  await join(ada, 'Ada');
  await told(ada, 'You are alone here.');
  await button(ada, 'No camera').click();
  await told(ada, /This page may not use your camera and microphone\..*You are alone here\./);
  await ada.clock.fastForward(8_000);
  await told(ada, /^You are alone here\./);
  expect(await faultsOf([ada])).toEqual([]);
}, 120_000);

test('another page that says nonsense of itself does no harm', async () => {
  const url = await startCall();
  const chromium = await chromiumWithDevices();
  const [ada, grace] = await Promise.all([open(chromium, url, {}, WATCHING), open(chromium, url)]);
  const warnings: string[] = [];
  ada.on('console', (message) => warnings.push(message.text()));
  await join(ada, 'Ada');
  await tile(ada, 'Ada (you)').waitFor();
  await grace.evaluate(`(async () => {
    const { Client } = await import('signalbox/client');
    const token = await (await fetch('token', { method: 'POST' })).text();
    const client = new Client(document.documentElement.dataset.gateway, { token });
    await client.connect();
    const room = client.room('call');
    const mesh = await room.mesh();
    // Until there is a tile for it.
    while (mesh.members[0]?.peer.state !== 'connected') await new Promise((resolve) => setTimeout(resolve, 20));
    for (const said of [null, 5, [], { name: { toString: 1, valueOf: 1 }, muted: 'yes' }])
      await room.publish('about', said, { self: false });
    await room.publish('about', { name: 'At last' });
  })()`);
  await tile(ada, 'At last').waitFor();
  await ada.locator('figure:not(.muted)', { hasText: 'At last' }).waitFor();
  expect(warnings).toEqual([]);
  expect(await faultsOf([ada, grace])).toEqual([]);
}, 120_000);

test('where the page cannot run it says why', async () => {
  const url = await startCall();
  const chromium = await chromiumWithDevices();
  const page = await open(chromium);
  await page.route('**/client.js', (route) => route.abort());
  await page.goto(url);
  await told(page, 'The gateway does not answer. Load this page again.');
  await page.unrouteAll();
  // As a browser sees it that knows no import maps.
  await page.route(url, async (route) => {
    const response = await route.fetch();
    const body = (await response.text()).replace('type="importmap"', 'type="unknown"');
    await route.fulfill({ response, body });
  });
  await page.addInitScript(`HTMLScriptElement.supports = (type) => type === 'module';`);
  await page.goto(url);
  await told(page, 'Your browser is too old for this page.');
  expect(await page.getByRole('button', { name: 'Join' }).isDisabled()).toBe(true);
}, 60_000);

test('with a certificate it is there for others, at an address and a secret of its own', async () => {
  const folder = mkdtempSync(`${tmpdir()}/signalbox-call-`);
  closers.push(() => rm(folder, { recursive: true }));
  const [TLS_KEY_FILE, TLS_CERT_FILE] = [`${folder}/key.pem`, `${folder}/cert.pem`];
  const kind = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const files = ['-keyout', TLS_KEY_FILE, '-out', TLS_CERT_FILE];
  execFileSync('openssl', [...kind, '-days', '2', '-subj', '/CN=call.example', ...files], {
    stdio: 'ignore',
  });
  // Another address of the loopback interface, whose port of https is free. Only some may listen there.
  const HOST = '127.0.0.2';
  const isAllowed = await isFree(443, HOST);
  const url = await startCall({ HOST, TLS_KEY_FILE, TLS_CERT_FILE, ...(isAllowed && { PAGE_PORT: '443' }) });
  if (isAllowed) expect(url).toBe('https://127.0.0.2/');
  const chromium = await chromiumWithDevices('--ignore-certificate-errors');
  const [ada, grace] = await Promise.all([
    open(chromium, url, { ignoreHTTPSErrors: true }),
    open(chromium, url, { ...WATCHING, ignoreHTTPSErrors: true }),
  ]);
  expect(await ada.evaluate('isSecureContext')).toBe(true);
  await join(ada, 'Ada');
  await join(grace, 'Grace');
  await plays(grace, 'Ada');
  // Nobody makes tokens for it with the secret that all examples have.
  const token = jwt.sign({ perm: '*' }, 'q7Zt2mXo9LrB4wNc8VhK1sPdY6fGj3Ea5uTi0RxQ', {
    subject: 'mallory',
    expiresIn: '1h',
  });
  const refusal = `(async () => {
    const { Client } = await import('signalbox/client');
    const client = new Client(document.documentElement.dataset.gateway, { token: '${token}' });
    return await client.connect().then(() => 'let in', ({ code }) => code);
  })()`;
  expect(await ada.evaluate(refusal)).toBe('invalid_token');
  expect(await faultsOf([ada, grace])).toEqual([]);
}, 120_000);

test.each(['0.0.0.0', '::'])(
  'HOST=%s, which no browser can open, is refused with what to give',
  async (HOST) => {
    const example = run(process.execPath, ['examples/call.mjs'], { HOST });
    expect(await example.ended).toBe(1);
    expect(example.output()).toContain('give the one that phones know it by');
  },
);

/** Whose token that is. */
function subjectOf(token: string): unknown {
  const claims = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
  return (JSON.parse(claims) as { sub?: unknown }).sub;
}
