// What browsers load: small, free of Node, and able to speak.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from '@jest/globals';
import ts from 'typescript';
import { WebSocket } from 'ws';
import type { Client } from '../../src/client/client.js';
import { VERSION } from '../../src/client/version.js';
import { decodePayload } from '../../src/protocol/payload.js';
import type { Serializers } from '../../src/protocol/serializers.js';
import { startGateway, tokenOf } from '../gateway-process.js';
import { BOB, ScriptedGateway } from './scripted-gateway.js';

/** Gzip, bytes. What a page must load before it can connect. */
const ENTRY_LIMIT_BYTES = 10_830;
/** Of all late files together; who adds one raises it by what it weighs. */
const LATE_LIMIT_BYTES = 64_440;
/**
 * Of the doors that nothing loads but an application that wants them: Socket.IO's code, serializers, work in other threads with its
 * worker, shared tabs, and calls in one trip.
 */
const DOOR_LIMITS_BYTES: Record<string, number> = {
  'socket-io.js': 2_850,
  'offload.js': 4_800,
  'offload-worker.js': 900,
  // The frames' codec and pako; loaded by clients with `offload: true`, in place of compression.js.
  'offload-socket-worker.js': 26_940,
  'serializers.js': 3_300,
  // Loaded by rtc.js, where `onPeer` or `peer` is called with `standing: true`.
  'standing-calls.js': 4_140,
  // Loaded by clients with `shareTabs: true`: the gateway's side of the codec is in it, and what tells how hubs follow each other.
  'tabs.js': 22_800,
  // The same hub in a SharedWorker, with all ways to the gateway.
  'tabs-worker.js': 23_400,
};

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
  return importsOf(text).filter((name) => !text.includes(`import("${name}"`));
}

