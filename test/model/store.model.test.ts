// Random calls, step by step, against the model, the embedded store and the scripts on a real Redis: the same answers.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import type { SessionId, WorkerId } from '../../src/protocol/ids.js';
import { MemoryStore } from '../../src/session/store/memory-store.js';
import type { AppendRequest, Channel, SessionRef, Store, StoreEvent } from '../../src/session/store/store.js';
import { type RedisServer, startRedis } from '../redis-server.js';
import { seedsOr } from '../seeds.js';
import {
  appendRequest,
  attachRequest,
  client,
  newSession,
  room,
  SETTINGS,
  W1,
  W2,
} from '../session/store/fixture.js';
import { type RedisHarness, startRedisHarness } from '../session/store/redis-harness.js';
import * as model from './store-model.js';

/** Windows so long that time plays no role. */
const TIMELESS = {
  ...SETTINGS,
  logLimitEntries: model.LIMITS.entries,
  logLimitBytes: model.LIMITS.bytes,
  resumeWindowMs: 3_600_000,
  presenceGraceMs: 3_600_000,
  workerLeaseMs: 3_600_000,
  logTtlMs: 3_600_000,
  offlineTtlMs: 3_600_000,
};
const CLIENTS = ['alice', 'bob'].map(client);
const ROOMS = ['a', 'b', 'c', 'd'].map(room);
const CHANNELS: Channel[] = [
  ...CLIENTS.map((name) => ({ kind: 'inbox', client: name }) as const),
  ...ROOMS.slice(0, 2).map((name) => ({ kind: 'room', room: name }) as const),
];
const WORKERS: WorkerId[] = [W1, W2];
/** Enough that a log forgets some. */
const SENDERS = 24;

/** A store as a run sees it, with its ids as the model calls them. */
class Subject {
  private readonly modelIds = new Map<string, string>();
  private readonly ids = new Map<string, string>();

  constructor(
    readonly storeOf: (worker: WorkerId) => Store,
    private readonly eventsOf: (worker: WorkerId) => Promise<StoreEvent[]>,
  ) {}

  /** Two names for one entry, or one name for two, is a failure. */
  learn(id: string, modelId: string): void {
    expect([this.modelIds.get(id) ?? modelId, this.ids.get(modelId) ?? id]).toEqual([modelId, id]);
    this.modelIds.set(id, modelId);
    this.ids.set(modelId, id);
  }
  idOf(modelId: string | null): string | null {
    return modelId === null ? null : (this.ids.get(modelId) ?? 'unknown');
  }
  /** The answer with ids replaced; bodies become texts. */
  rename(value: unknown): unknown {
    if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1');
    if (typeof value === 'string') return this.modelIds.get(value) ?? value;
    if (Array.isArray(value)) return value.map((item: unknown) => this.rename(item));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, this.rename(item)]));
  }

  /** Entries and fences, as the model writes them down; presence and routes have tests of their own. */
  async told(worker: WorkerId): Promise<string[]> {
    return (await this.eventsOf(worker)).flatMap((event) => {
      if (event.type === 'fence') return [`${event.code} ${event.session} ${event.generation}`];
      if (event.type !== 'entry') return [];
      const { id } = event.entry;
      return [id === null ? `${model.channelName(event.channel)} volatile` : String(this.rename(id))];
    });
  }
}

interface World {
  state: model.State;
  /** Every session that ever was, at its newest generation. */
  known: SessionRef[];
  senders: SessionRef[];
}
type Real = Subject[];
type Step = (state: model.State) => [model.State, unknown];

/** Makes a step in the model and the same call in each store. */
async function play(
  world: World,
  real: Real,
  step: Step,
  call: (subject: Subject) => Promise<unknown>,
): Promise<unknown> {
  const [state, expected] = step(world.state);
  for (const subject of real) {
    const answer = await call(subject);
    if (typeof answer === 'object' && answer !== null && 'rooms' in answer && Array.isArray(answer.rooms))
      answer.rooms.sort();
    expect(subject.rename(answer)).toEqual(expected);
  }
  world.state = state;
  return expected;
}

