// `offload: true` in real browsers: large payloads are the worker's, all stays as it is and in order, and where no worker can be made it works all the same.
import { deflateSync, inflateSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Payload } from '../../src/protocol/frame.js';
import { decodePayload, encodePayload } from '../../src/protocol/payload.js';
import { TOKEN } from '../client/fixture.js';
import { CARRIED, ENCODED_HERE, filled, REFUSED } from '../client/offload/values.js';
import { type Peer, ScriptedGateway } from '../client/scripted-gateway.js';
import { startGateway, tokenOf } from '../gateway-process.js';
import { Site } from './site.js';
import { type BrowserPage, BROWSERS, type TestBrowser } from './test-browser.js';

const DEFLATED = 0x10;

/** A value with its types, as plain data; in pages too. */
function described(value: unknown): unknown {
  const tag = Object.prototype.toString.call(value);
  if (typeof value === 'string') return value;
  if (Object.is(value, -0)) return '-0';
  if (typeof value !== 'object' || value === null) return `${tag} ${String(value)}`;
  if (value instanceof Date) return [tag, value.getTime()];
  if (value instanceof Uint8Array) return [tag, value.byteLength === value.buffer.byteLength, ...value];
  if (value instanceof Map) return [tag, described([...value])];
  if (Array.isArray(value)) return Array.from(value, described);
  return [tag, Object.getPrototypeOf(value) === Object.prototype, described(Object.entries(value))];
}

