// Rooms of peers in real browsers: who comes, who goes, who comes back, and what each of them sees of the others.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { FaultProxy } from '../../faults/fault-proxy.js';
import { type GatewayProcess, startGateway, tokenOf, until } from '../../gateway-process.js';
import { freePort } from '../../free-port.js';
import { BROWSERS, type BrowserPage, type TestBrowser } from '../test-browser.js';

let gateway: GatewayProcess;
let proxy: FaultProxy;
let origin: string;
const browsers = new Map<string, Promise<TestBrowser>>();

beforeAll(async () => {
  const port = await freePort();
  origin = `http://127.0.0.1:${String(port)}`;
  gateway = await startGateway({ PORT: String(port), ORIGINS: origin, RESUME_WINDOW_MS: '3000' });
  proxy = await FaultProxy.start([{ host: '127.0.0.1', port }]);
}, 60_000);
afterAll(async () => {
  for (const browser of browsers.values()) await (await browser).close();
  await proxy.close();
  await gateway.stop();
});

/** Runs in the pages: media without a camera, and what a mesh told. */
const PAGE = `
  window.until = async (probe, ms = 20000) => {
    for (const end = performance.now() + ms; ;) {
      const value = await probe();
      if (value) return value;
      if (performance.now() > end) throw new Error('never: ' + probe + ' but ' + JSON.stringify(window.told));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  window.video = () => {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 32;
    const context = canvas.getContext('2d');
    let frame = 0;
    setInterval(() => { context.fillStyle = 'hsl(' + (frame += 40) + ' 90% 50%)'; context.fillRect(0, 0, 32, 32); }, 100);
    return canvas.captureStream(10);
  };
  window.connect = async (url, token) => {
    const { Client } = await import('/client.js');
    window.client = new Client(url, { token, backoff: { minMs: 100, maxMs: 500 } });
    await client.connect();
  };
  window.enter = async (name, options = {}) => {
    window.told = [];
    window.pictures = new Map();
    window.mesh = await client.room(name).mesh(options);
    const tell = (event) => (member, reason) => told.push(event + ' ' + (member.id ?? member) + (reason ? ' ' + (reason.code ?? reason) : ''));
    mesh.on('join', tell('join'));
    mesh.on('leave', (member, reason) => { pictures.delete(member.id); tell('leave')(member, reason); });
    mesh.on('limit', tell('limit'));
    mesh.on('error', (error, id) => error.kind === 'ice' || told.push('error ' + id + ' ' + (error.text ?? error.message)));
    mesh.on('close', (reason) => told.push('close ' + (reason.code ?? reason)));
    mesh.on('streamEnded', (stream, { id }) => { pictures.delete(id); told.push('streamEnded ' + id); });
    mesh.on('stream', (stream, { id }) => {
      const element = document.createElement('video');
      element.muted = true;
      element.srcObject = stream;
      element.play().catch(() => {});
      pictures.set(id, element);
    });
  };
  /** Whose moving picture is seen here. */
  window.seen = () => [...pictures].filter(([, { videoWidth, currentTime }]) => videoWidth > 0 && currentTime > 0).map(([id]) => id).sort();
  window.connected = () => mesh.members.filter(({ peer }) => peer.state === 'connected').map(({ id }) => id).sort();
`;

async function open(client: string, browser = 'Chromium', url = gateway.url): Promise<BrowserPage> {
  let launched = browsers.get(browser);
  if (launched === undefined) {
    const launch = BROWSERS[browser];
    if (launch === undefined) throw new Error(`no browser ${browser}`);
    browsers.set(browser, (launched = launch()));
  }
  const page = await (await launched).newPage();
  await page.goto(`${origin}/healthz`);
  await page.evaluate(`(() => { ${PAGE} })()`);
  await page.evaluate(`connect('${url}', '${tokenOf(client)}')`);
  return page;
}

const sees = (page: BrowserPage, others: string[]): Promise<unknown> =>
  page.evaluate(`until(() => String(seen()) === '${others.join()}')`);