const at = <Value>(values: readonly Value[], index: number): Value => {
  const value = values[index % values.length];
  if (value === undefined) throw new Error('nothing to choose from');
  return value;
};

class Command implements fc.AsyncCommand<World, Real> {
  constructor(
    private readonly name: string,
    private readonly possible: (world: World) => boolean,
    private readonly act: (world: World, real: Real) => Promise<unknown>,
  ) {}
  check(world: Readonly<World>): boolean {
    return this.possible(world);
  }
  async run(world: World, real: Real): Promise<void> {
    await this.act(world, real);
    assertInvariants(world.state);
  }
  toString(): string {
    return this.name;
  }
}

const small = fc.nat({ max: 11 });
const anything = () => true;

const attaching = fc
  .record({
    who: small,
    resume: fc.boolean(),
    stranger: fc.nat({ max: 7 }),
    worker: small,
    key: small,
    next: small,
    duplicates: fc.constantFrom('allow' as const, 'allow' as const, 'replace' as const, 'reject' as const),
  })
  .map(({ who, resume, stranger, worker, key, next, duplicates }) => {
    const fresh = newSession();
    const act = async (world: World, real: Real) => {
      const old = world.known.length > 0 && resume ? at(world.known, who) : null;
      const name = old !== null && stranger > 0 ? old.client : at(CLIENTS, who);
      const request = attachRequest(name, at(WORKERS, worker), {
        fresh,
        resume: old && { session: old.session, keyHash: `k${key % 3}` },
        keyHash: `k${next % 3}`,
        duplicates,
        sessionsLimit: 3,
      });
      await play(
        world,
        real,
        (state) => model.attach(state, request),
        (subject) => subject.storeOf(request.worker).attach(request),
      );
      const made = world.state.sessions.at(-1);
      if (made?.attachedAt !== world.state.clock || made.client !== name) return;
      const { session, generation } = made;
      world.known = [
        ...world.known.filter((ref) => ref.session !== session),
        { client: name, session, generation },
      ];
    };
    return new Command(
      `attach(${JSON.stringify({ who, resume, stranger, key, next, duplicates })})`,
      anything,
      act,
    );
  });

/** A reference to the session's newest connection or, seldom, to an older one. */
function refOf(world: World, which: number, behind: number): SessionRef {
  const known = at(world.known, which);
  return { ...known, generation: Math.max(1, known.generation - Math.max(0, behind - 2)) };
}

const leaving = fc
  .record({
    what: fc.constantFrom(
      'detach' as const,
      'end' as const,
      'join' as const,
      'join' as const,
      'leave' as const,
    ),
    which: small,
    behind: fc.nat({ max: 4 }),
    where: small,
    again: fc.boolean(),
  })
  .map(({ what, which, behind, where, again }) => {
    const act = async (world: World, real: Real) => {
      const ref = refOf(world, which, behind);
      const name = at(ROOMS, where);
      const worker = model.sessionOf(world.state, ref.session)?.worker ?? W1;
      // Said twice, nothing happens twice (I13).
      for (let times = 0; times < (again ? 2 : 1); times++) {
        await play(
          world,
          real,
          (state) =>
            what === 'join' || what === 'leave' ? model[what](state, ref, name) : model[what](state, ref),
          (subject) => {
            const store = subject.storeOf(worker);
            if (what === 'join')
              return store.join({ ...ref, room: name, worker, roomsLimit: model.LIMITS.rooms });
            return what === 'leave' ? store.leave(ref, name) : store[what](ref);
          },
        );
      }
    };
    return new Command(
      `${what}(${which}, ${behind}, ${where}${again ? ', twice' : ''})`,
      (world) => world.known.length > 0,
      act,
    );
  });

