// Group K of the catalogue of bad input: what a broken worker can say to the primary.
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { WorkerId } from '../../src/protocol/ids.js';
import { writeWithBytes } from '../../src/relay/link-value.js';
import { RemoteStore, StoreServer } from '../../src/relay/store-link.js';
import { MemoryStore } from '../../src/session/store/memory-store.js';
import { parseConfig } from '../../src/config.js';
import { parseToPrimary } from '../../src/worker/control.js';
import { until } from '../gateway-process.js';

describe('parseToPrimary', () => {
  test.each([
    null,
    undefined,
    5,
    'ready',
    [],
    {},
    { type: 'nothing' },
    { type: 5 },
    { type: '__proto__' },
    { type: 'constructor' },
    { type: 'toString' },
    { type: 'ready' },
    { type: 'ready', port: '80' },
    { type: 'metrics' },
    { type: 'metrics', id: '1' },
    { type: 'located', id: null },
  ])('is null when the message is %j', (message) => {
    expect(parseToPrimary(message)).toBeNull();
  });

  test('never throws, whatever the message is', () => {
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true, withBigInt: true, withMap: true }), (message) => {
        parseToPrimary(message);
      }),
    );
  });

  test('takes what workers say', () => {
    expect(parseToPrimary({ type: 'ready', port: 80, more: 1 })).toEqual({ type: 'ready', port: 80 });
    expect(parseToPrimary({ type: 'alive' })).toEqual({ type: 'alive' });
    const load = { type: 'load', connections: 7, done: 0 };
    expect(parseToPrimary(load)).toEqual(load);
    expect(parseToPrimary({ ...load, done: null })).toBeNull();
    expect(parseToPrimary({ ...load, connections: '7' })).toBeNull();
    expect(parseToPrimary({ type: 'located', id: 1, places: null })).toEqual({
      type: 'located',
      id: 1,
      places: null,
    });
  });
});

describe('StoreServer', () => {
  const worker = 'node.1' as WorkerId;
  let directory: string;
  let path: string;
  let memory: MemoryStore;
  let server: StoreServer;
  let bad: number;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'signalbox-test-'));
    path = join(directory, 'store.sock');
    bad = 0;
    memory = new MemoryStore({
      settings: parseConfig({}).store.settings,
      deliver: (to, event) => {
        server.deliver(to, event);
      },
    });
    server = new StoreServer(
      memory,
      () => {
        bad++;
      },
      () => undefined,
    );
    await server.listen(path);
  });

  afterEach(async () => {
    server.close();
    await memory.close();
    rmSync(directory, { recursive: true });
  });

  function message(bytes: Uint8Array): Buffer {
    const head = Buffer.alloc(4);
    head.writeUInt32LE(bytes.length);
    return Buffer.concat([head, bytes]);
  }

  /** Sends raw bytes as a worker of its own; resolves when the primary has taken them. */
  async function speak(...messages: Uint8Array[]): Promise<void> {
    const socket = createConnection(path);
    await once(socket, 'connect');
    socket.write(Buffer.concat(messages));
    // An answer to the last call shows that everything before it was read.
    socket.write(message(writeWithBytes({ id: 0, method: 'count', args: ['lobby'] })));
    await new Promise((resolve) => {
      socket.once('data', resolve);
      socket.once('close', resolve);
      socket.on('error', () => undefined);
    });
    socket.destroy();
  }

  async function expectService(): Promise<void> {
    await memory.sweep();
    const store = new RemoteStore(
      path,
      worker,
      () => undefined,
      () => undefined,
    );
    await until(() => store.ready);
    expect(await store.count('lobby' as never)).toBe(0);
    await store.close();
  }

  test('counts and survives messages that are no calls', async () => {
    await speak(
      message(Buffer.from('garbage')),
      message(Buffer.alloc(0)),
      message(Buffer.from('null')),
      message(writeWithBytes({ id: 1, method: 'close', args: [] })),
      message(writeWithBytes({ id: 1, method: 'constructor', args: [] })),
      message(writeWithBytes({ id: 1, method: '__proto__', args: [] })),
      message(writeWithBytes({ id: '1', method: 'count', args: [] })),
      message(writeWithBytes({ id: 1, method: 'count', args: { length: 1 } })),
      message(writeWithBytes({ hello: 5 })),
      message(Buffer.from('{')),
      message(Buffer.from('{"id":1,"method":"close","args":[]}')),
      message(Buffer.from('{"id":1,"method":"__proto__","args":[]}')),
      message(Buffer.from('[null]')),
      message(
        Buffer.from('[{"id":1,"method":"count","args":["lobby"]},{"id":2,"method":"close","args":[]}]'),
      ),
      message(Buffer.from('[{"id":1,"method":"append","args":[]}]')),
      message(Buffer.from('[[{"id":1,"method":"count","args":["lobby"]}]]')),
      message(Buffer.from('[')),
    );
    expect(bad).toBe(17);
    await expectService();
  });

  test('cuts a link off when it announces more than a message may hold', async () => {
    await speak(Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 2, 3]));
    await expectService();
  });

  test('survives any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }), async (all) => {
        await speak(...all.map(message));
      }),
      { numRuns: 30 },
    );
    await expectService();
  });

  test('survives calls with arguments of any kind', async () => {
    const method = fc.constantFrom(
      ...['attach', 'detach', 'end', 'locate', 'online', 'clients', 'join', 'leave'],
      ...['members', 'count', 'append', 'read', 'renew', 'retire', 'sweep'],
    );
    const call = fc.record({ id: fc.nat(), method, args: fc.array(fc.jsonValue(), { maxLength: 3 }) });
    const calls = fc.oneof(call, fc.array(call, { maxLength: 4 }));
    await fc.assert(
      fc.asyncProperty(fc.array(calls, { minLength: 1, maxLength: 10 }), async (messages) => {
        await speak(...messages.map((each) => message(writeWithBytes(each))));
      }),
      { numRuns: 100 },
    );
    await expectService();
  });
});
