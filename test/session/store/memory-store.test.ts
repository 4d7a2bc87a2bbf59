// The embedded store against the contract, on a clock of the test.
import { expect, test } from '@jest/globals';
import type { WorkerId } from '../../../src/protocol/ids.js';
import { MemoryStore } from '../../../src/session/store/memory-store.js';
import type { StoreEvent, StoreSettings } from '../../../src/session/store/store.js';
import { appendRequest, type Harness, roomLog, SETTINGS, testStore } from './store-contract.js';

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

test('MemoryStore drops the logs that were quiet longest when all together are over the budget', async () => {
  const store = new MemoryStore({
    settings: { ...SETTINGS, logBudgetBytes: 3_000 },
    deliver: () => {},
    now: () => 0,
  });
  for (const name of ['a', 'b', 'c', 'a']) {
    await store.append(appendRequest(roomLog(name), { body: new Uint8Array(700) }));
  }
  const kept = async (name: string) => {
    const read = await store.read({ channel: roomLog(name), after: null, limit: 9 });
    return read.status === 'entries' ? read.entries.length : -1;
  };
  expect([await kept('a'), await kept('b'), await kept('c')]).toEqual([1, 1, 1]);
  await store.append(appendRequest(roomLog('d'), { body: new Uint8Array(700) }));
  expect([await kept('a'), await kept('b'), await kept('c'), await kept('d')]).toEqual([1, 0, 1, 1]);
});