const knows = (page: BrowserPage, others: string[]): Promise<unknown> =>
  page.evaluate(`until(() => String(connected()) === '${others.join()}')`);

let rooms = 0;
const newRoom = (): string => `call-${String(++rooms)}`;
const WITH_VIDEO = '{ streams: [window.own = video()] }';

describe.each(['Chromium', 'Firefox'])('a mesh with a page of %s', (third) => {
  test('everybody sees everybody, one who leaves is gone everywhere, and seen again when back', async () => {
    const room = newRoom();
    const [alice, bob, carol] = await Promise.all([open('alice'), open('bob'), open('carol', third)]);
    try {
      // Two at the same time, and one who comes later.
      await Promise.all([alice, bob].map((page) => page.evaluate(`enter('${room}', ${WITH_VIDEO})`)));
      await Promise.all([sees(alice, ['bob']), sees(bob, ['alice'])]);
      await carol.evaluate(`enter('${room}', ${WITH_VIDEO})`);
      await Promise.all([
        sees(alice, ['bob', 'carol']),
        sees(bob, ['alice', 'carol']),
        sees(carol, ['alice', 'bob']),
      ]);

      await bob.evaluate('mesh.leave()');
      await Promise.all([knows(alice, ['carol']), knows(carol, ['alice'])]);
      expect(await alice.evaluate(`until(() => told.includes('leave bob remote'))`)).toBe(true);
      expect(await bob.evaluate(`[mesh.members.length, client.room('${room}').joined, told.at(-1)]`)).toEqual(
        [0, false, 'close closed'],
      );

      await bob.evaluate(`enter('${room}', ${WITH_VIDEO})`);
      await Promise.all([sees(alice, ['bob', 'carol']), sees(carol, ['alice', 'bob'])]);
      await sees(bob, ['alice', 'carol']);
      expect(await alice.evaluate(`told.filter((line) => /^(error|limit)/.test(line))`)).toEqual([]);
    } finally {
      for (const page of [alice, bob, carol]) await page.close();
    }
  }, 90_000);
});

test('streams that are added, replaced and removed later reach those who are there and those who come', async () => {
  const room = newRoom();
  const [alice, bob, carol] = await Promise.all([open('alice'), open('bob'), open('carol')]);
  try {
    // Without media they connect all the same.
    await alice.evaluate(`enter('${room}')`);
    await bob.evaluate(`enter('${room}')`);
    await Promise.all([knows(alice, ['bob']), knows(bob, ['alice'])]);
    await alice.evaluate(`mesh.addStream(window.own = video())`);
    await sees(bob, ['alice']);
    // A track that takes its place has another size, which tells them apart.
    await alice.evaluate(`(() => {
      const canvas = document.createElement('canvas');
      canvas.width = canvas.height = 96;
      const context = canvas.getContext('2d');
      setInterval(() => { context.fillStyle = 'hsl(' + Math.random() * 360 + ' 90% 50%)'; context.fillRect(0, 0, 96, 96); }, 100);
      mesh.replaceTrack(own.getVideoTracks()[0], canvas.captureStream(10).getVideoTracks()[0]);
    })()`);
    await carol.evaluate(`enter('${room}')`);
    for (const page of [bob, carol])
      await page.evaluate(`until(() => pictures.get('alice')?.videoWidth === 96)`);
    expect(
      await alice.evaluate(
        `(() => { try { mesh.replaceTrack(own.getVideoTracks()[0], video().getVideoTracks()[0]); } catch (error) { return error.code; } })()`,
      ),
    ).toBe('bad_parameter');
    await alice.evaluate('mesh.removeStream(own)');
    for (const page of [bob, carol]) await page.evaluate(`until(() => told.includes('streamEnded alice'))`);
  } finally {
    for (const page of [alice, bob, carol]) await page.close();
  }
}, 90_000);

