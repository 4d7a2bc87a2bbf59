// A web server for the pages of a test: the SDK's files for browsers, what the test puts beside them, and an empty page for every other path.
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type OutgoingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** As the build made them, like the gateways of these tests: to make them anew takes eleven seconds of a core. */
const BUILT = new URL('../../dist/browser/', import.meta.url);

function builtScripts(): [name: string, text: Buffer][] {
  const names = readdirSync(BUILT).filter((name) => name.endsWith('.js'));
  return names.map((name) => [name, readFileSync(new URL(name, BUILT))]);
}

export interface SiteOptions {
  /** Scripts beside those of the SDK, by name. */
  scripts?: Record<string, string | Buffer>;
  /** Besides the type of the content; pages have names without a dot. */
  headersOf?: (name: string) => OutgoingHttpHeaders;
}

export class Site {
  /** Names that were asked for, in order. */
  readonly asked: string[] = [];
  /** Names that are not there any more. */
  readonly gone = new Set<string>();

  private constructor(
    private readonly server: Server,
    private readonly scripts: Map<string, string | Buffer>,
    private readonly headersOf: (name: string) => OutgoingHttpHeaders,
  ) {
    server.on('request', ({ url = '' }: { url?: string }, response) => {
      const [name = ''] = url.slice(1).split('?');
      this.asked.push(name);
      const isPage = !name.includes('.');
      const text = isPage ? '<!doctype html>' : this.gone.has(name) ? undefined : this.scripts.get(name);
      response
        .writeHead(text === undefined ? 404 : 200, {
          'content-type': isPage ? 'text/html' : 'text/javascript',
          ...this.headersOf(name),
        })
        .end(text);
    });
  }

  static async open({ scripts = {}, headersOf = () => ({}) }: SiteOptions = {}): Promise<Site> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Site(server, new Map([...builtScripts(), ...Object.entries(scripts)]), headersOf);
  }

  /** Beside those that there are, or in their place. */
  add(scripts: Record<string, string>): void {
    for (const [name, text] of Object.entries(scripts)) this.scripts.set(name, text);
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Another origin with the same files. */
  get elsewhere(): string {
    return `http://localhost:${this.#port}`;
  }

  get #port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.server.close(() => resolve()));
  }
}
