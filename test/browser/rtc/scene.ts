// Two ends of a peer in real browsers, whatever carries their signals: what each specification and each schedule plays in.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { freePort } from '../../free-port.js';
import { type GatewayProcess, startGateway, tokenOf } from '../../gateway-process.js';
import type { Site } from '../site.js';
import { BROWSERS, type BrowserPage, type TestBrowser } from '../test-browser.js';

const PAGE = readFileSync(new URL('./page.js', import.meta.url), 'utf8');

export type Strategy = 'perfect' | 'proposals' | 'lock' | 'turn';

const STRATEGIES = buildSync({
  stdin: {
    contents: `export * from './locked-negotiation.ts'; export * from './perfect-negotiation.ts'; export * from './proposing-negotiation.ts';`,
    resolveDir: fileURLToPath(new URL('../../client/rtc/strategies', import.meta.url)),
    loader: 'ts',
  },
  bundle: true,
  format: 'iife',
  globalName: 'strategies',
  write: false,
}).outputFiles[0]?.text;

/** One end: runs code in its page, with `peer`, `end` (all that it heard) and `keep` (an object that stays) in reach. */
export type End = (code: string) => Promise<unknown>;

export interface Scene {
  alice: End;
  bob: End;
  close(): Promise<void>;
}

export interface Specification {
  name: string;
  options?: EndOptions;
  play(scene: Scene): Promise<void>;
}

export interface EndOptions {
  /** Of `RTCSignalingPeer`, as JSON. */
  peer?: Record<string, unknown>;
  /** Its clock runs so many times as fast as the browser's. */
  haste?: number;
  configuration?: RTCConfiguration;
  /** What decides who offers; the product's way unless a comparison asks for another. */
  strategy?: Strategy;
  /** Bob's end is made by the specification itself, with `make()`. */
  isBobLate?: boolean;
}

/** A way for signals. */
export interface Mechanism {
  name: string;
  /** Null: the gateway. */
  loopback: Record<string, unknown> | null;
  /** Random delay of each signal, ms; only for the gateway, a loopback has its own. */
  delayMs?: [number, number];
  /** How much longer candidates take, ms; with a delay. */
  candidatesMs?: number;
  /** Share of the volatile signals that is lost, 0–1; only for the gateway. */
  loss?: number;
  client?: ClientChoice;
}

/** How the clients of a stage talk to the gateway; by default MessagePack over a WebSocket. */
export interface ClientChoice {
  codec?: 'msgpack' | 'json';
  transports?: ('websocket' | 'sse' | 'poll')[];
}

export const MECHANISMS: readonly Mechanism[] = [
  { name: 'loopback', loopback: {} },
  { name: 'loopback with random delay', loopback: { delayMs: [0, 150] } },
  {
    name: 'loopback with loss, duplication and reordering',
    loopback: { delayMs: [0, 60], loss: 0.15, duplication: 0.2, reorder: true },
  },
  { name: 'gateway, MessagePack', loopback: null },
  { name: 'gateway that loses every fourth volatile signal', loopback: null, delayMs: [0, 20], loss: 0.25 },
  { name: 'gateway, JSON', loopback: null, client: { codec: 'json' } },
  { name: 'gateway over an event stream', loopback: null, client: { transports: ['sse'] } },
  { name: 'gateway over polls', loopback: null, client: { transports: ['poll'] } },
];

export interface StageOptions {
  client?: ClientChoice;
  /** Where a client connects, if not straight to the gateway. */
  urlOf?: (gateway: GatewayProcess, client: 'alice' | 'bob') => string | Promise<string>;
  /** Where pages have their scripts from, if not from the gateway. */
  site?: Site;
}

/** A gateway with a page of each browser, connected as `alice` and `bob`. */
export class Stage {
  #scenes = 0;

  private constructor(
    readonly gateway: GatewayProcess,
    readonly pages: [BrowserPage, BrowserPage],
    private readonly names: [string, string],
    private readonly browsers: Map<string, TestBrowser>,
    private readonly openPage: (index: 0 | 1) => Promise<BrowserPage>,
    private readonly closers: (() => Promise<unknown>)[],
  ) {}

