// Both stores give the same answers to the same calls, in any order of calls.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { SessionId, WorkerId } from '../../../src/protocol/ids.js';
import { MemoryStore } from '../../../src/session/store/memory-store.js';
import type { Channel, SessionRef, Store, StoreSettings } from '../../../src/session/store/store.js';
import { type RedisServer, startRedis } from '../../redis-server.js';
import { startRedisHarness } from './redis-harness.js';
import {
  appendRequest,
  attach,
  attachRequest,
  client,
  newSession,
  room,
  SETTINGS,
  W1,
  W2,
} from './fixture.js';

/** Windows so long that time plays no role. */
const TIMELESS: StoreSettings = {
  ...SETTINGS,
  resumeWindowMs: 3_600_000,
  presenceGraceMs: 3_600_000,
  workerLeaseMs: 3_600_000,
};
const CLIENTS = ['alice', 'bob'].map(client);
const ROOMS = ['a', 'b', 'c'].map(room);
const WORKERS: WorkerId[] = [W1, W2];

const pick = fc.nat({ max: 7 });
const operation = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('attach' as const),
      who: pick,
      resume: fc.boolean(),
      key: pick,
      worker: pick,
      duplicates: fc.constantFrom('allow' as const, 'allow' as const, 'replace' as const, 'reject' as const),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constantFrom('detach' as const, 'end' as const, 'renew' as const),
      ref: pick,
      behind: fc.nat({ max: 3 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constantFrom('join' as const, 'leave' as const),
      ref: pick,
      behind: fc.nat({ max: 3 }),
      room: pick,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant('append' as const),
      to: pick,
      sender: pick,
      seq: fc.constantFrom(null, 0, 1, 2, 3, 4),
      only: fc.option(pick),
      size: fc.constantFrom(0, 1, 400),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('read' as const),
      to: pick,
      after: fc.option(pick),
      limit: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constantFrom('locate' as const, 'online' as const, 'members' as const, 'count' as const),
      who: pick,
      room: pick,
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('retire' as const), worker: pick }) },
);
type Operation = typeof operation extends fc.Arbitrary<infer Value> ? Value : never;

/** One store's side of a run: both sides know the same sessions, each its own entry ids. */
class Side {
  private readonly known: SessionRef[] = [];
  private readonly ids: string[] = [];
  private readonly senders: SessionRef[] = [];

  constructor(private readonly storeOf: (worker: WorkerId) => Store) {}

  /** Two sessions that send and are never ended: what Redis cannot know of a sender is not compared. */
  async prepare(): Promise<void> {
    for (const end of ['0', '1']) {
      const fresh = `${'s'.repeat(21)}${end}` as SessionId;
      this.senders.push(await attach(this.storeOf(W1), attachRequest(`sender-${end}`, W1, { fresh })));
    }
  }

