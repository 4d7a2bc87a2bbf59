// Two browsers, a gateway and a TURN server, on three machines with a network between them that can be made bad.
import { readFileSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from '../browser/chromium.js';
import { GatewayNode } from '../faults/gateway-node.js';
import { type Machines, makeMachines } from '../faults/namespaces.js';
import { tokenOf } from '../gateway-process.js';
import { startTurnServer } from '../turn-server.js';
import type { Cell } from './cell.js';
import { Wire } from './wire.js';

const PAGE = readFileSync(new URL('./page.js', import.meta.url), 'utf8');
const SERVER = 'server';
/** The browser whose network is bad; where both are, so is the other's. */
export const SIDES = ['bad', 'good'] as const;
export type BrowserName = (typeof SIDES)[number];
/** What the gateway tells its clients: the port of the UDP proxy. */
const TURN_PORT = 3478;
const TURN_SECRET = 'a-secret-of-coturn-for-the-fuzz';

export class Scene {
  #closers: (() => unknown)[] = [];
  #impaired: Cell | null = null;

  private constructor(
    readonly pages: Readonly<Record<BrowserName, readonly Page[]>>,
    /** Where a browser connects to: as far away as the network makes it. */
    readonly urls: Readonly<Record<BrowserName, string>>,
    readonly browserVersion: string,
    private readonly machines: Machines,
    private readonly wire: Wire,
  ) {}

  /** @param lanes pages of each browser */
  static async open(lanes: number): Promise<Scene> {
    const closers: (() => unknown)[] = [];
    const closeAll = async (): Promise<void> => {
      for (const close of closers.splice(0).reverse()) await close();
    };
    try {
      const machines = makeMachines([...SIDES, SERVER]);
      closers.push(() => machines.close());
      const host = machines.addressOf(SERVER);
      const wrap = machines.wrap(SERVER);
      const turn = await startTurnServer([TURN_SECRET], undefined, { address: host, wrap });
      closers.push(() => turn.stop());
      const env = {
        ORIGINS: '*',
        INSECURE_ALLOW_ANY_ORIGIN: '1',
        TURN_URLS: `turn:${host}:${TURN_PORT}`,
        TURN_SECRET,
        TURN_CHECK_MS: '0',
      };
      const gateway = await GatewayNode.start({ host, wrap, env });
      closers.push(() => gateway.stop());
      const clients = SIDES.map((name) => machines.addressOf(name));
      const wire = await Wire.start(
        wrap,
        { host, gatewayPort: gateway.port, turnPort: turn.port, clients },
        TURN_PORT,
      );
      closers.push(() => wire.stop());
      const urlOf = (name: BrowserName): string =>
        `ws://${host}:${wire.ports.tcp[machines.addressOf(name)] ?? 0}`;
      let version = '';
      const openPages = async (name: BrowserName): Promise<Page[]> => {
        const browser = await launchChromium([], machines.wrap(name));
        version = browser.version();
        closers.push(() => browser.close());
        return await Promise.all(
          Array.from({ length: lanes }, () => openPage(browser, `${host}:${gateway.port}`)),
        );
      };
      const pages = { bad: await openPages('bad'), good: await openPages('good') };
      const scene = new Scene(pages, { bad: urlOf('bad'), good: urlOf('good') }, version, machines, wire);
      scene.#closers = closers;
      return scene;
    } catch (error) {
      await closeAll();
      throw error;
    }
  }

  /** Makes the network what the cell says; null: good again. */
  async impair(cell: Cell | null): Promise<void> {
    this.#impaired = cell;
    this.machines.heal();
    for (const name of SIDES) {
      const isBad = cell !== null && (name === 'bad' || cell.side === 'both');
      await this.wire.delay(this.machines.addressOf(name), isBad ? cell.delayMs : 0);
      const kbps = isBad ? cell.kbps : null;
      this.machines.limitRate(name, kbps === null ? null : kbps * 1000);
      if (isBad) this.#lose(name, cell.loss);
    }
  }

  /** Nothing arrives from or at the bad side any more. */
  cutOff(): void {
    this.#lose('bad', 1);
  }

  /** After `cutOff`: as bad as before. */
  reconnect(): void {
    this.machines.heal();
    const cell = this.#impaired;
    if (cell === null) return;
    for (const name of cell.side === 'both' ? SIDES : (['bad'] as const)) this.#lose(name, cell.loss);
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
  }

  #lose(name: BrowserName, share: number): void {
    this.machines.lose(name, SERVER, share);
    this.machines.lose(SERVER, name, share);
  }
}

async function openPage(browser: Browser, host: string): Promise<Page> {
  // One context each: pages of their own, as of several people.
  const page = await (await browser.newContext()).newPage();
  await page.goto(`http://${host}/healthz`);
  await page.evaluate(`(() => { ${PAGE} })()`);
  await page.evaluate(`prepare('ws://${host}', '${tokenOf('prepared')}')`);
  return page;
}
