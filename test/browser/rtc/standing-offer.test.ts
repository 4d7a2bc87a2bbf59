// Calls in one trip, in real browsers: each side's offer is the other's answer, and whatever goes wrong around it, one call is one connection.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { freePort } from '../../free-port.js';
import { type GatewayProcess, startGateway, tokenOf } from '../../gateway-process.js';
import { BROWSERS, type BrowserPage, type TestBrowser } from '../test-browser.js';

const PAGE = readFileSync(new URL('./page.js', import.meta.url), 'utf8');

/**
 * Sockets whose messages can be held back (`hold`, `letGo`) or lost with the connection (`drop`), and that tell how many standing offers
 * went out and were accepted (`stood`); and clients by name, with who called them.
 */
const STANDING_PAGE = `
window.clients = {};
window.isHolding = false;
window.stood = 0;
window.sockets = new Set();
const Platform = WebSocket;
window.WebSocket = class extends Platform {
  held = [];
  refs = new Set();
  constructor(...given) {
    super(...given);
    sockets.add(this);
    this.addEventListener('close', () => sockets.delete(this));
  }
  send(data) {
    const [type, ref] = JSON.parse(data);
    if (type === 98) this.refs.add(ref);
    super.send(data);
  }
  set onmessage(listener) {
    this.listener = listener;
    super.onmessage = (event) => {
      const [type, ref] = JSON.parse(event.data);
      if (type === 5 && this.refs.delete(ref)) stood++;
      if (isHolding) this.held.push(event);
      else listener(event);
    };
  }
};
window.letGo = () => {
  isHolding = false;
  for (const socket of sockets) for (const event of socket.held.splice(0)) socket.listener(event);
};
window.drop = () => {
  isHolding = false;
  for (const socket of sockets) {
    socket.held = [];
    socket.close(4000);
  }
};
window.join = async (name, url, token, standing) => {
  const { Client } = await import('/client.js');
  const client = new Client(url, { token, codec: 'json', backoff: { minMs: 20, maxMs: 100 } });
  const own = (clients[name] = { client, called: [], errors: [], offers: 0 });
  client.onMessage('~rtc', ({ type }) => type === 'offer' && own.offers++);
  client.on('error', (error) => own.errors.push(String(error.code ?? error)));
  await client.connect();
  own.stop = await client.onPeer((peer, from) => {
    own.called.push(peer);
    peer.on('datachannel', (channel) => channel.addEventListener('message', ({ data }) => channel.send(data)));
  }, {}, { standing });
};
/** A peer with nothing to offer. */
window.meet = async (name, to, options) => {
  const own = clients[name];
  own.peer = await own.client.peer(to, {}, options);
  own.peer.on('datachannel', (channel) => channel.addEventListener('message', ({ data }) => channel.send(data)));
};
/** Calls, and does not wait for it. */
window.dial = async (name, to, options) => {
  const own = clients[name];
  await meet(name, to, options);
  own.opened = own.peer.createDataChannel('from ' + name);
  own.opened.catch(() => {});
};
window.talk = async (name) => echo(await clients[name].opened, 'hello from ' + name);
/** Which description of each side was an offer: both, where two crossed. */
window.ways = (peer) => [peer.peer.currentLocalDescription?.type, peer.peer.currentRemoteDescription?.type];
`;
const CROSSED = ['offer', 'answer'];

const isFull = process.env.TEST_BROWSER === 'full';
const PAIRS: [string, string][] = [
  ['Chromium', 'Chromium'],
  ['Chromium', 'Firefox'],
];
if (isFull) PAIRS.push(['Firefox', 'Firefox'], ['Firefox', 'Chromium']);