/** Beside each page's script: what goes to workers and comes from them, by kind. */
const SPY = `
  window.tasks = [];
  window.parcels = [];
  window.Worker = class extends Worker {
    constructor(...given) {
      super(...given);
      this.addEventListener('message', ({ data }) => { if (data[2] && data[0] === 'message') parcels.push(data[2][0] === null ? 'clone' : 'text'); });
    }
    postMessage(task, transfer) {
      super.postMessage(task, transfer);
      tasks.push(task[0]);
    }
  };`;

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
      ${SPY}
      window.sdk = { ...(await import('${sdk}/client.js')), ...(await import('${sdk}/serializers.js')) };
      const { Client } = sdk;
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

  /** The payload of the next message. */
  async function inflated(peer: Peer): Promise<Payload> {
    const { payload } = await peer.next('send');
    const { encoding, data } = payload;
    return (encoding & DEFLATED) === 0 ? payload : { encoding: encoding & 0x0f, data: inflateSync(data) };
  }

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

  /** How many payloads the page has handed over to be encoded. */
  const encoded = async (): Promise<number> =>
    Number(await page.evaluate(`tasks.filter((kind) => kind === 'encode').length`));

  test('data of every kind are sent as the same bytes, by the worker wherever they are the same there', async () => {
    const peer = await connected(site.origin, 'compressAboveBytes: Infinity');
    let away = 0;
    for (const [kind, source] of Object.entries(CARRIED)) {
      await page.evaluate(`void client.send('bob', 'n', ${filled(source)})`);
      const { ref, seq, payload } = await peer.next('send');
      const expected = encodePayload((0, eval)(filled(source)));
      expect([kind, payload.encoding, Buffer.from(payload.data).equals(expected.data)]).toEqual([
        kind,
        1,
        true,
      ]);
      peer.ok(ref, { id: `e:${String(seq)}-x` });
      if (!ENCODED_HERE.includes(kind)) away++;
      expect([kind, await encoded()]).toEqual([kind, away]);
    }
  });

  test('data of every kind are heard as the same data, read by the worker', async () => {
    const peer = await connected();
    const kinds = Object.entries(CARRIED);
    for (const [, source] of kinds) peer.message('n', (0, eval)(filled(source)));
    await heard(kinds.length);
    const seen = await page.evaluate(`(() => {
      const described = ${described.toString()};
      return [heard.map((data) => JSON.stringify(described(data[600]))), heard.every(({ length }) => length === 601), parcels];
    })()`);
    const [data, isWhole, parcels] = seen as [string[], boolean, string[]];
    expect(isWhole).toBe(true);
    for (const [n, [kind, source]] of kinds.entries()) {
      const [value] = decodePayload(encodePayload([(0, eval)(`(${source})`)])) as [unknown];
      expect([kind, data[n]]).toEqual([kind, JSON.stringify(described(value))]);
    }
    expect([parcels.length, new Set(parcels)]).toEqual([kinds.length, new Set(['text', 'clone'])]);
  });

  test('what no payload can carry is refused at its call, and nothing else', async () => {
    const peer = await connected();
    for (const source of Object.values(REFUSED))
      await page.evaluate(
        `client.send('bob', 'n', ${filled(source)}).catch((error) => heard.push(error.code))`,
      );
    expect(await heard(1)).toEqual(Object.values(REFUSED).map(() => 'bad_payload'));
    await page.evaluate(`void client.send('bob', 'n', ${filled('"last"')})`);
    expect(await peer.next('send')).toMatchObject({ seq: 1 });
    expect(await encoded()).toBe(1);
  });

  test('data are sent as they were when they were given', async () => {
    const peer = await connected();
    await page.evaluate(`(() => {
      const data = ${filled('new Date(5)')};
      void client.send('bob', 'n', data);
      data[600].setTime(7);
    })()`);
    expect(decodePayload({ ...(await inflated(peer)) })).toEqual([
      ...Array<number>(600).fill(1),
      new Date(5),
    ]);
  });

  test('payloads of extensions stay the page’s, and others are the worker’s all the same', async () => {
    const vectors = `new sdk.Serializers().extend(1, (window.Vector = class { constructor(x) { this.x = x; } }), {
      encode: ({ x }, pack) => pack(x), decode: (bytes, unpack) => new Vector(unpack(bytes)) })`;
    const peer = await connected(site.origin, `serializers: ${vectors}`);
    await page.evaluate(`void client.send('bob', 'n', ${filled('new Vector(5)')})`);
    const payload = await inflated(peer);
    expect(await encoded()).toBe(0);
    peer.message('n', null, payload);
    peer.message('n', [...Array<number>(600).fill(1), 6]);
    await heard(2);
    expect(
      await page.evaluate('[heard[0][600] instanceof Vector, heard[0][600].x, heard[1][600], parcels]'),
    ).toEqual([true, 5, 6, ['text']]);
  });

  test('a payload that nobody can read is told with its code', async () => {
    const peer = await connected();
    const bytes = encodePayload(Array(600).fill('x')).data;
    peer.message('n', null, { encoding: 1, data: bytes.subarray(0, bytes.length - 1) });
    peer.message('n', null, { encoding: 1 | DEFLATED, data: bytes });
    peer.message('n', null, { encoding: 9, data: bytes });
    peer.message('n', 'last');
    expect(await heard(4)).toEqual(['bad_payload', 'bad_payload', 'unknown_encoding', 'last']);
  });

  test('what was sent right before close() is written before goodbye', async () => {
    const peer = await connected();
    await page.evaluate(`(() => {
      client.send('bob', 'n', ${filled('new Date(5)')}).catch(({ code }) => heard.push(code));
      void client.close();
    })()`);
    expect(decodePayload(await inflated(peer))).toEqual([...Array<number>(600).fill(1), new Date(5)]);
    await peer.next('bye');
    peer.close(1000);
    expect(await heard(1)).toEqual(['closed']);
  });

  test('many small messages behind a large one keep their order, and are not refused for it', async () => {
    const peer = await connected();
    await page.evaluate(`(() => {
      const sent = (data) => client.send('bob', 'n', data, { volatile: true }).catch(({ code }) => heard.push(code));
      void sent(Array(20_000).fill(0));
      for (let n = 1; n <= 1500; n++) void sent(n);
    })()`);
    expect(decodePayload(await inflated(peer))).toHaveLength(20_000);
    for (let n = 1; n <= 1500; n++) expect(decodePayload((await peer.next('send')).payload)).toBe(n);
    expect(await heard(0)).toEqual([]);
  });

  test('one large message to several is written to each of them', async () => {
    const peer = await connected();
    await page.evaluate(
      `void client.send(['bob', 'carol', 'dave'], 'n', Array(2000).fill(1)).then(() => heard.push('sent'))`,
    );
    for (const to of ['bob', 'carol', 'dave']) {
      const frame = await peer.next('send');
      expect([frame.to, frame.payload.data.length < 100, await encoded()]).toEqual([to, true, 1]);
      peer.ok(frame.ref, { id: 'e:1-x' });
    }
    expect(await heard(1)).toEqual(['sent']);
  });

  test('a large message that is not accepted when the connection is lost is written again, the same', async () => {
    const peer = await connected(site.origin, 'backoff: { minMs: 1, maxMs: 50 }');
    await page.evaluate(
      `void client.send('bob', 'n', ${filled('new Date(5)')}).then(() => heard.push('sent'))`,
    );
    const first = await peer.next('send');
    peer.cut();
    const next = await gateway.accept();
    await next.welcome({ resumed: true });
    const again = await next.next('send');
    expect([again.seq, again.payload]).toEqual([first.seq, first.payload]);
    next.ok(again.ref, { id: 'e:1-x' });
    expect(await heard(1)).toEqual(['sent']);
  });

  test('what is being encoded when the connection is lost is written to the next one', async () => {
    const peer = await connected(site.origin, 'backoff: { minMs: 1, maxMs: 50 }');
    peer.cut();
    await page.evaluate(`(() => {
      for (let n = 0; n < 20; n++) client.send('bob', 'n', [n, ...Array(20_000).fill(n)]).then(() => heard.push(n), ({ code }) => heard.push(code));
    })()`);
    const next = await gateway.accept();
    await next.welcome({ resumed: true });
    for (let seq = 1; seq <= 20; seq++) {
      const frame = await next.next('send');
      expect(frame.seq).toBe(seq);
      next.ok(frame.ref, { id: `e:${String(seq)}-x` });
    }
    expect(await heard(20)).toEqual(Array.from({ length: 20 }, (_, n) => n));
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
