// RedisStore for two workers on a real server, with what each was told.
import { expect } from '@jest/globals';
import type { WorkerId } from '../../../src/protocol/ids.js';
import { RedisStore, type RedisStoreOptions } from '../../../src/session/store/redis-store.js';
import type { StoreEvent, StoreSettings } from '../../../src/session/store/store.js';
import { type Harness, W1, W2 } from './fixture.js';
import { connectAdmin } from './redis-admin.js';

export interface RedisHarness extends Harness {
  store(worker: WorkerId): RedisStore;
  /** What the stores counted and logged. */
  readonly counted: string[];
  readonly warnings: string[];
}

export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited too long until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export async function startRedisHarness(
  url: string,
  settings: StoreSettings,
  prefix = `t${Math.random().toString(36).slice(2)}`,
  more: Partial<RedisStoreOptions> = {},
): Promise<RedisHarness> {
  const admin = connectAdmin(url);
  const told = new Map<WorkerId, StoreEvent[]>([
    [W1, []],
    [W2, []],
  ]);
  const counted: string[] = [];
  const warnings: string[] = [];
  const connect = (worker: WorkerId) => {
    const options: RedisStoreOptions = {
      url,
      prefix,
      worker,
      settings,
      listener: (event) => told.get(worker)?.push(event),
      log: {
        warn: (_fields: unknown, text?: string) => warnings.push(text ?? ''),
        error: (_fields: unknown, text?: string) => warnings.push(text ?? ''),
      },
      count: (kind) => counted.push(kind),
      ...more,
    };
    return RedisStore.connect(options);
  };
  const [one, two] = await Promise.all([connect(W1), connect(W2)]);
  const store = (worker: WorkerId) => (worker === W1 ? one : two);
  const keys = () => admin.keys(`${prefix}:*`);
  const noteKeys = async () => {
    for (const key of await keys()) {
      const ttl = await admin.pttl(key);
      // -2: gone since the listing.
      if (ttl === -1) throw new Error(`${key} lives for ever`);
      expect(key).toMatch(/^t\w+:\{\w+\}:/);
    }
  };

  return {
    store,
    events: (worker) => told.get(worker) ?? [],
    counted,
    warnings,
    advance: async (ms) => {
      await noteKeys();
      // The server's clock decides; it cannot be told the time.
      const end = (await admin.timeMs()) + ms + 1;
      await until('time has passed', async () => (await admin.timeMs()) >= end);
    },
    // What a server publishes to a connection after the events arrives after them.
    settle: async () => {
      for (const worker of [W1, W2]) {
        const events = told.get(worker) ?? [];
        for (const channel of await admin.channels(`${prefix}:*:to:${worker}`)) {
          const mark = `settle-${Math.random().toString(36).slice(2)}`;
          await admin.publish(channel, `${JSON.stringify({ type: 'route', client: mark })}\n`);
          const at = () => events.findIndex((event) => event.type === 'route' && event.client === mark);
          await until('events have arrived', () => at() >= 0);
          events.splice(at(), 1);
        }
      }
    },
    sweep: async () => {
      // One worker sweeps at a time, and another may just have done so.
      await admin.remove([`${prefix}:{workers}:sweep`]);
      await one.sweep();
    },
    expectNothingLeft: async () => {
      await noteKeys();
      const left = (await keys()).filter((key) => !key.includes('{workers}') && !key.includes(':l:'));
      expect(left).toEqual([]);
    },
    close: async () => {
      await Promise.all([one.close(), two.close()]);
      const all = await keys().catch((): string[] => []);
      await admin.remove(all).catch(() => undefined);
      admin.close();
    },
  };
}