const retiring = small.map(
  (which) =>
    new Command(`retire(${which})`, anything, (world, real) => {
      const worker = at(WORKERS, which);
      return play(
        world,
        real,
        (state) => model.retire(state, worker),
        (subject) => subject.storeOf(W1).retire(worker),
      );
    }),
);

interface Sending {
  to: number;
  sender: number;
  number: 'next' | 'none' | 'volatile' | 'same' | 'skip' | 'jump';
  older: boolean;
  keep: boolean;
  only: number;
  over: boolean;
  size: number;
}
const sending: fc.Arbitrary<Sending> = fc.record({
  to: fc.constantFrom(0, 0, 0, 0, 0, 1, 2, 2, 3),
  sender: fc.noBias(fc.nat({ max: SENDERS - 1 })),
  number: fc.constantFrom('next', 'next', 'next', 'none', 'volatile', 'same', 'skip', 'jump'),
  older: fc.nat({ max: 7 }).map((n) => n === 0),
  keep: fc.boolean(),
  only: fc.nat({ max: 20 }),
  over: fc.nat({ max: 5 }).map((n) => n === 0),
  size: fc.constantFrom(0, 1, 1, 10, 300, 1_200),
});

function requestOf(world: World, state: model.State, what: Sending): AppendRequest {
  const channel = at(CHANNELS, what.to);
  const newest = at(world.senders, what.sender);
  const known = model.logOf(state, channel).senders[newest.session];
  const last = known?.seq ?? 0;
  // Redis knows an older connection by what the newer one has appended to the same log.
  const isOlder = what.older && what.number !== 'volatile' && (known?.generation ?? 1) > 1;
  const numbers = {
    next: last + 1,
    none: null,
    volatile: 0,
    same: Math.max(1, last),
    skip: last + 2,
    jump: last + 3,
  };
  return appendRequest(channel, {
    sender: isOlder ? { ...newest, generation: (known?.generation ?? 1) - 1 } : newest,
    seq: numbers[what.number],
    first: what.number === 'jump' ? last + 3 : null,
    ttlMs: what.over ? 0 : null,
    keep: what.keep,
    only: what.only < 4 && world.known.length > 0 ? at(world.known, what.only).session : null,
    skip: what.only === 5 ? ['alice', `bob#${newest.session}`] : [],
    body: Buffer.alloc(what.size, String(what.sender % 10)),
  });
}

const appending = fc.array(sending, { minLength: 1, maxLength: 4 }).map((sendings) => {
  // Within a batch Redis forgets senders at its end, not between.
  const possible = ({ state }: World) =>
    sendings.length === 1 ||
    CHANNELS.every((channel) => {
      const senders = Object.keys(model.logOf(state, channel).senders).length;
      return senders + sendings.length <= 2 * model.LIMITS.entries;
    });
  const act = async (world: World, real: Real) => {
    const requests: AppendRequest[] = [];
    const expected: unknown[] = [];
    let { state } = world;
    for (const what of sendings) {
      const request = requestOf(world, state, what);
      requests.push(request);
      const [next, answer] = model.append(state, request);
      expected.push(answer);
      state = next;
    }
    for (const subject of real) {
      const answers = await Promise.all(requests.map((request) => subject.storeOf(W1).append(request)));
      for (const [i, answer] of answers.entries()) {
        const said = expected[i];
        if (answer.status !== 'accepted' || answer.id === null) continue;
        // What was accepted is there (I5), under an id that nothing else has.
        if (typeof said === 'object' && said !== null && 'id' in said && typeof said.id === 'string')
          subject.learn(answer.id, said.id);
      }
      expect(subject.rename(answers)).toEqual(expected);
    }
    world.state = state;
  };
  return new Command(`append(${JSON.stringify(sendings)})`, possible, act);
});

