// The embedded store over a link: calls that come together go together, and each gets its own answer.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { parseConfig } from '../../src/config.js';
import { GatewayError } from '../../src/protocol/errors.js';
import type { ClientId, RoomName, SessionId, WorkerId } from '../../src/protocol/ids.js';
import { type Link, listenLinks } from '../../src/relay/link.js';
import { type EmbeddedStore, RemoteStore, StoreServer } from '../../src/relay/store-link.js';
import { MemoryStore } from '../../src/session/store/memory-store.js';
import type { AttachRequest, Store } from '../../src/session/store/store.js';
import { until } from '../gateway-process.js';

const WORKER = 'node.1' as WorkerId;
const LOBBY = 'lobby' as RoomName;
const CALLS = 200;

let directory: string;
let path: string;
let close: (() => void)[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'signalbox-test-'));
  path = join(directory, 'store.sock');
  close = [];
});

afterEach(() => {
  for (const each of close) each();
  rmSync(directory, { recursive: true });
});

function remoteStore(lost: () => void = () => undefined): RemoteStore {
  const store = new RemoteStore(path, WORKER, () => undefined, lost);
  close.push(() => void store.close());
  return store;
}

function requestOf(number: number): AttachRequest {
  return {
    client: `client-${String(number)}` as ClientId,
    worker: WORKER,
    resume: null,
    fresh: `session-${String(number)}` as SessionId,
    keyHash: 'hash',
    duplicates: 'allow',
    sessionsLimit: 1,
  };
}

const burst = (store: RemoteStore) =>
  Array.from({ length: CALLS }, (_, number) => store.attach(requestOf(number)));

describe('attach', () => {
  test('of many sessions at once is answered to each, those that are refused too', async () => {
    const memory = new MemoryStore({
      settings: parseConfig({}).store.settings,
      deliver: () => undefined,
    });
    const server = new StoreServer(
      memory,
      () => undefined,
      () => undefined,
    );
    await server.listen(path);
    close.push(() => {
      server.close();
    });
    const store = remoteStore();
    const first = await Promise.all(burst(store));
    expect(first.map((result) => result.status === 'attached' && result.session)).toEqual(
      first.map((_, number) => `session-${String(number)}`),
    );
    // The limit is one session of a client, and the first is connected.
    const again = Array.from({ length: CALLS }, (_, number) =>
      store.attach({ ...requestOf(number), fresh: `other-${String(number)}` as SessionId }),
    );
    const outcomes = await Promise.all([...again, store.attach(requestOf(CALLS))]);
    expect(outcomes.slice(0, CALLS).every(({ status }) => status === 'refused')).toBe(true);
    expect(outcomes.at(-1)).toMatchObject({ status: 'attached', session: `session-${String(CALLS)}` });
  });

  test('goes in few messages when many come at once, and at once when one comes alone', async () => {
    const messages: string[] = [];
    const server = await listenLinks(path, () => ({
      message: (bytes) => {
        messages.push(bytes.toString());
      },
      close: () => undefined,
    }));
    close.push(() => server.close());
    const store = remoteStore();
    const alone = store.attach(requestOf(0)).catch(() => undefined);
    // Its hello, and the call: nothing else comes to send it along.
    await until(() => messages.length === 2);
    for (const each of burst(store)) each.catch(() => undefined);
    await until(() => messages.slice(2).join('').split('"attach"').length === CALLS + 1);
    expect(messages.length).toBeLessThan(10);
    // Each some milliseconds of the primary at most.
    for (const message of messages) expect(message.split('"attach"').length - 1).toBeLessThanOrEqual(64);
    await store.close();
    await alone;
  });

  test('is rejected when the link is lost while it waits for others', async () => {
    let link: (() => Link) | null = null;
    const server = await listenLinks(path, (own) => {
      link = own;
      return { message: () => undefined, close: () => undefined };
    });
    close.push(() => server.close());
    const store = remoteStore();
    await until(() => link);
    const calls = burst(store);
    (link as (() => Link) | null)?.().close();
    const outcomes = await Promise.allSettled(calls);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(GatewayError) as unknown });
    }
    await expect(store.attach(requestOf(0))).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('is refused when what was gathered is too large to be sent', async () => {
    await silentPrimary();
    const store = remoteStore();
    store.attach(requestOf(0)).catch(() => undefined);
    const large = store.attach({ ...requestOf(1), keyHash: 'h'.repeat(17 * 1024 * 1024) });
    await expect(large).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('that waits for others is still sent when the store is closed', async () => {
    const messages = await silentPrimary();
    const store = remoteStore();
    for (const number of [0, 1]) store.attach(requestOf(number)).catch(() => undefined);
    await store.close();
    await until(() => messages.join('').split('"attach"').length === 3);
  });
});

describe('a call', () => {
  test('that the primary does not answer in time has an unknown outcome', async () => {
    await silentPrimary();
    // Sockets know no timers: only the clock and the look at what is late are another.
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    try {
      const store = remoteStore();
      const outcomes: unknown[] = [];
      store.count(LOBBY).catch((error: unknown) => outcomes.push(error));
      await jest.advanceTimersByTimeAsync(4_000);
      expect(outcomes).toEqual([]);
      await jest.advanceTimersByTimeAsync(2_001);
      expect(outcomes).toMatchObject([{ code: 'unknown_outcome' }]);
    } finally {
      jest.useRealTimers();
    }
  });

  test('is refused at once when 50,000 wait', async () => {
    await silentPrimary();
    const store = remoteStore();
    for (let i = 0; i < 50_000; i++) store.count(LOBBY).catch(() => undefined);
    await expect(store.count(LOBBY)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('whose answer is too large for a link has an unknown outcome', async () => {
    const rows = [{ client: 'c'.repeat(17 * 1024 * 1024), sessions: 1 }];
    await primaryWith({ members: () => Promise.resolve({ rows, cursor: null, count: 1 }) });
    const call = remoteStore().members({ room: LOBBY, cursor: null, limit: 1 });
    // Not by waiting for it until its time is over.
    await expect(call).rejects.toMatchObject({ code: 'unknown_outcome', message: 'too large an answer' });
  });
});

test('a worker that has a newer link is not retired when the older one ends', async () => {
  const retired: WorkerId[] = [];
  await primaryWith({
    count: () => Promise.resolve(1),
    retire: (worker: WorkerId) => Promise.resolve(void retired.push(worker)),
  });
  const other = 'node.2' as WorkerId;
  const [older, newer] = [remoteStore(), remoteStore()];
  await older.count(LOBBY);
  await newer.count(LOBBY);
  await older.close();
  await newer.close();
  await until(() => retired.length > 0);
  // Its end comes after both of theirs.
  const last = new RemoteStore(
    path,
    other,
    () => undefined,
    () => undefined,
  );
  await last.count(LOBBY);
  await last.close();
  await until(() => retired.includes(other));
  expect(retired).toEqual([WORKER, other]);
});

/** Hears everything, and answers nothing. */
async function silentPrimary(): Promise<string[]> {
  const messages: string[] = [];
  const server = await listenLinks(path, () => ({
    message: (bytes) => {
      messages.push(bytes.toString());
    },
    close: () => undefined,
  }));
  close.push(() => server.close());
  return messages;
}

/** With a store of which only this is used. */
async function primaryWith(store: {
  [M in keyof Store]?: (...args: never[]) => Promise<unknown>;
}): Promise<void> {
  const server = new StoreServer(
    { retire: () => Promise.resolve(), ...store } as unknown as EmbeddedStore,
    () => undefined,
    () => undefined,
  );
  await server.listen(path);
  close.push(() => {
    server.close();
  });
}