describe.each(PAIRS)('a standing offer, %s and %s', (...names) => {
  let gateway: GatewayProcess;
  let origin: string;
  const browsers = new Map<string, TestBrowser>();
  const pages: BrowserPage[] = [];
  beforeAll(async () => {
    const port = await freePort();
    origin = `http://127.0.0.1:${String(port)}`;
    gateway = await startGateway({ PORT: String(port), ORIGINS: origin });
    for (const name of new Set(names)) {
      const launch = BROWSERS[name];
      if (launch === undefined) throw new Error(`no browser ${name}`);
      browsers.set(name, await launch());
    }
  }, 60_000);
  afterEach(async () => {
    for (const page of pages.splice(0)) await page.close();
  });
  afterAll(async () => {
    for (const browser of browsers.values()) await browser.close();
    await gateway.stop();
  });

  let people = 0;
  /** A page whose client takes calls; with a standing offer it is there when its offer is. */
  const open = async (at: 0 | 1, name: string, isStanding = true): Promise<BrowserPage> => {
    const page = await browsers.get(names[at] ?? '')?.newPage();
    if (page === undefined) throw new Error('no page');
    pages.push(page);
    await page.goto(`${origin}/healthz`);
    await page.evaluate(`(() => { ${PAGE}; ${STANDING_PAGE} })()`);
    await page.evaluate(`join('${name}', '${gateway.url}', '${tokenOf(name)}', ${String(isStanding)})`);
    if (isStanding) await page.evaluate(`until(() => stood > 0)`);
    return page;
  };
  /** The client id that is greater leads. */
  const pair = async (
    leader: 0 | 1,
  ): Promise<{ alice: string; bob: string; caller: BrowserPage; callee: BrowserPage }> => {
    const number = String(++people);
    const [alice, bob] = leader === 0 ? [`z-${number}`, `b-${number}`] : [`a-${number}`, `b-${number}`];
    return { alice, bob, caller: await open(0, alice), callee: await open(1, bob) };
  };

  test.each([
    ['leader', 0],
    ['follower', 1],
  ] as const)(
    'is the answer to the call of the %s; media, restarts and the next call follow',
    async (_who, leader) => {
      const { alice, bob, caller, callee } = await pair(leader);
      const before = await callee.evaluate('stood');
      await caller.evaluate(`dial('${alice}', '${bob}')`);
      expect(await caller.evaluate(`talk('${alice}')`)).toBe(`hello from ${alice}`);
      const all = { alice: `clients['${alice}'].peer`, bob: `clients['${bob}'].called[0]` };
      expect(await caller.evaluate(`ways(${all.alice})`)).toEqual(CROSSED);
      expect(await callee.evaluate(`ways(${all.bob})`)).toEqual(CROSSED);
      expect(await caller.evaluate(`${all.alice}.counts.rounds`)).toBe(1);

      await Promise.all([
        caller.evaluate(`${all.alice}.addStream(video()).then(() => null)`),
        callee.evaluate(`audio().then((stream) => ${all.bob}.addStream(stream)).then(() => null)`),
        callee.evaluate(`${all.bob}.createDataChannel('back').then(() => null)`),
      ]);
      await caller.evaluate(`until(() => receiving(${all.alice}).join() === 'audio')`);
      await callee.evaluate(`until(() => receiving(${all.bob}).join() === 'video')`);
      const fragment = `/ice-ufrag:(.*)/.exec(${all.bob}.peer.currentLocalDescription.sdp)[1]`;
      const old = String(await callee.evaluate(fragment));
      await callee.evaluate(`${all.bob}.restartIce()`);
      await callee.evaluate(`until(() => ${fragment} !== ${JSON.stringify(old)})`);
      await callee.evaluate(`${all.bob}.agreed().then(() => null)`);
      expect(await callee.evaluate(`clients['${bob}'].errors`)).toEqual([]);

      // Another one stands by then.
      await callee.evaluate(`until(() => stood > ${String(before)})`);
      await caller.evaluate(`${all.alice}.close()`);
      await callee.evaluate(`until(() => ${all.bob}.state === 'closed')`);
      await caller.evaluate(`dial('${alice}', '${bob}')`);
      expect(await caller.evaluate(`talk('${alice}')`)).toBe(`hello from ${alice}`);
      expect(await caller.evaluate(`ways(clients['${alice}'].peer)`)).toEqual(CROSSED);
    },
    60_000,
  );

  test.each([
    ['leader', 0],
    ['follower', 1],
  ] as const)(
    'and a call of its holder to who took it, the %s, become one connection',
    async (_who, leader) => {
      const { alice, bob, caller, callee } = await pair(leader);
      await callee.evaluate('isHolding = true');
      await caller.evaluate(`dial('${alice}', '${bob}')`);
      // It was given out, and its holder has not heard of it.
      await caller.evaluate(`until(() => clients['${alice}'].peer.counts.rounds === 1)`);
      await callee.evaluate(`dial('${bob}', '${alice}')`);
      await caller.evaluate(`clients['${alice}'].client.send('${bob}', 'mark', 1).then(() => null)`);
      await callee.evaluate('letGo()');
      expect(
        await Promise.all([caller.evaluate(`talk('${alice}')`), callee.evaluate(`talk('${bob}')`)]),
      ).toEqual([`hello from ${alice}`, `hello from ${bob}`]);
      // Nobody was called: each has the peer that it made itself.
      expect(await caller.evaluate(`clients['${alice}'].called.length`)).toBe(0);
      expect(await callee.evaluate(`clients['${bob}'].called.length`)).toBe(0);
      expect(await callee.evaluate(`ways(clients['${bob}'].peer)`)).toEqual(CROSSED);
    },
    60_000,
  );

  /** One where both have standing offers, and one where nobody has, which is how it always was. */
  const MODES = [
    ['leader', 'calls that meet', 0, true],
    ['follower', 'calls that meet', 1, true],
    ['follower', 'ordinary calls', 1, false],
  ] as const;
  /** Two pages, of which the first hears nothing yet. */
  const deaf = async (leader: 0 | 1, isStanding: boolean) => {
    const number = String(++people);
    const [alice, bob] = leader === 0 ? [`z-${number}`, `b-${number}`] : [`a-${number}`, `b-${number}`];
    const [caller, holder] = [await open(0, alice, isStanding), await open(1, bob, isStanding)];
    await caller.evaluate('isHolding = true');
    return { alice, bob, caller, holder };
  };
  const HELD = `until(() => [...sockets].some(({ held }) => held.some(({ data }) => data.includes('~rtc'))))`;
  /** All that the first asked for by now has been decided on. */
  const decided = async (page: BrowserPage, name: string, other: BrowserPage, otherName: string) => {
    await other.evaluate(
      `clients['${otherName}'].client.onMessage('mark', () => window.marked = true) && null`,
    );
    await page.evaluate(
      `clients['${name}'].client.send('${otherName}', 'mark', 1, { volatile: true }).then(() => null)`,
    );
    await other.evaluate(`until(() => window.marked === true)`);
  };

  test.each(MODES)(
    'is not in the way of a call by the %s to a holder that has said hello (%s)',
    async (_who, _what, leader, isStanding) => {
      const { alice, bob, caller, holder } = await deaf(leader, isStanding);
      await holder.evaluate(`meet('${bob}', '${alice}')`);
      await caller.evaluate(HELD);
      await caller.evaluate(`dial('${alice}', '${bob}')`);
      await decided(caller, alice, holder, bob);
      await caller.evaluate('letGo()');
      expect(await caller.evaluate(`talk('${alice}')`)).toBe(`hello from ${alice}`);
      expect(await caller.evaluate(`clients['${alice}'].called.length`)).toBe(0);
      expect(await holder.evaluate(`clients['${bob}'].called.length`)).toBe(0);
    },
    60_000,
  );

  test.each(MODES)(
    'is not in the way of a call by the %s to a holder that sends it media (%s)',
    async (_who, _what, leader, isStanding) => {
      const { alice, bob, caller, holder } = await deaf(leader, isStanding);
      await holder.evaluate(
        `meet('${bob}', '${alice}').then(async () => void clients['${bob}'].peer.addStream(await video()).catch(() => {}))`,
      );
      await caller.evaluate(HELD);
      await caller.evaluate(`dial('${alice}', '${bob}')`);
      await decided(caller, alice, holder, bob);
      await caller.evaluate('letGo()');
      expect(await caller.evaluate(`talk('${alice}')`)).toBe(`hello from ${alice}`);
      await caller.evaluate(`until(() => receiving(clients['${alice}'].peer).join() === 'video')`);
    },
    60_000,
  );

  test.each([true, false])(
    'is not in the way of a call back to its holder, which called two sessions of that client (standing: %s)',
    async (isStanding) => {
      const number = String(++people);
      const [alice, bob] = [`a-${number}`, `b-${number}`];
      const [holder, one, two] = [
        await open(0, alice, isStanding),
        await open(1, bob, isStanding),
        await open(1, bob, isStanding),
      ];
      await one.evaluate('isHolding = true');
      await two.evaluate('isHolding = true');
      await holder.evaluate(`dial('${alice}', '${bob}')`);
      await one.evaluate(HELD);
      await one.evaluate(`dial('${bob}', '${alice}')`);
      await decided(one, bob, holder, alice);
      await one.evaluate('letGo()');
      expect(
        await Promise.all([one.evaluate(`talk('${bob}')`), holder.evaluate(`talk('${alice}')`)]),
      ).toEqual([`hello from ${bob}`, `hello from ${alice}`]);
    },
    60_000,
  );

  test.each([true, false])(
    'leaves nobody alone who is called back by one that was not there (asked for: %s)',
    async (isStanding) => {
      const number = String(++people);
      const [alice, bob] = [`z-${number}`, `b-${number}`];
      const [caller, late] = [await open(0, alice, false), await open(1, bob, false)];
      // Nobody takes calls there.
      await late.evaluate(`clients['${bob}'].stop()`);
      await caller.evaluate(`dial('${alice}', '${bob}')`);
      await caller.evaluate(`clients['${alice}'].peer.ready.then(() => null)`);
      // The call, by the quick way and by the sure one, has come and gone.
      await late.evaluate(`until(() => clients['${bob}'].offers === 2)`);
      await late.evaluate(`dial('${bob}', '${alice}', { standing: ${String(isStanding)} })`);
      expect(await late.evaluate(`talk('${bob}')`)).toBe(`hello from ${bob}`);
    },
    60_000,
  );

  test('is honoured by a holder that lost its connection before it heard of the call', async () => {
    const { alice, bob, caller, callee } = await pair(0);
    await callee.evaluate('isHolding = true');
    await caller.evaluate(`dial('${alice}', '${bob}')`);
    await caller.evaluate(`until(() => clients['${alice}'].peer.counts.rounds === 1)`);
    await callee.evaluate('drop()');
    expect(await caller.evaluate(`talk('${alice}')`)).toBe(`hello from ${alice}`);
    expect(await callee.evaluate(`ways(clients['${bob}'].called[0])`)).toEqual(CROSSED);
  }, 60_000);

  test('is had by one of several callers, and the others are answered as ever', async () => {
    const { alice, bob, caller, callee } = await pair(0);
    const carol = `c-${String(people)}`;
    const third = await open(0, carol, false);
    // An option of the call: this client has no standing offer itself.
    await Promise.all([
      caller.evaluate(`dial('${alice}', '${bob}')`),
      third.evaluate(`dial('${carol}', '${bob}', { standing: true })`),
    ]);
    expect(
      await Promise.all([caller.evaluate(`talk('${alice}')`), third.evaluate(`talk('${carol}')`)]),
    ).toEqual([`hello from ${alice}`, `hello from ${carol}`]);
    expect(await callee.evaluate(`clients['${bob}'].called.length`)).toBe(2);
  }, 60_000);
});