test('a room with as many members as it may have is refused with limit, and the others stay connected', async () => {
  const room = newRoom();
  const [alice, bob, carol] = await Promise.all([open('alice'), open('bob'), open('carol')]);
  try {
    await alice.evaluate(`enter('${room}', { limitMembers: 2 })`);
    await bob.evaluate(`enter('${room}', { limitMembers: 2 })`);
    await Promise.all([knows(alice, ['bob']), knows(bob, ['alice'])]);
    const enter = (limit: number): string =>
      `enter('${room}', { limitMembers: ${String(limit)} }).then(() => 'entered', ({ code, name }) => code ?? name)`;
    expect(await carol.evaluate(enter(2))).toBe('limit');
    expect(await carol.evaluate(`client.room('${room}').joined`)).toBe(false);
    // One who thinks that there is room is not answered.
    expect(await carol.evaluate(enter(3))).toBe('entered');
    await alice.evaluate(`until(() => told.includes('limit carol'))`);
    await Promise.all([knows(alice, ['bob']), knows(bob, ['alice'])]);
    expect(await carol.evaluate('mesh.members.length')).toBe(0);
    expect(await carol.evaluate(enter(1))).toBe('TypeError');
    expect(await alice.evaluate(enter(2))).toBe('TypeError');
  } finally {
    for (const page of [alice, bob, carol]) await page.close();
  }
}, 60_000);

/** How long she is away, ms: within the time that her session lasts, and beyond it. */
describe.each([
  ['comes back in time', 500],
  ['comes back as a new session', 4_500],
])('a client that is cut off and %s', (_when, awayMs) => {
  test('keeps its peers meanwhile, meets who came, and lets go who went', async () => {
    const room = newRoom();
    const [alice, bob, carol, dave] = await Promise.all([
      open('alice', 'Chromium', `ws://127.0.0.1:${String(proxy.port)}`),
      open('bob'),
      open('carol'),
      open('dave'),
    ]);
    try {
      for (const page of [alice, bob, carol]) await page.evaluate(`enter('${room}', ${WITH_VIDEO})`);
      await sees(alice, ['bob', 'carol']);
      const session = await alice.evaluate('client.sessionId');
      await proxy.door('refuse');
      proxy.reset();
      await alice.evaluate(`until(() => client.state !== 'connected')`);
      // Nobody tells her of these two.
      await bob.evaluate('mesh.leave()');
      await dave.evaluate(`enter('${room}', ${WITH_VIDEO})`);
      await sees(dave, ['carol']);
      await alice.evaluate(`new Promise((resolve) => setTimeout(resolve, ${String(awayMs)}))`);
      expect(await alice.evaluate(`connected().includes('carol')`)).toBe(true);
      await proxy.door('open');
      await sees(alice, ['carol', 'dave']);
      await sees(dave, ['alice', 'carol']);
      await sees(carol, ['alice', 'dave']);
      // On a machine with much to do the first of them may be away for too long as well.
      const isSame = (await alice.evaluate('client.sessionId')) === session;
      if (awayMs > 3_000) expect(isSame).toBe(false);
      expect(await alice.evaluate(`told.filter((line) => /^(join|leave) carol/.test(line))`)).toEqual(
        isSame ? ['join carol'] : ['join carol', 'leave carol remote', 'join carol'],
      );
    } finally {
      for (const page of [alice, bob, carol, dave]) await page.close();
    }
  }, 90_000);
});

test('one of several that take the last place at the same moment gets it', async () => {
  const room = newRoom();
  const [alice, bob, carol] = await Promise.all([open('alice'), open('bob'), open('carol')]);
  try {
    await alice.evaluate(`enter('${room}', { limitMembers: 2 })`);
    const enter = `enter('${room}', { limitMembers: 2 }).then(() => 'entered', ({ code }) => code)`;
    const results = await Promise.all([bob.evaluate(enter), carol.evaluate(enter)]);
    expect([...results].sort()).toEqual(['entered', 'limit']);
    const isBob = results[0] === 'entered';
    await Promise.all([knows(alice, [isBob ? 'bob' : 'carol']), knows(isBob ? bob : carol, ['alice'])]);
    expect(await (isBob ? carol : bob).evaluate(`client.room('${room}').joined`)).toBe(false);
  } finally {
    for (const page of [alice, bob, carol]) await page.close();
  }
}, 60_000);

