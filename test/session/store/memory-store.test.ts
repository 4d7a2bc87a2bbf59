// The embedded store against the contract, on a clock of the test.
import { expect, test } from '@jest/globals';
import type { ClientId, WorkerId } from '../../../src/protocol/ids.js';
import { MemoryStore } from '../../../src/session/store/memory-store.js';
import type { SessionRef, StoreEvent, StoreSettings } from '../../../src/session/store/store.js';
import {
  append,
  appendRequest,
  attach,
  attachRequest,
  type Harness,
  inbox,
  roomLog,
  SETTINGS,
  W1,
  W2,
} from './fixture.js';
import { testLogs } from './log-contract.js';
import { testStore } from './store-contract.js';

async function startMemory(settings: StoreSettings): Promise<Harness> {
  const told = new Map<WorkerId, StoreEvent[]>();
  const events = (worker: WorkerId): StoreEvent[] => {
    const found = told.get(worker) ?? [];
    told.set(worker, found);
    return found;
  };
  let time = 0;
  const store = new MemoryStore({
    settings,
    deliver: (worker, event) => events(worker).push(event),
    now: () => time,
  });
  return {
    store: () => store,
    events,
    advance: async (ms) => {
      time += ms;
    },
    settle: async () => {},
    sweep: () => store.sweep(),
    expectNothingLeft: async () => {
      time += settings.logTtlMs;
      await store.sweep();
      expect(store.sizes).toEqual({ sessions: 0, clients: 0, rooms: 0, logs: 0, watched: 0, waiting: 0 });
    },
    close: () => store.close(),
  };
}

testStore('MemoryStore', startMemory);
testLogs('MemoryStore', startMemory);

test('MemoryStore drops the logs that were quiet longest when all together are over the budget', async () => {
  const store = new MemoryStore({
    settings: { ...SETTINGS, logBudgetBytes: 7_000 },
    deliver: () => {},
    now: () => 0,
  });
  const sender = await attach(store, attachRequest('sender', W1));
  for (const name of ['a', 'b', 'c', 'a']) {
    await store.append(appendRequest(roomLog(name), { sender, body: new Uint8Array(700) }));
  }
  const kept = async (name: string) => {
    const read = await store.read({ channel: roomLog(name), from: { after: null }, limit: 9 });
    return read.status === 'entries' ? read.entries.length : -1;
  };
  expect([await kept('a'), await kept('b'), await kept('c')]).toEqual([1, 1, 1]);
  await store.append(appendRequest(roomLog('d'), { sender, body: new Uint8Array(700) }));
  expect([await kept('a'), await kept('b'), await kept('c'), await kept('d')]).toEqual([1, 0, 1, 1]);
});

test('MemoryStore keeps the place of a log whose entries went for the budget', async () => {
  const store = new MemoryStore({
    settings: { ...SETTINGS, logBudgetBytes: 3_000 },
    deliver: () => {},
    now: () => 0,
  });
  const sender = await attach(store, attachRequest('sender', W1));
  const ids = [];
  for (const [name, seq] of [
    ['a', 1],
    ['b', 1],
    ['a', 2],
    ['b', 2],
    ['a', 3],
  ] as const) {
    ids.push(await append(store, appendRequest(roomLog(name), { sender, seq, body: new Uint8Array(700) })));
  }
  const read = (name: string, after: string | null) =>
    store.read({ channel: roomLog(name), from: { after }, limit: 9 });
  expect(await read('b', null)).toMatchObject({ missing: 2, entries: [], position: ids[3] });
  expect(await read('b', ids[1] ?? '')).toMatchObject({ missing: 1 });
  expect(await read('a', ids[0] ?? '')).toMatchObject({ missing: 1, entries: [{ id: ids[4] }] });
});

test('MemoryStore takes nothing from an older connection, a session that is over, or one of another client', async () => {
  const told: StoreEvent[] = [];
  const store = new MemoryStore({
    settings: SETTINGS,
    deliver: (_, event) => told.push(event),
    now: () => 0,
  });
  await attach(store, attachRequest('alice', W1));
  const older = await attach(store, attachRequest('bob', W1));
  const newer = await attach(
    store,
    attachRequest('bob', W2, { resume: { session: older.session, keyHash: 'key-1' } }),
  );
  const refused = async (sender: SessionRef) => {
    for (const channel of [inbox('alice'), roomLog('lobby')]) {
      for (const seq of [0, null, 1]) {
        const result = await store.append(appendRequest(channel, { sender, seq }));
        expect(result).toEqual({ status: 'superseded' });
      }
    }
  };
  await refused(older);
  await refused({ ...newer, client: 'mallory' as ClientId });
  // Who waits for a new connection may have sent something just before.
  await store.detach(newer);
  const last = await store.append(appendRequest(inbox('alice'), { sender: newer }));
  expect(last).toMatchObject({ status: 'accepted' });
  await store.end(newer);
  await refused(newer);
  expect(told.filter(({ type }) => type === 'entry')).toHaveLength(1);
});