const moving = fc.record({ which: small, worker: small }).map(
  ({ which, worker }) =>
    new Command(`move sender ${which}`, anything, async (world, real) => {
      const old = at(world.senders, which);
      const resume = { session: old.session, keyHash: 'key-1' };
      const request = attachRequest(old.client, at(WORKERS, worker), { resume });
      await play(
        world,
        real,
        (state) => model.attach(state, request),
        (subject) => subject.storeOf(request.worker).attach(request),
      );
      const newest = { ...old, generation: old.generation + 1 };
      world.senders = world.senders.map((ref) => (ref === old ? newest : ref));
    }),
);

const reading = fc
  .record({
    to: small,
    from: fc.oneof(
      fc.record({ last: fc.constantFrom(0, 1, 3, Number.MAX_SAFE_INTEGER) }),
      fc.record({ back: fc.nat({ max: 9 }), foreign: fc.nat({ max: 9 }).map((n) => n === 0) }),
    ),
    limit: fc.integer({ min: 1, max: 6 }),
  })
  .map(({ to, from, limit }) => {
    const act = (world: World, real: Real) => {
      const channel = at(CHANNELS, to);
      const { top } = model.logOf(world.state, channel);
      const offset = 'back' in from ? Math.max(0, top - from.back) : 0;
      // What was trimmed cannot be told from what never was.
      const { entries } = model.logOf(world.state, channel);
      const isChecked = offset === 0 || offset === top || offset >= (entries[0]?.offset ?? top);
      const asked =
        'last' in from ? from : from.foreign && isChecked ? ('unknown' as const) : { after: offset };
      return play(
        world,
        real,
        (state) => [state, model.read(state, channel, asked, limit)],
        (subject) => {
          const id = subject.idOf(model.idOf(channel, offset));
          const after = asked === 'unknown' ? (id?.replace(/-\d+$/, '-1') ?? 'x:1-1') : id;
          return subject.storeOf(W2).read({ channel, from: 'last' in from ? from : { after }, limit });
        },
      );
    };
    return new Command(`read(${JSON.stringify({ to, from, limit })})`, anything, act);
  });

const acknowledging = fc
  .record({ which: small, behind: fc.nat({ max: 4 }), back: fc.nat({ max: 3 }) })
  .map(({ which, behind, back }) => {
    const act = async (world: World, real: Real) => {
      const ref = refOf(world, which, behind);
      const channel: Channel = { kind: 'inbox', client: ref.client };
      const { kept, top } = model.logOf(world.state, channel);
      const offset = back === 0 ? (kept?.last ?? top) : Math.max(0, top - back + 1);
      for (let times = 0; times < 2; times++) {
        await play(
          world,
          real,
          (state) => model.acknowledge(state, ref, channel, offset),
          (subject) => subject.storeOf(W1).acknowledge(ref, subject.idOf(model.idOf(channel, offset)) ?? ''),
        );
      }
    };
    return new Command(`acknowledge(${which}, ${behind}, ${back})`, (world) => world.known.length > 0, act);
  });

/** What holds after every step, whatever was called. */
function assertInvariants(state: model.State): void {
  for (const { top, entries } of Object.values(state.logs)) {
    // I2: places without a hole; I9: within the caps, but for one.
    expect(entries.map(({ offset }) => offset)).toEqual(entries.map((_, i) => top - entries.length + 1 + i));
    const bytes = entries.reduce((sum, { body }) => sum + body.length, 0);
    expect(
      entries.length <= model.LIMITS.entries && (bytes <= model.LIMITS.bytes || entries.length === 1),
    ).toBe(true);
    // I1: of one sender each number once, in order.
    const last = new Map<string, number>();
    for (const { sender, seq } of entries) {
      if (seq === null) continue;
      expect(seq).toBeGreaterThan(last.get(sender) ?? 0);
      last.set(sender, seq);
    }
  }
}