  static async open(
    names: [string, string],
    env: Record<string, string> = {},
    { client = {}, urlOf = ({ url }) => url, site }: StageOptions = {},
  ): Promise<Stage> {
    const closers: (() => Promise<unknown>)[] = [];
    try {
      const port = await freePort();
      const origin = site?.origin ?? `http://127.0.0.1:${String(port)}`;
      const gateway = await startGateway({ PORT: String(port), ORIGINS: origin, ...env });
      closers.push(() => gateway.stop());
      const browsers = new Map<string, TestBrowser>();
      closers.push(() => Promise.all([...browsers.values()].map((browser) => browser.close())));
      const browserOf = async (name: string): Promise<TestBrowser> => {
        const known = browsers.get(name);
        if (known !== undefined) return known;
        const launch = BROWSERS[name];
        if (launch === undefined) throw new Error(`no browser ${name}`);
        const browser = await launch();
        browsers.set(name, browser);
        return browser;
      };
      const openPage = async (index: 0 | 1): Promise<BrowserPage> => {
        const page = await (await browserOf(names[index])).newPage();
        await page.goto(`${origin}/healthz`);
        await page.evaluate(`(() => { ${PAGE} })()`);
        await page.evaluate(`(() => { ${STRATEGIES}; Object.assign(window, strategies); })()`);
        const id = index === 0 ? 'alice' : 'bob';
        await page.evaluate(
          `connectClient('${await urlOf(gateway, id)}', '${tokenOf(id)}', ${JSON.stringify(client)})`,
        );
        return page;
      };
      const pages: [BrowserPage, BrowserPage] = [await openPage(0), await openPage(1)];
      return new Stage(gateway, pages, names, browsers, openPage, closers);
    } catch (error) {
      for (const close of closers.reverse()) await close();
      throw error;
    }
  }

  /** Pages in place of those before; bob's may be gone, and his browser. */
  async renew(which: 'both' | 'bob'): Promise<void> {
    if (which === 'both') {
      for (const page of this.pages) await page.close();
      this.pages[0] = await this.openPage(0);
    }
    this.pages[1] = await this.openPage(1);
  }

  /** Bob's browser, which must not be alice's too, ends without a word. */
  async killBob(): Promise<void> {
    await this.browsers.get(this.names[1])?.kill();
    this.browsers.delete(this.names[1]);
  }

  /** With a loopback both ends are in alice's page. */
  async scene(mechanism: Mechanism, options: EndOptions = {}, seed = 1): Promise<Scene> {
    const id = `s${String(++this.#scenes)}`;
    const isLocal = mechanism.loopback !== null;
    const pages = isLocal ? ([this.pages[0], this.pages[0]] as const) : this.pages;
    if (isLocal)
      await pages[0].evaluate(
        `makeLoopback('${id}', ${JSON.stringify(mechanism.loopback)}, ${String(seed)})`,
      );
    const keys = [`${id} alice`, `${id} bob`] as const;
    const make = (index: 0 | 1): string => {
      const [local, remote] = index === 0 ? ['alice', 'bob'] : ['bob', 'alice'];
      const line = isLocal
        ? `'${id}'`
        : mechanism.delayMs === undefined
          ? 'gatewaySignaling'
          : `delayed(gatewaySignaling, ${JSON.stringify(mechanism.delayMs)}, seeded(${String(seed + index)}), ${String(mechanism.loss ?? 0)}, ${String(mechanism.candidatesMs ?? 0)})`;
      const own = JSON.stringify({ name: id, ...options.peer });
      const { strategy } = options;
      const leads = String(index === 1);
      const machines = {
        perfect: `new PerfectNegotiation(() => !${leads})`,
        proposals: `new ProposingNegotiation(() => ${leads})`,
        lock: `new LockedNegotiation(${leads}, 'lock')`,
        turn: `new LockedNegotiation(${leads}, 'turn')`,
      };
      const machine = strategy === undefined ? '' : machines[strategy];
      const extras = [
        ...(strategy === undefined ? [] : [`negotiation: () => ${machine}`]),
        ...(options.haste === undefined ? [] : [`environment: hasty(${String(options.haste)})`]),
      ];
      const peerOptions = `{ ...${own}, ${extras.join()} }`;
      return `makeEnd('${keys[index]}', '${local}', '${remote}', ${line}, ${peerOptions}, ${JSON.stringify(options.configuration ?? {})})`;
    };
    await pages[0].evaluate(make(0));
    if (options.isBobLate !== true) await pages[1].evaluate(make(1));
    const end = (index: 0 | 1): End => {
      const key = keys[index];
      return (code) =>
        pages[index].evaluate(
          `(async () => { const key = '${key}'; const make = () => ${make(index)}; const end = ends.get(key); const { peer, keep } = end ?? {}; ${code} })()`,
        );
    };
    return {
      alice: end(0),
      bob: end(1),
      close: async () => {
        await pages[0].evaluate(`dropEnd('${keys[0]}')`);
        await pages[1].evaluate(`dropEnd('${keys[1]}')`);
      },
    };
  }

  async close(): Promise<void> {
    for (const close of this.closers.reverse()) await close();
  }
}
