// What browsers load: small, free of Node, and able to speak.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from '@jest/globals';
import ts from 'typescript';
import { VERSION } from '../../src/client/version.js';

/** Gzip, bytes. What a page must load before it can connect. 3,500 of them are delivery: numbers, resending, cursors, receipts. */
const ENTRY_LIMIT_BYTES = 13_300;

const root = fileURLToPath(new URL('../..', import.meta.url));
let files: Map<string, string>;
let inputs: string[];

beforeAll(async () => {
  const { bundleClient } = await import('../../scripts/bundle-client.mjs');
  ({ files, inputs } = await bundleClient());
});

function importsOf(text: string): string[] {
  return ts.preProcessFile(text, true, true).importedFiles.map((file) => file.fileName);
}

function staticImportsOf(text: string): string[] {
  return importsOf(text).filter((name) => !text.includes(`import("${name}")`));
}

describe('the browser bundle', () => {
  test('fits its budget when compressed, and reports every file', () => {
    const sizes = [...files].map(([name, text]) => [name, gzipSync(text, { level: 9 }).length] as const);
    const total = sizes.reduce((sum, [, bytes]) => sum + bytes, 0);
    const report = sizes.map(([name, bytes]) => `${name} ${bytes}`).join(', ');
    process.stdout.write(`browser bundle, gzip bytes: ${report}, total ${total}\n`);
    const entry = files.get('client.js') ?? '';
    expect(staticImportsOf(entry)).toEqual([]);
    expect(gzipSync(entry, { level: 9 }).length).toBeLessThanOrEqual(ENTRY_LIMIT_BYTES);
  });

  test('holds neither a Node built-in nor ws, and imports only its own files', () => {
    const names = [...files.values()].flatMap(importsOf);
    expect(names.filter((name) => !files.has(name.replace('./', '')))).toEqual([]);
    expect(names.filter(isBuiltin)).toEqual([]);
    expect(inputs.filter((path) => path.includes('node_modules/ws/'))).toEqual([]);
    expect([...files.values()].filter((text) => /\bBuffer\b|\bprocess\b|\brequire\(/.test(text))).toEqual([]);
  });

  test('has every name that its files take from each other', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'signalbox-bundle-'));
    try {
      writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
      for (const [name, text] of files) writeFileSync(join(folder, name), text);
      const exported: string[][] = [];
      for (const name of files.keys()) exported.push(Object.keys(await import(join(folder, name))));
      expect(exported[0]).toEqual(expect.arrayContaining(['Client', 'GatewayError', 'ProtocolError']));
      const { Client, GatewayError } = await import(join(folder, 'client.js'));
      const client = new Client('ws://127.0.0.1:1', { token: 'a.b.c', whenOffline: 'fail' });
      await expect(client.isOnline('bob')).rejects.toBeInstanceOf(GatewayError);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test('the version of the SDK is that of the package', () => {
  expect(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version).toBe(VERSION);
});
