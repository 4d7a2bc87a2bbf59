// The SDK for pages, with one edit in its sources: as bundlers make it of them, since the gateway's own files take too long to make.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

const SOURCES = fileURLToPath(new URL('../../../src/client/', import.meta.url));
/** What browsers have themselves. */
const OF_THE_PLATFORM: Record<string, string> = {
  'node-websocket.ts': 'export const platformWebSocket = () => WebSocket;',
  'node-request.ts': 'export const platformRequest = () => fetch;',
};

export interface Edit {
  /** In src/client/rtc. */
  file: string;
  /** There once. */
  from: string;
  to: string;
}

export interface Mutant extends Edit {
  name: string;
  /** Names of specifications, and of ways to go away; others may fail as well. */
  caughtBy: readonly string[];
  /** The mechanism that the specifications are played over; default the plain loopback, on which offers need not cross. */
  over?: string;
}

export function sourceOf(file: string): string {
  return readFileSync(join(SOURCES, 'rtc', file), 'utf8');
}

function editing(edits: readonly Edit[]): Plugin {
  return {
    name: 'editing',
    setup({ onLoad }) {
      for (const [file, contents] of Object.entries(OF_THE_PLATFORM))
        onLoad({ filter: new RegExp(`[\\\\/]client[\\\\/]${file}$`) }, () => ({ contents }));
      for (const { file, from, to } of edits)
        onLoad({ filter: new RegExp(`[\\\\/]rtc[\\\\/]${file}$`) }, () => ({
          // A function: what is put in may have a dollar sign.
          contents: sourceOf(file).replace(from, () => to),
          loader: 'ts',
        }));
    },
  };
}

/** Scripts by name: client.js, rtc.js and what they load. */
export async function buildSdk(edits: readonly Edit[]): Promise<Record<string, string>> {
  const { outputFiles } = await build({
    entryPoints: { client: join(SOURCES, 'index.ts'), rtc: join(SOURCES, 'rtc/rtc.ts') },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    external: ['node:*'],
    outdir: '/',
    write: false,
    logLevel: 'error',
    plugins: [editing(edits)],
  });
  return Object.fromEntries(outputFiles.map(({ path, text }) => [path.slice(1), text]));
}
