// The embedded store over a link: calls that come together go together, and each gets its own answer.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { parseConfig } from '../../src/config.js';
import { GatewayError } from '../../src/protocol/errors.js';
import type { ClientId, SessionId, WorkerId } from '../../src/protocol/ids.js';
import { type Link, listenLinks } from '../../src/relay/link.js';
import { RemoteStore, StoreServer } from '../../src/relay/store-link.js';
import { MemoryStore } from '../../src/session/store/memory-store.js';
import type { AttachRequest } from '../../src/session/store/store.js';
import { until } from '../gateway-process.js';

const WORKER = 'node.1' as WorkerId;
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
});