describe('the browser bundle', () => {
  test('fits its budget when compressed, and reports every file', () => {
    const sizes = [...files].map(([name, text]) => [name, gzipSync(text, { level: 9 }).length] as const);
    const total = sizes.reduce((sum, [, bytes]) => sum + bytes, 0);
    const report = sizes.map(([name, bytes]) => `${name} ${bytes}`).join(', ');
    const entry = files.get('client.js') ?? '';
    const entryBytes = gzipSync(entry, { level: 9 }).length;
    process.stdout.write(
      `browser bundle, gzip bytes: ${report}, late ${total - entryBytes}, total ${total}\n`,
    );
    expect(staticImportsOf(entry)).toEqual([]);
    expect(entryBytes).toBeLessThanOrEqual(ENTRY_LIMIT_BYTES);
    let doorBytes = 0;
    for (const [door, limit] of Object.entries(DOOR_LIMITS_BYTES)) {
      const bytes = Object.fromEntries(sizes)[door] ?? Infinity;
      expect(bytes).toBeLessThanOrEqual(limit);
      doorBytes += bytes;
    }
    expect(total - entryBytes - doorBytes).toBeLessThanOrEqual(LATE_LIMIT_BYTES);
  });

  test('is as large as the guide says', () => {
    const guide = readFileSync(join(root, 'docs', 'client.md'), 'utf8');
    const told = [...guide.matchAll(/`([\w-]+\.js)` \((?:pako, )?([\d.]+) kB/g)];
    expect(told.map(([, name]) => name)).toEqual(expect.arrayContaining(['client.js', 'late.js', 'rtc.js']));
    for (const [text, name = '', kilobytes] of told) {
      const bytes = gzipSync(files.get(name) ?? '', { level: 9 }).length;
      expect([text, Math.abs(bytes / 1000 - Number(kilobytes)) <= 0.3]).toEqual([text, true]);
    }
  });

  test('holds neither a Node built-in nor ws, and imports only its own files', () => {
    const names = [...files.values()].flatMap(importsOf);
    expect(names.filter((name) => !files.has(name.replace('./', '')))).toEqual([]);
    expect(names.filter(isBuiltin)).toEqual([]);
    expect(inputs.filter((path) => path.includes('node_modules/ws/'))).toEqual([]);
    expect([...files.values()].filter((text) => /\bBuffer\b|\bprocess\b|\brequire\(/.test(text))).toEqual([]);
  });

  test('has a form that bundlers can follow: each load is of one file that is there', async () => {
    const { forBundlers } = await import('../../scripts/bundle-client.mjs');
    const loadsOf = (text: string): string[] =>
      [...text.matchAll(/\bimport\(([^)]*)\)/g)].map(([, url = '']) => url);
    const bundled = forBundlers(files);
    const found: string[] = [];
    for (const [name, text] of files) {
      const loads = loadsOf(bundled.get(name) ?? '');
      expect(loads).toHaveLength(loadsOf(text).length);
      found.push(...loads);
    }
    expect(found).toContain('"./late.js"');
    expect(found.filter((url) => !files.has(/^"\.\/(.+)"$/.exec(url)?.[1] ?? ''))).toEqual([]);
  });

  test('lets Chromium compile as a whole what the first call runs, and not what connects', () => {
    const hinted = [...files].filter(([, text]) => text.startsWith('//# allFunctionsCalledOnLoad\n'));
    expect(hinted.map(([name]) => name).sort()).toEqual([
      'compression.js',
      'late.js',
      'rtc.js',
      'standing-calls.js',
    ]);
  });

  test('reads what the gateway counts of a session in shared tabs alone', () => {
    // The entry has a shorter table of the same frame (scripts/slim-sources.mjs).
    const field = /\bgeneration:\w+,rooms:/;
    expect(files.get('tabs.js')).toMatch(field);
    expect(files.get('client.js')).not.toMatch(/generation/);
  });

  test('has every name that its files take from each other', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'signalbox-bundle-'));
    try {
      writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
      for (const [name, text] of files) writeFileSync(join(folder, name), text);
      const exported: string[][] = [];
      // A worker's program is no module.
      const modules = [...files.keys()].filter((name) => !name.endsWith('-worker.js'));
      for (const name of modules) exported.push(Object.keys(await import(join(folder, name))));
      expect(exported[0]).toEqual(expect.arrayContaining(['Client', 'GatewayError', 'ProtocolError']));
      const { Client, GatewayError } = await import(join(folder, 'client.js'));
      const client = new Client('ws://127.0.0.1:1', { token: 'a.b.c', whenOffline: 'fail' });
      await expect(client.isOnline('bob')).rejects.toBeInstanceOf(GatewayError);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test('the bundle reads and writes what serializers.js registers', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'signalbox-bundle-'));
  const gateway = await startGateway();
  try {
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    for (const [name, text] of files) writeFileSync(join(folder, name), text);
    const bundle: { Client: typeof Client } = await import(join(folder, 'client.js'));
    const door: { Serializers: typeof Serializers } = await import(join(folder, 'serializers.js'));
    class Vector {
      constructor(readonly x: number) {}
    }
    const contexts: unknown[] = [];
    const serializers = new door.Serializers()
      .register<number>({
        name: 'byte',
        codec: 8,
        events: ['byte'],
        encode: (value) => new Uint8Array([value]),
        decode: (bytes, context) => {
          contexts.push(context);
          return bytes[0] ?? 0;
        },
      })
      .extend(1, Vector, {
        encode: ({ x }, pack) => pack(x),
        decode: (bytes, unpack) => new Vector(Number(unpack(bytes))),
      });
    const make = (name: string, others: object) =>
      new bundle.Client(gateway.url, { token: tokenOf(name), WebSocket, ...others });
    const [alice, bob, carol] = [
      make('alice', { serializers }),
      make('bob', { serializers }),
      make('carol', {}),
    ];
    const errors: unknown[] = [];
    carol.on('error', (error) => errors.push(error));
    bob.onRequest('byte', (data: number) => data + 1);
    bob.onRequest('vector', ({ x }: Vector) => new Vector(x + 1));
    await Promise.all([bob.connect(), carol.connect()]);
    // Before the late file is there.
    const early = alice.request('bob', 'byte', 1);
    await alice.connect();
    expect(await early).toBe(2);
    expect(await alice.request('bob', 'vector', new Vector(1))).toEqual(new Vector(2));
    expect(contexts).toEqual([
      { event: 'byte', reply: false },
      { event: 'byte', reply: true },
    ]);
    await expect(alice.request('carol', 'byte', 7)).rejects.toMatchObject({ code: 'unknown_encoding' });
    expect(errors).toMatchObject([{ code: 'unknown_encoding', codec: 8, data: new Uint8Array([7]) }]);
    await Promise.all([alice, bob, carol].map((client) => client.close()));
  } finally {
    await gateway.stop();
    rmSync(folder, { recursive: true });
  }
}, 60_000);

