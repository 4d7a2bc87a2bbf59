// Two pages of a real Chromium find each other through the gateway and set up a data channel, wherever they are held.
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { freePort } from '../free-port.js';
import { type RedisServer, startRedis } from '../redis-server.js';
import { type GatewayProcess, type Place, startGateway, tokenOf, until } from '../gateway-process.js';
import { launchChromium } from './chromium.js';

let browser: Browser;
const closers: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(async () => {
  await browser.close();
  for (const close of closers.splice(0).reverse()) await close();
});

async function gatewayWithPages(env: Record<string, string>): Promise<GatewayProcess> {
  const port = await freePort();
  const gateway = await startGateway({
    PORT: String(port),
    ORIGINS: `http://127.0.0.1:${String(port)}`,
    ...env,
  });
  closers.push(() => gateway.stop());
  return gateway;
}

/** A page of the gateway's own origin with a connected SDK client, held by a worker that `fits`. */
async function openPage(
  gateway: GatewayProcess,
  name: string,
  codec: 'msgpack' | 'json',
  fits: (place: Place) => boolean,
): Promise<{ page: Page; place: Place }> {
  for (let attempt = 0; attempt < 30; attempt++) {
    // Workers take connections in turn: where a page opens two, every page would land on the same one.
    if (attempt % 2 === 1) await touch(gateway.port);
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${String(gateway.port)}/healthz`);
    const session = await page.evaluate(CONNECT({ url: gateway.url, token: tokenOf(name), codec }));
    const place = (await gateway.locate(name)).find((candidate) => candidate.session === session);
    if (place !== undefined && fits(place)) return { page, place };
    await page.evaluate('client.close()');
    await page.close();
  }
  throw new Error(`${name} never came to the wanted worker`);
}

/** Opens a connection and closes it. */
async function touch(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.destroy();
}

interface ConnectArguments {
  url: string;
  token: string;
  codec: string;
}
// Runs in the page. As text, because TypeScript would resolve the import here.
const CONNECT = (options: ConnectArguments): string => `(async ({ url, token, codec }) => {
    const { Client } = await import('/client.js');
    const client = (window.client = new Client(url, { token, codec }));
    await client.connect();
    // The one peer connection of this page; the caller offers, candidates trickle, all of it in messages.
    window.peer = (remote) => {
      const connection = new RTCPeerConnection();
      const early = [];
      let order = Promise.resolve();
      connection.onicecandidate = ({ candidate }) => candidate && client.send(remote, 'rtc', { candidate: candidate.toJSON() });
      client.onMessage('rtc', (data) => { order = order.then(async () => {
        if (data.candidate) {
          if (connection.remoteDescription) await connection.addIceCandidate(data.candidate);
          else early.push(data.candidate);
          return;
        }
        await connection.setRemoteDescription(data);
        for (const candidate of early.splice(0)) await connection.addIceCandidate(candidate);
        if (data.type !== 'offer') return;
        await connection.setLocalDescription();
        await client.send(remote, 'rtc', { type: 'answer', sdp: connection.localDescription.sdp });
      }); });
      return connection;
    };
    return client.sessionId;
  })(${JSON.stringify(options)})`;

const ECHO = (remote: string): string => `(() => {
  peer('${remote}').ondatachannel = ({ channel }) => {
    channel.binaryType = 'arraybuffer';
    channel.onmessage = ({ data }) => channel.send(new Uint8Array(data).reverse());
  };
})()`;

const CALL = (remote: string): string => `(async () => {
  const connection = peer('${remote}');
  const channel = connection.createDataChannel('bytes');
  channel.binaryType = 'arraybuffer';
  const answer = new Promise((resolve) => { channel.onmessage = ({ data }) => resolve([...new Uint8Array(data)]); });
  channel.onopen = () => channel.send(new Uint8Array([1, 2, 255]));
  await connection.setLocalDescription();
  await client.send('${remote}', 'rtc', { type: 'offer', sdp: connection.localDescription.sdp });
  return await answer;
})()`;

async function expectDataChannel(caller: Page, callee: Page, names: [string, string]): Promise<void> {
  await callee.evaluate(ECHO(names[0]));
  expect(await caller.evaluate(CALL(names[1]))).toEqual([255, 2, 1]);
}

const CODECS: ['msgpack' | 'json', 'msgpack' | 'json'][] = [
  ['msgpack', 'msgpack'],
  ['json', 'msgpack'],
];

describe.each(CODECS)('%s to %s', (...codecs) => {
  test('pages on different workers exchange bytes over a data channel', async () => {
    const gateway = await gatewayWithPages({});
    const alice = await openPage(gateway, 'alice', codecs[0], () => true);
    const bob = await openPage(gateway, 'bob', codecs[1], ({ worker }) => worker !== alice.place.worker);
    await expectDataChannel(alice.page, bob.page, ['alice', 'bob']);
  });

  test('pages on different nodes over Redis exchange bytes over a data channel', async () => {
    const redis: RedisServer = await startRedis();
    closers.push(() => redis.stop());
    const [here, there] = await Promise.all([
      gatewayWithPages({ REDIS_URL: redis.url }),
      gatewayWithPages({ REDIS_URL: redis.url }),
    ]);
    const alice = await openPage(here, 'alice', codecs[0], () => true);
    const bob = await openPage(there, 'bob', codecs[1], () => true);
    expect(bob.place.worker.split('.')[0]).not.toBe(alice.place.worker.split('.')[0]);
    await expectDataChannel(alice.page, bob.page, ['alice', 'bob']);
  });
});

describe('playground', () => {
  test('two tabs see each other, chat and connect directly, without a line written', async () => {
    const gateway = await startGateway({ JWT_SECRET: undefined });
    closers.push(() => gateway.stop());
    const errors: string[] = [];
    const open = async (): Promise<Page> => {
      const page = await browser.newPage();
      page.on('pageerror', (error) => errors.push(error.message));
      page.on('console', (message) => {
        if (message.type() === 'error' && !message.text().includes('favicon')) errors.push(message.text());
      });
      await page.goto(`http://127.0.0.1:${String(gateway.port)}/`);
      await page.getByText('connected; you are in the room').waitFor();
      return page;
    };
    const [first, second] = [await open(), await open()];
    await first.getByRole('button', { name: 'Connect' }).waitFor();
    await second.getByLabel('Message').fill('hello from the second tab');
    await second.getByRole('button', { name: 'Send' }).click();
    await first.getByText('hello from the second tab').waitFor();
    await first.getByRole('button', { name: 'Connect' }).click();
    await first.getByRole('button', { name: 'Ping peer' }).click();
    await first.getByText(/answers after \d+ ms, directly/).waitFor();
    expect(errors).toEqual([]);
    await until(async () => (await first.locator('#count').textContent()) === '2');
    if (process.env.SCREENSHOTS !== undefined) {
      await first.screenshot({ path: `${process.env.SCREENSHOTS}/playground-wide.png` });
      await second.setViewportSize({ width: 375, height: 800 });
      await second.screenshot({ path: `${process.env.SCREENSHOTS}/playground-narrow.png`, fullPage: true });
    }
  });

  test('stays connected when its token runs out, and when the gateway is started anew with another key', async () => {
    const env = {
      JWT_SECRET: undefined,
      PORT: String(await freePort()),
      TOKEN_MAX_LIFE_S: '60',
      TOKEN_EXPIRY_WARNING_MS: '59000',
    };
    let gateway = await startGateway(env);
    closers.push(() => gateway.stop());
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${String(gateway.port)}/`);
    const tokens = () => page.waitForResponse(/\/playground\/token/);
    await page.getByText('connected; you are in the room').waitFor();
    const shown = await page.locator('#snippet').textContent();
    await tokens();
    await tokens();
    expect(await page.locator('#state').textContent()).toBe('connected');
    expect(await page.locator('#snippet').textContent()).not.toBe(shown);
    await gateway.stop();
    await page.locator('#state:not(:text-is("connected"))').waitFor();
    gateway = await startGateway(env);
    await page.locator('#state:text-is("connected")').waitFor();
    await page.getByLabel('Message').fill('still here');
    await page.getByRole('button', { name: 'Send' }).click();
    await page.getByText('still here').waitFor();
  });

  test('is not served to a page that reached this machine under another name', async () => {
    const gateway = await startGateway({ JWT_SECRET: undefined });
    closers.push(() => gateway.stop());
    const { request } = await import('node:http');
    const status = await new Promise((resolve) => {
      request({ port: gateway.port, path: '/', headers: { Host: 'evil.example' } }, ({ statusCode }) => {
        resolve(statusCode);
      }).end();
    });
    expect(status).toBe(404);
  });
});