/** In the end everything that is left is the same, and every worker was told the same in the same order. */
async function compareAll(world: World, real: Real): Promise<void> {
  for (const channel of CHANNELS) {
    await play(
      world,
      real,
      (state) => [state, model.read(state, channel, { after: 0 }, 99)],
      (subject) => subject.storeOf(W1).read({ channel, from: { after: null }, limit: 99 }),
    );
  }
  for (const name of ROOMS) {
    await play(
      world,
      real,
      (state) => [state, model.membersOf(state, name)],
      async (subject) => (await subject.storeOf(W1).members({ room: name, cursor: null, limit: 99 })).rows,
    );
  }
  const online = (state: model.State) => [...new Set(state.sessions.map((session) => session.client))].sort();
  await play(
    world,
    real,
    (state) => [state, online(state)],
    async (subject) =>
      (await subject.storeOf(W2).clients({ prefix: '', cursor: null, limit: 99 })).rows.sort(),
  );
  for (const name of CLIENTS) {
    const places = (state: model.State) =>
      state.sessions
        .filter((session) => session.client === name)
        .map(({ session, generation, worker, connected }) => ({
          client: name,
          session,
          generation,
          worker,
          connected,
        }))
        .reverse();
    await play(
      world,
      real,
      (state) => [state, places(state)],
      (subject) => subject.storeOf(W1).locate(name, null),
    );
  }
  for (const subject of real) {
    for (const worker of WORKERS) {
      const expected = world.state.told.filter((told) => told.worker === worker).map(({ what }) => what);
      expect(await subject.told(worker)).toEqual(expected);
    }
  }
}

let server: RedisServer;
let harness: RedisHarness;
let admin: Redis;
beforeAll(async () => {
  server = await startRedis();
  harness = await startRedisHarness(server.url, TIMELESS);
  admin = new Redis(server.url);
});
afterAll(async () => {
  admin.disconnect();
  await harness.close();
  await server.stop();
});

function memorySubject(): Subject {
  const told = new Map<WorkerId, StoreEvent[]>(WORKERS.map((worker) => [worker, []]));
  const store = new MemoryStore({
    settings: TIMELESS,
    deliver: (worker, event) => told.get(worker)?.push(structuredClone(event)),
  });
  return new Subject(
    () => store,
    (worker) => Promise.resolve(told.get(worker) ?? []),
  );
}

async function redisSubject(): Promise<Subject> {
  await admin.flushall();
  await harness.settle();
  for (const worker of WORKERS) harness.events(worker).length = 0;
  return new Subject(
    (worker) => harness.store(worker),
    async (worker) => {
      await harness.settle();
      return harness.events(worker);
    },
  );
}

async function begin(): Promise<{ model: World; real: Real }> {
  const world: World = { state: model.START, known: [], senders: [] };
  const real = [memorySubject(), await redisSubject()];
  for (let i = 0; i < SENDERS; i++) {
    const fresh = `${'s'.repeat(20)}${String(i).padStart(2, '0')}` as SessionId;
    const request = attachRequest(`sender-${i}`, W1, { fresh });
    await play(
      world,
      real,
      (state) => model.attach(state, request),
      (subject) => subject.storeOf(W1).attach(request),
    );
    world.senders.push({ client: request.client, session: fresh, generation: 1 });
  }
  return { model: world, real };
}

// A retirement asks every partition, which takes as long as fifty other calls.
const ending = fc.oneof({ arbitrary: leaving, weight: 15 }, { arbitrary: retiring, weight: 1 });
const commands = fc.commands(
  [
    attaching,
    ending,
    ending,
    appending,
    appending,
    appending,
    appending,
    reading,
    reading,
    moving,
    acknowledging,
  ],
  { maxCommands: 100, size: 'max' },
);

test.each(seedsOr([1, 20_261_121, 424_242]))(
  'both stores do what the model says (seed %s)',
  async (seed) => {
    await fc.assert(
      fc.asyncProperty(commands, async (steps) => {
        const setup = await begin();
        await fc.asyncModelRun(() => setup, steps);
        await compareAll(setup.model, setup.real);
      }),
      { numRuns: 12, seed },
    );
  },
  60_000,
);
