// `offload: true` in real browsers: the page never compresses, all stays in order, and where no worker can be made it works all the same.
import { deflateSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { encodePayload } from '../../src/protocol/payload.js';
import { TOKEN } from '../client/fixture.js';
import { type Peer, ScriptedGateway } from '../client/scripted-gateway.js';
import { startGateway, tokenOf } from '../gateway-process.js';
import { Site } from './site.js';
import { type BrowserPage, BROWSERS, type TestBrowser } from './test-browser.js';

const DEFLATED = 0x10;

let site: Site;

beforeAll(async () => {
  site = await Site.open({ headersOf: () => ({ 'access-control-allow-origin': '*' }) });
}, 60_000);

afterAll(() => site.close());

describe.each(Object.keys(BROWSERS))('in %s', (name) => {
  let browser: TestBrowser;
  let page: BrowserPage;
  let gateway: ScriptedGateway;

  beforeAll(async () => {
    browser = await (BROWSERS[name] as () => Promise<TestBrowser>)();
  }, 60_000);
  afterAll(() => browser.close());
  beforeEach(async () => {
    site.asked.length = 0;
    site.gone.clear();
    gateway = await ScriptedGateway.open();
  });
  afterEach(async () => {
    await page.close();
    await gateway.close();
  });

  /** A connected client, which remembers what it hears. */
  async function connected(sdk = site.origin, options = ''): Promise<Peer> {
    page = await browser.newPage();
    await page.goto(site.origin);
    await page.evaluate(`(async () => {
      const { Client } = await import('${sdk}/client.js');
      window.heard = [];
      window.client = new Client('${gateway.url}', { token: '${TOKEN}', offload: true, transports: ['websocket'], ${options} });
      client.on('error', (error) => heard.push(error.code));
      client.onMessage('*', (data) => heard.push(data));
      client.connect().catch((error) => heard.push(error.code));
    })()`);
    const peer = await gateway.accept();
    await peer.welcome();
    await page.evaluate(`(async () => {
      while (client.state !== 'connected') await new Promise((resolve) => setTimeout(resolve, 5));
    })()`);
    return peer;
  }

  const heard = (count: number): Promise<unknown> =>
    page.evaluate(`(async () => {
      while (heard.length < ${String(count)}) await new Promise((resolve) => setTimeout(resolve, 10));
      return heard.map((data) => (data instanceof Uint8Array ? [...data] : data));
    })()`);

  const sendsCompressed = async (peer: Peer): Promise<void> => {
    await page.evaluate(
      `void client.send('bob', 'n', { rows: Array(2000).fill('row') }).then(() => heard.push('sent'))`,
    );
    const { ref, payload } = await peer.next('send');
    expect([payload.encoding, payload.data.length < 200]).toEqual([DEFLATED | 1, true]);
    peer.ok(ref, { id: 'e:1-x' });
    expect(await heard(1)).toEqual(['sent']);
  };

  const hearsCompressed = async (peer: Peer): Promise<void> => {
    const { encoding, data } = encodePayload({ big: 'x'.repeat(5_000) });
    peer.message('n', null, { encoding: encoding | DEFLATED, data: deflateSync(data) });
    peer.message('n', 'small');
    peer.message('n', new Uint8Array([1, 2]));
    expect(await heard(4)).toEqual(['sent', { big: 'x'.repeat(5_000) }, 'small', [1, 2]]);
  };

  test('payloads are compressed and inflated without that the page loads the code for it', async () => {
    const peer = await connected();
    await sendsCompressed(peer);
    await hearsCompressed(peer);
    expect(site.asked).toContain('offload-socket-worker.js');
    expect(site.asked).not.toContain('compression.js');
  });

  test('large and small payloads keep their order, both ways', async () => {
    const peer = await connected();
    await page.evaluate(`(async () => {
      for (let n = 0; n < 40; n++) client.send('bob', 'n', n % 2 ? n : [n, 'x'.repeat(20_000)]).catch((error) => heard.push(error.code));
    })()`);
    for (let n = 0; n < 40; n++) {
      const { seq, ref, payload } = await peer.next('send');
      expect([seq, (payload.encoding & DEFLATED) !== 0]).toEqual([n + 1, n % 2 === 0]);
      peer.ok(ref, { id: `e:${String(n + 1)}-x` });
    }
    for (let n = 0; n < 40; n++) {
      const { encoding, data } = encodePayload([n, 'x'.repeat(5_000)]);
      if (n % 2 === 1) peer.message('n', n);
      else peer.message('n', null, { encoding: encoding | DEFLATED, data: deflateSync(data) });
    }
    await heard(40);
    expect(await page.evaluate('heard.map((data) => (Array.isArray(data) ? data[0] : data))')).toEqual(
      Array.from({ length: 40 }, (_, n) => n),
    );
  });

  test('what is too big even compressed is refused alone, and what compresses well is not', async () => {
    const peer = await connected();
    await page.evaluate(`(async () => {
      const noise = new Uint8Array(300_000);
      for (let at = 0; at < noise.length; at += 50_000) crypto.getRandomValues(noise.subarray(at, at + 50_000));
      client.send('bob', 'n', noise, { timeoutMs: 5_000 }).catch((error) => heard.push(error.code));
      await new Promise((resolve) => setTimeout(resolve));
      client.send('bob', 'n', 'x'.repeat(300_000)).then(() => heard.push('sent'));
    })()`);
    const { ref, payload } = await peer.next('send');
    expect(payload.data.length).toBeLessThan(2_000);
    peer.ok(ref, { id: 'e:1-x' });
    expect(await heard(2)).toEqual(['too_big', 'sent']);
    expect(await page.evaluate('client.state')).toBe('connected');
  });

  test('without the worker file the page does it all', async () => {
    site.gone.add('offload-socket-worker.js');
    const peer = await connected();
    await sendsCompressed(peer);
    await hearsCompressed(peer);
    expect(site.asked).toContain('compression.js');
  });

  test('an SDK of another origin has its worker too', async () => {
    const peer = await connected(site.elsewhere);
    await sendsCompressed(peer);
    expect(site.asked).toContain('offload-socket-worker.js');
    expect(site.asked).not.toContain('compression.js');
  });

  test('a lost connection is told, and the next one has a worker again', async () => {
    const peer = await connected(site.origin, 'backoff: { minMs: 1, maxMs: 50 }');
    await sendsCompressed(peer);
    peer.close(1012);
    const next = await gateway.accept();
    await next.welcome({ resumed: true });
    next.message('n', 'again', undefined, { id: 'e:5-x' });
    expect(await heard(2)).toEqual(['sent', 'again']);
    expect(site.asked.filter((file) => file === 'offload-socket-worker.js').length).toBeGreaterThan(0);
    expect(site.asked).not.toContain('compression.js');
  });

  test('with a real gateway, which reads the hello in the handshake, messages come and go', async () => {
    const real = await startGateway({ WORKERS: '1', ORIGINS: site.origin });
    try {
      page = await browser.newPage();
      await page.goto(site.origin);
      const seen = await page.evaluate(`(async () => {
        const { Client } = await import('${site.origin}/client.js');
        const client = new Client('${real.url}', { token: '${tokenOf('alice')}', offload: true, transports: ['websocket'] });
        const states = [];
        client.on('state', (state) => states.push(state));
        await client.connect({ signal: AbortSignal.timeout(10_000) });
        const heard = new Promise((resolve) => client.onMessage('n', resolve));
        await client.send('alice', 'n', 'x'.repeat(5_000));
        const { length } = await heard;
        await client.close();
        return [length, states];
      })()`);
      expect(seen).toEqual([5_000, ['connecting', 'connected', 'closed']]);
      expect(site.asked).toContain('offload-socket-worker.js');
      expect(site.asked).not.toContain('compression.js');
    } finally {
      await real.stop();
    }
  }, 60_000);

  test('close() says goodbye', async () => {
    const peer = await connected();
    await page.evaluate('void client.close()');
    await peer.next('bye');
    peer.close(1000);
    expect(await peer.closed).toBe(1000);
    expect(await page.evaluate('client.state')).toBe('closed');
  });
});
