// The files that a worker serves: the browser SDK with its lazily loaded parts.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

export interface StaticFile {
  type: string;
  body: string | Buffer;
  headers: Record<string, string>;
}

export class StaticFiles {
  private readonly files = new Map<string, StaticFile>();

  /** @param browserDirectory of the bundle: `client.js` and its chunks */
  constructor(browserDirectory: string) {
    for (const name of readdirSync(browserDirectory)) {
      if (!name.endsWith('.js')) continue;
      this.files.set(`/${name}`, {
        type: 'text/javascript; charset=utf-8',
        body: readFileSync(join(browserDirectory, name)),
        // Pages of other origins import the SDK as a module, which needs CORS; it holds nothing secret.
        headers: { 'Access-Control-Allow-Origin': '*', 'Cache-Control': 'no-cache' },
      });
    }
  }

  find(path: string): StaticFile | null {
    return this.files.get(path) ?? null;
  }
}
