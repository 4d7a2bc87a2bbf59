// The playground of development mode: a page for this machine only, and the tokens of its guests.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StaticFile } from './static-files.js';

export const GUEST_TOKEN_PATH = '/playground/token';

const LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;
const GUEST = /^guest-[0-9a-f]{4}$/;

export class Playground {
  private readonly html: string;

  /**
   * @param webDirectory of the pages
   * @param sign makes a token for a guest
   */
  constructor(
    webDirectory: string,
    private readonly sign: (client: string) => string,
  ) {
    this.html = readFileSync(join(webDirectory, 'playground.html'), 'utf8');
  }

  /** @param host the request's Host: a page that gets tokens is for this machine only (DNS rebinding) */
  page(host: string | undefined): StaticFile | null {
    if (host === undefined || !LOOPBACK_HOST.test(host)) return null;
    const nonce = randomBytes(16).toString('base64');
    return {
      type: 'text/html; charset=utf-8',
      body: this.html
        .replaceAll('%CLIENT%', `guest-${randomBytes(2).toString('hex')}`)
        .replaceAll('%NONCE%', nonce),
      headers: {
        'Cache-Control': 'no-store',
        // The gateway by name: older browsers do not take 'self' for its WebSocket too.
        'Content-Security-Policy': `default-src 'none'; script-src 'self' 'nonce-${nonce}'; style-src 'nonce-${nonce}'; connect-src 'self' ws://${host} wss://${host}; frame-ancestors 'none'; base-uri 'none'`,
        'X-Frame-Options': 'DENY',
      },
    };
  }

  /**
   * A token for a guest, so that a page that stays open can have newer ones; null for whoever is not the page.
   * @param client who asks
   * @param origin the request's Origin, which browsers send with every POST and no page can forge
   */
  token(client: string | null, host: string | undefined, origin: string | undefined): string | null {
    if (client === null || !GUEST.test(client)) return null;
    if (host === undefined || !LOOPBACK_HOST.test(host)) return null;
    return origin === `http://${host}` || origin === `https://${host}` ? this.sign(client) : null;
  }
}