test('a page that was loaded again takes the place of the one before it, and a stranger is not answered', async () => {
  const room = newRoom();
  const [alice, bob, carol, eve] = await Promise.all([
    open('alice'),
    open('bob'),
    open('carol'),
    open('eve'),
  ]);
  const newBob = await open('bob');
  try {
    await alice.evaluate(`enter('${room}', ${WITH_VIDEO})`);
    await bob.evaluate(`enter('${room}', ${WITH_VIDEO})`);
    await sees(alice, ['bob']);
    // The old page is in the room still when the new one comes.
    await newBob.evaluate(`enter('${room}', ${WITH_VIDEO})`);
    await sees(newBob, ['alice']);
    await sees(alice, ['bob']);
    const told = (await alice.evaluate('told')) as string[];
    expect(told.map((line) => line.replace(/remote|closed/, 'over'))).toEqual([
      'join bob',
      'leave bob over',
      'join bob',
    ]);
    await bob.evaluate(`until(() => told.at(-1) === 'close replaced')`);
    await bob.evaluate(`until(() => !client.room('${room}').joined)`);
    // Who comes later meets the one that has the place.
    await carol.evaluate(`enter('${room}', ${WITH_VIDEO})`);
    await sees(newBob, ['alice', 'carol']);
    await sees(carol, ['alice', 'bob']);
    // And the other way round.
    await bob.evaluate(`enter('${room}', ${WITH_VIDEO})`);
    await newBob.evaluate(`until(() => told.at(-1) === 'close replaced')`);
    await sees(bob, ['alice', 'carol']);

    // Not in the room, under the mesh's name.
    await eve.evaluate(`(async () => {
      // The SDK's own names are refused by client.peer.
      const { GatewaySignaling, RTCSignalingPeer } = await import('/rtc.js');
      const signaling = new GatewaySignaling(client);
      window.peer = new RTCSignalingPeer('eve', 'alice', {}, { signaling, name: '~mesh/${room}' });
      peer.connect({ timeoutMs: 60000 }).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 1500));
    })()`);
    expect(await eve.evaluate('[peer.state, peer.counts.rounds]')).toEqual(['new', 0]);
    expect(await alice.evaluate(`told.filter((line) => line.includes('eve'))`)).toEqual([]);
  } finally {
    for (const page of [alice, bob, carol, eve, newBob]) await page.close();
  }
}, 60_000);

test('a page that comes back as a new session asks who has its place, and gives way to the page that does', async () => {
  const room = newRoom();
  const [alice, bob, newBob] = await Promise.all([
    open('alice'),
    open('bob', 'Chromium', `ws://127.0.0.1:${String(proxy.port)}`),
    open('bob'),
  ]);
  try {
    await alice.evaluate(`enter('${room}')`);
    await bob.evaluate(`enter('${room}')`);
    await Promise.all([knows(alice, ['bob']), knows(bob, ['alice'])]);
    const session = String(await bob.evaluate('client.sessionId'));
    await proxy.door('refuse');
    proxy.reset();
    await until(async () => (await gateway.locate('bob')).every((place) => place.session !== session));
    // The other page takes the place while nobody who has it could say so.
    await newBob.evaluate(`enter('${room}')`);
    await alice.evaluate(`until(() => told.filter((line) => line === 'join bob').length > 1)`);
    await Promise.all([knows(newBob, ['alice']), knows(alice, ['bob'])]);
    await proxy.door('open');
    await bob.evaluate(`until(() => told.at(-1) === 'close replaced')`);
    await bob.evaluate(`until(() => !client.room('${room}').joined)`);
    expect(await bob.evaluate('client.sessionId')).not.toBe(session);
    // It was answered before it called anybody, or (on a machine with much to do) took its call back.
    await Promise.all([knows(newBob, ['alice']), knows(alice, ['bob'])]);
    expect(await newBob.evaluate(`told.filter((line) => line.startsWith('close'))`)).toEqual([]);
  } finally {
    await proxy.door('open');
    for (const page of [alice, bob, newBob]) await page.close();
  }
}, 90_000);
