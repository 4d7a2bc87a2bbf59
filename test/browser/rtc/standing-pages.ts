// Pages whose clients leave standing offers, and how to hold back, or lose, what the gateway tells them.
import { afterAll, afterEach, beforeAll } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { freePort } from '../../free-port.js';
import { type GatewayProcess, startGateway, tokenOf } from '../../gateway-process.js';
import { BROWSERS, type BrowserPage, type TestBrowser } from '../test-browser.js';

const PAGE = readFileSync(new URL('./page.js', import.meta.url), 'utf8');

/**
 * Sockets whose messages can be held back (`hold`, `letGo`) or lost with the connection (`drop`), and that tell how many standing offers
 * went out and were accepted (`stood`); that lose the next standing offer (`loses`); and clients by name, with who called them.
 */
const STANDING_PAGE = `
window.clients = {};
window.isHolding = false;
window.loses = false;
window.stood = 0;
/** All connections of the page, which is what the platform has of them. */
window.connections = [];
const PlatformConnection = RTCPeerConnection;
window.RTCPeerConnection = class extends PlatformConnection {
  constructor(...given) {
    super(...given);
    connections.push(this);
  }
};
/** Type and number of a frame, in either codec. */
const headOf = (data) => {
  if (typeof data === 'string') return JSON.parse(data);
  const view = ArrayBuffer.isView(data) ? new DataView(data.buffer, data.byteOffset) : new DataView(data);
  const uint = (at) => {
    const first = view.getUint8(at);
    if (first === 0xcc) return [view.getUint8(at + 1), at + 2];
    return first === 0xcd ? [view.getUint16(at + 1), at + 3] : [first, at + 1];
  };
  const [type, at] = uint(1);
  return [type, uint(at)[0]];
};
/** A standing offer for who asked for it. */
const isCard = (data) => headOf(data)[0] === 17 && data.includes('"standing":true');
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
    const [type, ref] = headOf(data);
    if (type === 98) this.refs.add(ref);
    super.send(data);
  }
  set onmessage(listener) {
    this.listener = listener;
    super.onmessage = (event) => {
      const [type, ref] = headOf(event.data);
      if (type === 5 && this.refs.delete(ref)) stood++;
      if (loses && isCard(event.data)) window.loses = false;
      else if (isHolding) this.held.push(event);
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
window.join = async (name, url, token, standing, codec) => {
  const { Client } = await import('/client.js');
  const client = new Client(url, { token, codec, backoff: { minMs: 20, maxMs: 100 } });
  const own = (clients[name] = { client, called: [], errors: [], offers: 0 });
  client.onMessage('~rtc', ({ type }) => type === 'offer' && own.offers++);
  client.on('error', (error) => own.errors.push(String(error.code ?? error)));
  await client.connect();
  own.start = async () => {
    own.stop = await client.onPeer((peer, from) => {
      own.called.push(peer);
      peer.on('datachannel', (channel) => channel.addEventListener('message', ({ data }) => channel.send(data)));
    }, {}, { standing });
  };
  await own.start();
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
/** Of an end's ICE: Chromium tells by its statistics, Firefox by the transport. */
window.roleOf = async ({ peer }) => {
  const transport = [...(await peer.getStats()).values()].find(({ type }) => type === 'transport');
  return transport?.iceRole ?? peer.sctp.transport.iceTransport.role;
};
`;

/** What `ways` tells where two offers crossed. */
export const CROSSED = ['offer', 'answer'];

/** The same of the caller: where both are Firefox, it has answered. */
export function crossedAtCaller(names: readonly string[]): string[] {
  return names.every((name) => name === 'Firefox') ? ['answer', 'offer'] : CROSSED;
}

export interface StandingPages {
  /** A page whose client takes calls; with a standing offer it is there when its offer is. */
  open(at: 0 | 1, name: string, isStanding?: boolean, codec?: 'json' | 'msgpack'): Promise<BrowserPage>;
  /** Two clients that nobody has heard of before; the greater id leads. */
  namesOf(leader: 0 | 1): [alice: string, bob: string];
  /** A page of each, both with a standing offer. */
  pair(leader: 0 | 1): Promise<{ alice: string; bob: string; caller: BrowserPage; callee: BrowserPage }>;
}

/** Pages of two browsers at one gateway, for the tests of a `describe`. */
export function useStandingPages(names: readonly [string, string]): StandingPages {
  let gateway: GatewayProcess;
  let origin: string;
  let people = 0;
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

  const open: StandingPages['open'] = async (at, name, isStanding = true, codec = 'json') => {
    const page = await browsers.get(names[at])?.newPage();
    if (page === undefined) throw new Error('no page');
    pages.push(page);
    await page.goto(`${origin}/healthz`);
    await page.evaluate(`(() => { ${PAGE}; ${STANDING_PAGE} })()`);
    const given = `'${name}', '${gateway.url}', '${tokenOf(name)}', ${String(isStanding)}, '${codec}'`;
    await page.evaluate(`join(${given})`);
    if (isStanding) await page.evaluate(`until(() => stood > 0)`);
    return page;
  };
  const namesOf: StandingPages['namesOf'] = (leader) => {
    const number = String(++people);
    return [`${leader === 0 ? 'z' : 'a'}-${number}`, `b-${number}`];
  };
  return {
    open,
    namesOf,
    pair: async (leader) => {
      const [alice, bob] = namesOf(leader);
      return { alice, bob, caller: await open(0, alice), callee: await open(1, bob) };
    },
  };
}
