// The files that a worker serves: the browser SDK with its lazily loaded parts, and in development the playground.
import { randomBytes } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

export interface StaticFile {
  type: string;
  body: string | Buffer;
  headers: Record<string, string>;
}

export interface StaticFilesOptions {
  /** Directory of the bundle: `client.js` and its chunks. */
  browserDirectory: string;
  /** Directory of the pages. */
  webDirectory: string;
  /** Makes a token for a page of the playground; null outside development mode. */
  guestToken: ((client: string) => string) | null;
}

const LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

export class StaticFiles {
  private readonly scripts = new Map<string, StaticFile>();
  private readonly playground: string | null;

  constructor(private readonly options: StaticFilesOptions) {
    for (const name of readdirSync(options.browserDirectory)) {
      if (!name.endsWith('.js')) continue;
      this.scripts.set(`/${name}`, {
        type: 'text/javascript; charset=utf-8',
        body: readFileSync(join(options.browserDirectory, name)),
        // Pages of other origins import the SDK as a module, which needs CORS; it holds nothing secret.
        headers: { 'Access-Control-Allow-Origin': '*', 'Cache-Control': 'no-cache' },
      });
    }
    this.playground =
      options.guestToken === null
        ? null
        : readFileSync(join(options.webDirectory, 'playground.html'), 'utf8');
  }

  /** @param host the request's Host: a page with a token in it is for this machine only (DNS rebinding) */
  find(path: string, host: string | undefined): StaticFile | null {
    const script = this.scripts.get(path);
    if (script !== undefined) return script;
    const { guestToken } = this.options;
    if (path !== '/' || this.playground === null || guestToken === null) return null;
    if (host === undefined || !LOOPBACK_HOST.test(host)) return null;
    const client = `guest-${randomBytes(2).toString('hex')}`;
    const nonce = randomBytes(16).toString('base64');
    return {
      type: 'text/html; charset=utf-8',
      body: this.playground
        .replaceAll('%CLIENT%', client)
        .replaceAll('%TOKEN%', guestToken(client))
        .replaceAll('%NONCE%', nonce),
      headers: {
        'Cache-Control': 'no-store',
        // The gateway by name: older browsers do not take 'self' for its WebSocket too.
        'Content-Security-Policy': `default-src 'none'; script-src 'self' 'nonce-${nonce}'; style-src 'nonce-${nonce}'; connect-src 'self' ws://${host} wss://${host}; frame-ancestors 'none'; base-uri 'none'`,
        'X-Frame-Options': 'DENY',
      },
    };
  }
}
