// Two pages of a real Chromium for each system that makes calls, each over a way of its own to its server.
import { createServer } from 'node:http';
import { once } from 'node:events';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findChromium } from '../scripts/test-tools.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  // Host candidates as addresses: nobody answers mDNS names in a container.
  '--disable-features=WebRtcHideLocalIpsWithMdns',
];
const PACKAGES = {
  '/peerjs.js': 'node_modules/peerjs/dist/peerjs.min.js',
  '/simple-peer.js': 'node_modules/simple-peer/simplepeer.min.js',
};
/** For a channel to open; what takes longer failed. */
const CALL_LIMIT_MS = 20_000;

export const missingChromium = () =>
  findChromium() === null ? 'Chromium is not installed (Debian: apt-get install chromium)' : null;

function read(path) {
  if (path in PACKAGES) return readFileSync(here(PACKAGES[path]));
  if (path.startsWith('/sdk/')) return readFileSync(here(`../dist/browser/${basename(path)}`));
  if (path.startsWith('/pages/')) return readFileSync(here(`pages/${basename(path)}`));
  return `<!doctype html><script type="module" src="/pages${path}.js"></script>`;
}

/** A browser, and the server that its pages come from. */
export class CallPages {
  #browser;
  #server;

  static async open() {
    const { chromium } = await import('playwright-core');
    const name = findChromium();
    const executablePath = execFileSync('sh', ['-c', 'command -v "$0"', name], { encoding: 'utf8' }).trim();
    const server = createServer(({ url }, response) => {
      const path = url.split('?')[0];
      response.setHeader('content-type', path.endsWith('.js') ? 'text/javascript' : 'text/html');
      response.end(read(path));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new CallPages(await chromium.launch({ executablePath, args: FLAGS }), server);
  }

  constructor(browser, server) {
    this.#browser = browser;
    this.#server = server;
  }

  get origin() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /**
   * Two pages that are connected to their server.
   * @param optionsOf what a client's page needs to connect
   * @param ids of the two clients
   */
  async pair(page, optionsOf, ids = ['bench-a', 'bench-b']) {
    const open = async (id) => {
      const opened = await (await this.#browser.newContext()).newPage();
      await opened.goto(`${this.origin}/${page}`);
      await opened.waitForFunction('window.connect');
      await opened.evaluate(`connect(${JSON.stringify(optionsOf(id))})`);
      return { id, page: opened };
    };
    return [await open(ids[0]), await open(ids[1])];
  }

  async close() {
    await this.#browser.close();
    this.#server.close();
  }
}

/** Milliseconds from the call to the open channel, for the caller. */
export function call(from, to) {
  return from.page.evaluate(
    `Promise.race([call('${to.id}'), new Promise((_, reject) => setTimeout(() => reject(new Error('no channel')), ${CALL_LIMIT_MS}))])`,
  );
}

export async function closePair(pair) {
  for (const { page } of pair) await page.context().close();
}

export async function hangUp(pair) {
  for (const { page } of pair) await page.evaluate('hangUp()');
}
