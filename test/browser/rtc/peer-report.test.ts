// How calls go, as the gateway's metrics have it: told by real browsers, and nothing taken from a client that makes it up.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { type GatewayProcess, startGateway, tokenOf, until } from '../../gateway-process.js';
import { createJsonCodec } from '../../../src/protocol/json-codec.js';
import { freePort } from '../../free-port.js';
import { BROWSERS, type BrowserPage, type TestBrowser } from '../test-browser.js';

let gateway: GatewayProcess;
let browser: TestBrowser;
let origin: string;

beforeAll(async () => {
  const port = await freePort();
  origin = `http://127.0.0.1:${String(port)}`;
  gateway = await startGateway({ PORT: String(port), ORIGINS: origin });
  const launch = BROWSERS.Chromium;
  if (launch === undefined) throw new Error('no Chromium');
  browser = await launch();
}, 60_000);
afterAll(async () => {
  await browser.close();
  await gateway.stop();
});

async function open(client: string): Promise<BrowserPage> {
  const page = await browser.newPage();
  await page.goto(`${origin}/healthz`);
  await page.evaluate(`(async () => {
    const { Client } = await import('/client.js');
    window.client = new Client('${gateway.url}', { token: '${tokenOf(client)}' });
    await client.connect();
  })()`);
  return page;
}

const counted = (name: string, labels?: Record<string, string>): Promise<number> =>
  gateway.metric(name, labels);

async function call(options: string): Promise<void> {
  const [alice, bob] = await Promise.all([open('alice'), open('bob')]);
  try {
    await bob.evaluate(`client.onPeer((peer) => { window.peer = peer; }, {}, ${options})`);
    await alice.evaluate(`(async () => {
      window.peer = await client.peer('bob', {}, ${options});
      await peer.createDataChannel('talk');
      // Longer than a report waits for its first round trip.
      await new Promise((resolve) => setTimeout(resolve, 1500));
      peer.close();
      await new Promise((resolve) => setTimeout(resolve, 500));
    })()`);
    await bob.evaluate(
      `(async () => { while (peer.state !== 'closed') await new Promise((resolve) => setTimeout(resolve, 20)); })()`,
    );
  } finally {
    await alice.close();
    await bob.close();
  }
}

test('both ends of a call tell its phases, its candidates, its round trip and its end, unless they shall not', async () => {
  await call('{ reports: false }');
  await call('{}');
  await until(async () => (await counted('peers_ended_total')) === 2);
  expect(await counted('peers_connected_total', { protocol: 'udp' })).toBe(2);
  expect(await counted('peers_connected_total', { local: 'unknown' })).toBe(0);
  expect(await counted('peers_connected_total', { remote: 'unknown' })).toBe(0);
  for (const phase of ['signaling', 'ice', 'dtls', 'total'])
    expect([phase, await counted('peer_setup_seconds_count', { phase })]).toEqual([phase, 2]);
  const seconds = async (phase: string): Promise<number> => counted('peer_setup_seconds_sum', { phase });
  const phases = (await seconds('signaling')) + (await seconds('ice')) + (await seconds('dtls'));
  // Each is rounded to milliseconds.
  expect(Math.abs(phases - (await seconds('total')))).toBeLessThanOrEqual(0.01);
  expect(await counted('peers_ended_total', { reason: 'closed', connected: 'yes' })).toBe(1);
  expect(await counted('peers_ended_total', { reason: 'remote', connected: 'yes' })).toBe(1);
  expect(await counted('peer_rtt_seconds_count')).toBeGreaterThanOrEqual(2);
}, 60_000);

test('a peer that nobody ever answered tells that it was not connected', async () => {
  const alice = await open('alice');
  try {
    await alice.evaluate(`client.peer('nobody-there').then((peer) => peer.close())`);
    await until(async () => (await counted('peers_ended_total', { connected: 'no' })) === 1);
  } finally {
    await alice.close();
  }
}, 30_000);

test('a report that is none is refused with bad_parameter, and counted nowhere', async () => {
  const before = await counted('peers_connected_total');
  const socket = new WebSocket(`${gateway.url}/v1/connect`, [
    'signalbox.v1.json',
    `bearer.${tokenOf('mallory')}`,
  ]);
  const codec = createJsonCodec();
  const refusals: string[] = [];
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('open', () => socket.send('[0,1,null,null,null]'));
    socket.on('message', (data: Buffer) => {
      const frame = codec.decodeGateway(data.toString());
      if (frame.type === 'welcome') resolve();
      if (frame.type === 'error') refusals.push(frame.code);
    });
  });
  const forged = [
    'connected',
    { moment: 'connected', local: 'x'.repeat(1000) },
    { moment: 'connected', totalMs: -1 },
    { moment: 'connected', totalMs: 1e12 },
    { moment: 'connected', rttMs: 1.5 },
    { moment: 'connected', reason: 'closed' },
    { moment: 'ended' },
    { moment: 'ended', reason: 'because' },
    { moment: 'ended', reason: 'closed', lossPermille: 1001 },
    { moment: 'never' },
  ];
  for (const report of forged) socket.send(JSON.stringify([97, report]));
  await until(() => refusals.length === forged.length);
  expect(new Set(refusals)).toEqual(new Set(['bad_parameter']));
  expect(await counted('peers_connected_total')).toBe(before);
  socket.send(
    JSON.stringify([97, { moment: 'connected', local: 'relay', later: 'unknown names are left out' }]),
  );
  await until(async () => (await counted('peers_connected_total', { local: 'relay' })) === 1);
  socket.close();
}, 30_000);