  async perform(operation: Operation, fresh: SessionId): Promise<unknown> {
    const store = this.storeOf(W1);
    const at = <Value>(values: readonly Value[], index: number): Value | undefined =>
      values[index % Math.max(1, values.length)];
    switch (operation.op) {
      case 'attach': {
        const worker = at(WORKERS, operation.worker) ?? W1;
        const old = at(this.known, operation.who);
        // Mostly the session's own client, seldom a stranger.
        const own = operation.resume && operation.key < 7 ? old?.client : undefined;
        const name = own ?? at(CLIENTS, operation.who) ?? client('x');
        const result = await this.storeOf(worker).attach({
          client: name,
          worker,
          resume:
            operation.resume && old !== undefined
              ? { session: old.session, keyHash: `k${operation.key % 2}` }
              : null,
          fresh,
          keyHash: `k${(operation.key >> 1) % 2}`,
          duplicates: operation.duplicates,
          sessionsLimit: 3,
        });
        if (result.status !== 'attached') return result;
        const { session, generation } = result;
        const at2 = this.known.findIndex((ref) => ref.session === session);
        const ref = { client: name, session, generation };
        if (at2 < 0) this.known.push(ref);
        else this.known[at2] = ref;
        return { ...result, inbox: offsetOf(result.inbox), rooms: [...result.rooms].sort() };
      }
      case 'detach':
      case 'end':
      case 'renew':
      case 'join':
      case 'leave': {
        const known = at(this.known, operation.ref);
        if (known === undefined) return null;
        const ref = {
          ...known,
          generation: Math.max(1, known.generation - Math.max(0, operation.behind - 1)),
        };
        if (operation.op === 'detach' || operation.op === 'end') return store[operation.op](ref);
        // Only the worker that holds a session renews it.
        const [place] = (await store.locate(ref.client, null)).filter(
          ({ session }) => session === ref.session,
        );
        if (operation.op === 'renew') {
          return place?.connected === true
            ? store.renew(place.worker, [{ ...ref, generation: place.generation }])
            : null;
        }
        const name = at(ROOMS, 'room' in operation ? operation.room : 0) ?? room('x');
        if (operation.op === 'leave') return store.leave(ref, name);
        const joined = await store.join({ ...ref, room: name, worker: place?.worker ?? W1, roomsLimit: 2 });
        return joined.status === 'joined' ? { ...joined, position: offsetOf(joined.position) } : joined;
      }
      case 'append': {
        const sender = at(this.senders, operation.sender);
        if (sender === undefined) throw new Error('not prepared');
        const result = await store.append(
          appendRequest(this.channel(operation.to), {
            sender,
            seq: operation.seq,
            only: operation.only === null ? null : (at(this.known, operation.only)?.session ?? null),
            body: new Uint8Array(operation.size).fill(operation.sender),
          }),
        );
        if (result.status !== 'accepted') return result;
        if (result.id !== null) this.ids.push(result.id);
        return { ...result, id: offsetOf(result.id) };
      }
      case 'read': {
        const after = operation.after === null ? null : (at(this.ids, operation.after) ?? null);
        const result = await store.read({
          channel: this.channel(operation.to),
          from: { after },
          limit: operation.limit,
        });
        const position = offsetOf(result.position);
        if (result.status === 'lost') return { ...result, position };
        const entries = result.entries.map(({ id, body, ...rest }) => [offsetOf(id), rest, [...body]]);
        return { ...result, position, entries };
      }
      case 'locate':
        return store.locate(at(CLIENTS, operation.who) ?? client('x'), null);
      case 'online':
        return store.online(at(CLIENTS, operation.who) ?? client('x'));
      case 'members':
        return store.members({ room: at(ROOMS, operation.room) ?? room('x'), cursor: null, limit: 9 });
      case 'count':
        return store.count(at(ROOMS, operation.room) ?? room('x'));
      case 'retire':
        return store.retire(at(WORKERS, operation.worker) ?? W1);
      default:
        return operation satisfies never;
    }
  }

  async summary(): Promise<unknown> {
    const store = this.storeOf(W2);
    return {
      places: await Promise.all(CLIENTS.map((name) => store.locate(name, null))),
      online: (await store.clients({ prefix: '', cursor: null, limit: 99 })).rows.sort(),
      rooms: await Promise.all(ROOMS.map((name) => store.members({ room: name, cursor: null, limit: 9 }))),
    };
  }

  private channel(to: number): Channel {
    const name = ROOMS[to % 5];
    return name === undefined
      ? { kind: 'inbox', client: CLIENTS[to % 2] ?? client('x') }
      : { kind: 'room', room: name };
  }
}

/** Epochs and tags are random: what stays is whether there is an id, and its offset. */
function offsetOf(id: string | null): string | null {
  return id === null ? null : (/:(\d+)-/.exec(id)?.[1] ?? 'none');
}

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

test('MemoryStore and RedisStore answer alike', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 10, maxLength: 50 }), async (operations) => {
      const memoryStore = new MemoryStore({ settings: TIMELESS, deliver: () => {} });
      const harness = await startRedisHarness(server.url, TIMELESS);
      try {
        const memory = new Side(() => memoryStore);
        const redis = new Side((worker) => harness.store(worker));
        await memory.prepare();
        await redis.prepare();
        for (const operation of operations) {
          const fresh = newSession();
          const answer = await redis.perform(operation, fresh);
          expect({ operation, answer }).toEqual({
            operation,
            answer: await memory.perform(operation, fresh),
          });
        }
        expect(await redis.summary()).toEqual(await memory.summary());
        await harness.advance(0);
      } finally {
        await harness.close();
      }
    }),
    { numRuns: 40 },
  );
});