test.each(['msgpack', 'json'] as const)('the bundle speaks %s with a gateway', async (codec) => {
  const folder = mkdtempSync(join(tmpdir(), 'signalbox-bundle-'));
  const gateway = await ScriptedGateway.open(codec);
  let client: Client | undefined;
  try {
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    for (const [name, text] of files) writeFileSync(join(folder, name), text);
    const bundle: { Client: typeof Client } = await import(join(folder, 'client.js'));
    const made = new bundle.Client(gateway.url, { token: 'a.b.c', codec, WebSocket });
    client = made;
    const connected = made.connect();
    const peer = await gateway.accept();
    await peer.welcome({ iceServers: [{ urls: 'stun:stun.example' }] });
    await connected;
    expect([made.id, made.state, made.iceServers]).toEqual([
      'alice',
      'connected',
      [{ urls: 'stun:stun.example' }],
    ]);

    const sent = made.send('bob', 'n', { at: [1, -1, 1e12, 'ä'.repeat(2000)] }, { delivered: true });
    const send = await peer.next('send');
    expect(send).toMatchObject({ seq: 1, to: 'bob', event: 'n', options: { delivered: true } });
    expect(send.payload.encoding & 0x10).toBe(0x10);
    peer.ok(send.ref, { id: 'e:1-x' });
    peer.send({ type: 'delivered', by: BOB, seq: 1 });
    expect(await sent).toEqual({ id: 'e:1-x', absent: [] });

    const heard: unknown[] = [];
    made.room('lobby').onMessage('n', (data, from, info) => heard.push([data, from.client, info.id]));
    const joined = made.room('lobby').join({ history: 1 });
    const asked = await peer.next('join');
    peer.ok(asked.ref, { count: 1, position: 'r:1-x' });
    await joined;
    peer.roomMessage('lobby', 'n', new Map([[1, new Date(5)]]), { id: 'r:2-x', seq: 1, delivered: true });
    expect(await peer.next('receipt')).toMatchObject({ seq: 1 });
    expect(heard).toEqual([[new Map([[1, new Date(5)]]), 'bob', 'r:2-x']]);

    made.onRequest('add', (data) => [data, 'answered']);
    peer.requested('handle', 'add', 2);
    expect(decodePayload((await peer.next('reply')).payload)).toEqual([2, 'answered']);
    peer.requested('other', 'sub', 2);
    expect(await peer.next('reject')).toMatchObject({ handle: 'other', code: 'no_handler' });

    const refused = made.clients().catch((error: unknown) => error);
    peer.refuse((await peer.next('clients')).ref, 'forbidden');
    expect(await refused).toMatchObject({ name: 'GatewayError', code: 'forbidden' });
  } finally {
    await gateway.close();
    await client?.close();
    rmSync(folder, { recursive: true });
  }
});

test.each(['sse', 'poll'] as const)('the bundle reaches a gateway by %s', async (transport) => {
  const folder = mkdtempSync(join(tmpdir(), 'signalbox-bundle-'));
  const gateway = await startGateway({ WORKERS: '1' });
  let client: Client | undefined;
  try {
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    for (const [name, text] of files) writeFileSync(join(folder, name), text);
    const bundle: { Client: typeof Client } = await import(join(folder, 'client.js'));
    const options = { token: tokenOf('alice'), transports: [transport], WebSocket };
    const made = new bundle.Client(gateway.url, options);
    client = made;
    await made.connect({ signal: AbortSignal.timeout(10_000) });
    const heard = new Promise((resolve) => made.onMessage('n', resolve));
    await made.send('alice', 'n', [transport, 1]);
    expect(await heard).toEqual([transport, 1]);
  } finally {
    await client?.close();
    await gateway.stop();
    rmSync(folder, { recursive: true });
  }
});

test('the version of the SDK is that of the package', () => {
  expect(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version).toBe(VERSION);
});
