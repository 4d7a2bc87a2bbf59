// Kept messages against a store that refuses, fails, forgets and answers late, behind a connection that breaks: a model.
import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { BroadcastOptions, CallOptions, Made } from '../../src/client/call-options.js';
import { Calls, type Wire } from '../../src/client/calls.js';
import type { LateCode } from '../../src/client/late-code.js';
import { Lazy } from '../../src/client/lazy.js';
import { settingsOf } from '../../src/client/options.js';
import type { Accepted } from '../../src/client/results.js';
import type { State } from '../../src/client/state.js';
import type { Verbs } from '../../src/client/verbs.js';
import type { Code } from '../../src/protocol/codes.js';
import { GatewayError } from '../../src/protocol/errors.js';
import type { ClientFrame, Payload, PublishFrame } from '../../src/protocol/frame.js';
import type { RoomName } from '../../src/protocol/ids.js';
import { decodePayload } from '../../src/protocol/payload.js';
import { seedsOr } from '../seeds.js';
import { codeOf, ManualEnvironment, TOKEN } from './fixture.js';

/** What becomes of one frame at the store. */
const FATES = [
  'absent',
  'stored',
  'unavailable',
  'overloaded',
  'stored, unknown',
  'not stored, unknown',
] as const;
type Fate = (typeof FATES)[number];

interface Entry {
  number: number;
  text: string;
}
interface Answer {
  ref: number;
  code: Code | null;
  expected: number | null;
  id: string | null;
}

/** One room's log, with the last number of the one sender that there is. */
class Log {
  entries: Entry[] = [];
  last = 0;
  wasDoubted = false;
  readonly everStored = new Set<string>();

  append({ ref, seq, options, payload }: PublishFrame, fate: Fate): Answer {
    const text = new TextDecoder().decode(payload.data);
    const answer = (code: Code | null, expected: number | null = null): Answer => ({
      ref,
      code,
      expected,
      id: code === null ? `e:${seq}` : null,
    });
    if (seq === null || seq === 0) throw new Error('a kept message without a number');
    // Looked at before the number is. Not after a loss or a doubt: whoever is gone does not miss what was for him.
    if (fate === 'absent' && !this.wasDoubted) return answer('not_found');
    if (seq <= this.last) return { ...answer(null), id: null };
    if (seq > Math.max(this.last + 1, options.first ?? 0)) return answer('out_of_order', this.last + 1);
    if (fate === 'unavailable' || fate === 'overloaded') return answer(fate);
    if (fate === 'not stored, unknown') return answer('unknown_outcome');
    if (text.endsWith('!')) return answer('forbidden');
    this.entries.push({ number: seq, text });
    this.everStored.add(text);
    this.last = seq;
    return answer(fate === 'stored, unknown' ? 'unknown_outcome' : null);
  }

  /** A failover to a copy that lagged behind. */
  forget(count: number): void {
    this.wasDoubted = true;
    this.entries.splice(Math.max(0, this.entries.length - count));
    this.last = this.entries.at(-1)?.number ?? 0;
  }
}

const CODE = new Lazy(() => import('../../src/client/late.js'));
beforeAll(() => CODE.load());

/** Calls on one side, logs on the other, and what is on its way between them. */
class World implements Wire {
  state: State = 'connected';
  congested = false;
  readonly environment = new ManualEnvironment(0.5);
  readonly calls: Calls;
  readonly logs = new Map<string, Log>();
  readonly outcomes = new Map<string, Accepted | Code>();
  readonly sent: { room: string; text: string }[] = [];
  drains = 0;
  private frames: PublishFrame[] = [];
  private answers: Answer[] = [];

  constructor(
    options: { acceptTimeoutMs?: number; offlineQueueLimitBytes?: number } = {},
    code: LateCode = CODE,
  ) {
    const settings = settingsOf({
      token: TOKEN,
      acceptTimeoutMs: 3_000,
      compressAboveBytes: Infinity,
      ...options,
    });
    this.calls = new Calls({
      wire: this,
      settings,
      environment: this.environment,
      code,
      decode: () => {},
      report: () => {},
      onDrain: () => this.drains++,
      onExpired: () => {},
      onCode: () => {},
      compression: new Lazy(() => import('../../src/client/compression.js')),
    });
  }

  get open(): boolean {
    return this.state === 'connected';
  }

  get written(): readonly PublishFrame[] {
    return this.frames;
  }

  write(frame: ClientFrame): void {
    if (frame.type !== 'publish') throw new Error(`expected publish, got ${frame.type}`);
    if (!this.open) throw new Error('written without a connection');
    this.frames.push(structuredClone(frame));
  }

  publish(room: string, text: string): void {
    this.sent.push({ room, text });
    const make = (verbs: Verbs, made: Made<CallOptions>, data: unknown): Promise<Accepted> =>
      verbs.publish(room as RoomName, 'e', data, made);
    this.calls.run({}, make, new TextEncoder().encode(text)).then(
      (result) => this.outcomes.set(text, result),
      (error: unknown) => this.outcomes.set(text, error instanceof GatewayError ? error.code : 'bad_frame'),
    );
  }

  log(room: string): Log {
    const log = this.logs.get(room) ?? new Log();
    this.logs.set(room, log);
    return log;
  }

  process(count: number, fate: Fate): void {
    for (const frame of this.frames.splice(0, count))
      this.answers.push(this.log(frame.room).append(frame, fate));
  }

  /** Any of the answers, for they come in any order. */
  answer(index: number): void {
    const [answer] = this.answers.splice(index % Math.max(1, this.answers.length), 1);
    if (answer === undefined || !this.open) return;
    const { ref, code, expected, id } = answer;
    if (code === null) this.calls.desk?.flight.succeed(ref, { id });
    else this.calls.desk?.flight.fail(ref, new GatewayError(code), expected);
  }

  /** Frames that the gateway had not read are gone; answers are gone too, or come on the next connection. */
  lose(areAnswersMoved: boolean): void {
    if (!this.open) return;
    this.state = 'reconnecting';
    this.frames = [];
    if (!areAnswersMoved) this.answers = [];
    this.calls.lost();
  }

  resume(): void {
    if (this.open) return;
    this.state = 'connected';
    this.calls.desk?.flight.welcomed(true);
    this.calls.desk?.ahead(() => {});
    this.calls.load();
  }

  doubt(): void {
    for (const name of ROOMS) this.log(name).wasDoubted = true;
    if (this.open) this.calls.desk?.flight.doubt();
  }

  /** All goes well from here on; either something new or a doubt makes senders look at what they sent before. */
  async finish(last: 'publish' | 'doubt' = 'publish'): Promise<void> {
    this.resume();
    if (last === 'doubt') this.doubt();
    else for (const [i, room] of ROOMS.entries()) this.publish(room, `last ${i}`);
    // What was accepted and is sent again nobody waits for: it comes after a pause, of 2 s at most.
    for (
      let [round, quiet] = [0, 0];
      round < 400 && (this.outcomes.size < this.sent.length || quiet < 50);
      round++
    ) {
      quiet = this.frames.length > 0 ? 0 : quiet + 1;
      while (this.frames.length + this.answers.length > 0) {
        this.process(1, 'stored');
        this.answer(0);
      }
      this.environment.advance(50);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

const ROOMS = ['a', 'b'];

type Step =
  | { do: 'publish'; room: string; isRefused: boolean }
  | { do: 'process'; count: number; fate: Fate }
  | { do: 'answer'; index: number }
  | { do: 'lose'; isMoved: boolean }
  | { do: 'resume' }
  | { do: 'forget'; room: string; count: number }
  | { do: 'doubt' }
  | { do: 'advance'; ms: number };

const room = fc.constantFrom(...ROOMS);
const publish = fc.record({
  do: fc.constant('publish' as const),
  room,
  isRefused: fc.oneof(
    { weight: 5, arbitrary: fc.constant(false) },
    { weight: 1, arbitrary: fc.constant(true) },
  ),
});
const fate = fc.oneof(
  { weight: 3, arbitrary: fc.constant('stored' as const) },
  { weight: 2, arbitrary: fc.constantFrom(...FATES) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: publish },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('process' as const),
      count: fc.integer({ min: 1, max: 4 }),
      fate,
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('answer' as const), index: fc.nat({ max: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const), isMoved: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('resume' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('forget' as const), room, count: fc.integer({ min: 1, max: 9 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'doubt' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 400 }) }),
  },
);

const last = fc.constantFrom('publish' as const, 'doubt' as const);

function run(world: World, steps: readonly Step[]): void {
  for (const [i, each] of steps.entries()) {
    switch (each.do) {
      case 'publish':
        world.publish(each.room, `${i}${each.isRefused ? '!' : ''}`);
        break;
      case 'process':
        world.process(each.count, each.fate);
        break;
      case 'answer':
        world.answer(each.index);
        break;
      case 'lose':
        world.lose(each.isMoved);
        break;
      case 'resume':
        world.resume();
        break;
      case 'forget':
        world.log(each.room).forget(each.count);
        break;
      case 'doubt':
        world.doubt();
        break;
      case 'advance':
        world.environment.advance(each.ms);
        break;
      default:
        each satisfies never;
    }
  }
}

describe('kept messages', () => {
  test.each(seedsOr([20_261_121]))(
    'are stored once, in order, and told truly, whatever fails (seed %s)',
    async (seed) => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 50 }), last, async (steps, end) => {
          const world = new World();
          run(world, steps);
          await world.finish(end);
          expect(world.outcomes.size).toBe(world.sent.length);
          for (const name of ROOMS) {
            const log = world.log(name);
            const texts = log.entries.map(({ text }) => text);
            const mine = world.sent.filter((message) => message.room === name).map(({ text }) => text);
            // Once, and in the order of the calls.
            expect(texts).toEqual(mine.filter((text) => texts.includes(text)));
            for (const text of mine) {
              const outcome = world.outcomes.get(text);
              if (typeof outcome === 'object') expect(texts).toContain(text);
              else if (outcome !== 'unknown_outcome') expect(log.everStored.has(text)).toBe(false);
            }
          }
          world.calls.end(new GatewayError('closed'));
          expect(world.environment.pending).toBe(0);
        }),
        { numRuns: 2_000, seed },
      );
    },
  );

  test('are written as far as the window goes, and the rest waits for answers', async () => {
    const world = new World();
    for (let i = 0; i < 300; i++) world.publish('a', `${i}`);
    expect(world.written).toHaveLength(256);
    expect(world.calls.bufferedBytes).toBe(world.sent.reduce((sum, { text }) => sum + text.length, 0));
    world.process(1, 'stored');
    world.answer(0);
    expect(world.written).toHaveLength(256);
    await world.finish();
    expect(world.calls.bufferedBytes).toBe(0);
    expect(world.log('a').entries).toHaveLength(301);

    const large = new World();
    for (let i = 0; i < 5; i++) large.publish('a', 'x'.repeat(100 * 1024));
    expect(large.written).toHaveLength(2);
    large.calls.end(new GatewayError('closed'));
    world.calls.end(new GatewayError('closed'));
  });

  test('tell drain when less than half waits, after more did or a call was refused', async () => {
    const world = new World({ offlineQueueLimitBytes: 1_000 });
    world.lose(false);
    for (let i = 0; i < 6; i++) world.publish('a', `${'x'.repeat(200)}${i}`);
    expect(world.drains).toBe(0);
    await world.finish();
    expect([...world.outcomes.values()].filter((outcome) => outcome === 'queue_full')).toHaveLength(2);
    expect(world.drains).toBe(1);
    world.calls.end(new GatewayError('closed'));
  });

  test('behind a hole wait until the answers before it are in, then say first', async () => {
    const world = new World();
    for (const text of ['1', '2!', '3', '4']) world.publish('a', text);
    expect(world.written.map(({ seq, options }) => [seq, options.first])).toEqual([
      [1, undefined],
      [2, undefined],
      [3, undefined],
      [4, undefined],
    ]);
    world.process(4, 'stored');
    for (let i = 0; i < 3; i++) world.answer(0);
    expect(world.written).toHaveLength(0);
    world.answer(0);
    expect(world.written.map(({ seq, options }) => [seq, options.first])).toEqual([[3, 3]]);
    world.process(1, 'stored');
    world.answer(0);
    expect(world.written.map(({ seq, options }) => [seq, options.first])).toEqual([[4, undefined]]);
    world.calls.end(new GatewayError('closed'));
  });

  test('that were accepted and lost are sent again although one behind them was refused for good', async () => {
    const world = new World();
    for (const text of ['1', '2!']) world.publish('a', text);
    world.process(2, 'stored');
    world.answer(0);
    world.answer(0);
    world.log('a').forget(1);
    world.publish('a', '3');
    expect(world.written.map(({ seq, options }) => [seq, options.first])).toEqual([[3, undefined]]);
    await world.finish();
    const texts = world.log('a').entries.map(({ text }) => text);
    expect(texts.slice(0, 2)).toEqual(['1', '3']);
    world.calls.end(new GatewayError('closed'));
  });

  test.each(['unavailable', 'stored, unknown'] as const)(
    'that stay %s are given up after acceptTimeoutMs of connection',
    async (fate) => {
      const world = new World();
      world.publish('a', '1');
      const fail = (): void => {
        world.process(1, fate);
        world.answer(0);
      };
      fail();
      world.log('a').forget(1);
      world.lose(false);
      world.environment.advance(60_000);
      world.resume();
      for (let ms = 0; ms < 2_500; ms += 50) {
        world.environment.advance(50);
        fail();
        world.log('a').forget(1);
      }
      await new Promise((resolve) => setImmediate(resolve));
      expect(world.outcomes.size).toBe(0);
      for (let ms = 0; ms < 3_000; ms += 50) {
        world.environment.advance(50);
        fail();
        world.log('a').forget(1);
      }
      await new Promise((resolve) => setImmediate(resolve));
      expect(world.outcomes.get('1')).toBe(fate === 'unavailable' ? 'unavailable' : 'unknown_outcome');
      world.publish('a', '2');
      expect(world.written.map(({ seq, options }) => [seq, options.first])).toEqual([[2, undefined]]);
      world.calls.end(new GatewayError('closed'));
    },
  );

  test('that were accepted are sent again in a doubt, before anything new, and the store takes what it lost', async () => {
    const world = new World();
    for (const text of ['1', '2', '3']) world.publish('a', text);
    world.publish('b', 'only');
    world.process(4, 'stored');
    for (let i = 0; i < 4; i++) world.answer(0);
    await new Promise((resolve) => setImmediate(resolve));
    expect(world.outcomes.size).toBe(4);
    world.publish('a', '4');
    world.log('a').forget(2);
    world.doubt();
    world.publish('a', '5');
    const written = (): unknown[] =>
      world.written.map(({ room, seq, options }) => [room, seq, options.first]);
    // What is without an answer comes first; the other channel need not wait for it.
    expect(written()).toEqual([
      ['a', 4, undefined],
      ['b', 1, undefined],
    ]);
    world.process(2, 'stored');
    world.answer(0);
    world.answer(0);
    expect(written()).toEqual([['a', 1, undefined]]);
    await world.finish();
    expect(world.log('a').entries.map(({ text }) => text)).toEqual(['1', '2', '3', '4', '5', 'last 0']);
    expect(world.log('b').entries.map(({ text }) => text)).toEqual(['only', 'last 1']);
    world.calls.end(new GatewayError('closed'));
  });

  test('are sent again in a doubt as far as the window goes, and not when they are older than 30 s', async () => {
    const world = new World();
    world.publish('a', 'old');
    world.process(1, 'stored');
    world.answer(0);
    world.environment.advance(30_000);
    for (let i = 0; i < 256; i++) world.publish('a', `${i}`);
    world.publish('b', 'x');
    world.process(257, 'stored');
    for (let i = 0; i < 257; i++) world.answer(0);
    world.process(257, 'stored');
    for (let i = 0; i < 257; i++) world.answer(0);
    world.log('a').forget(256);
    world.doubt();
    // Carefully until one is accepted.
    expect(world.written.map(({ room, seq }) => [room, seq])).toEqual([
      ['a', 2],
      ['b', 1],
    ]);
    world.process(2, 'stored');
    world.answer(0);
    expect(world.written).toHaveLength(255);
    await world.finish('doubt');
    expect(world.log('a').entries.map(({ number }) => number)).toEqual(
      Array.from({ length: 257 }, (_, i) => i + 1),
    );
    world.calls.end(new GatewayError('closed'));
  });

  test('are kept for 30 s after their acceptance, and within a bound of bytes', async () => {
    const world = new World({ offlineQueueLimitBytes: 2_000 });
    world.publish('b', 'gone');
    world.process(1, 'stored');
    world.answer(0);
    world.environment.advance(29_000);
    for (let i = 0; i < 3; i++) world.publish('a', `${'x'.repeat(900)}${i}`);
    world.process(3, 'stored');
    for (let i = 0; i < 3; i++) world.answer(0);
    world.environment.advance(2_000);
    world.log('a').forget(3);
    world.log('b').forget(1);
    await world.finish();
    expect(world.log('a').entries.map(({ number }) => number)).toEqual([2, 3, 4]);
    expect(world.log('b').entries.map(({ number }) => number)).toEqual([2]);
    world.calls.end(new GatewayError('closed'));
  });

  test('of a lost session are unknown_outcome when they were written, and start with 1 when not', async () => {
    const world = new World();
    world.publish('a', '1');
    world.lose(false);
    world.publish('a', '2');
    world.calls.desk?.flight.sessionLost();
    world.resume();
    await new Promise((resolve) => setImmediate(resolve));
    expect(world.outcomes.get('1')).toBe('unknown_outcome');
    expect(world.written.map(({ seq, options }) => [seq, options.first])).toEqual([[1, undefined]]);
    world.calls.end(new GatewayError('closed'));
  });

  test('go on without numbers with a gateway that does not say which it expects', async () => {
    const world = new World();
    for (const text of ['1!', '2', '3']) world.publish('a', text);
    const refs = world.written.map(({ ref }) => ref);
    world.calls.desk?.flight.fail(refs[0] ?? 0, new GatewayError('forbidden'));
    for (const ref of refs.slice(1))
      world.calls.desk?.flight.fail(ref, new GatewayError('out_of_order'), null);
    world.environment.advance(5_000);
    expect(world.written.at(-1)).toMatchObject({ seq: null });
    world.lose(false);
    world.resume();
    await new Promise((resolve) => setImmediate(resolve));
    expect(world.outcomes.get('2')).toBe('unknown_outcome');
    world.calls.end(new GatewayError('closed'));
  });
});

describe('the code for kept messages', () => {
  /** Cannot be loaded the first times. */
  const failing = (times: number): LateCode =>
    new Lazy(async () => {
      if (times-- > 0) throw new Error('404');
      return CODE.load();
    });
  const read = ({ data }: Payload): string => new TextDecoder().decode(data);
  const turns = () => new Promise((resolve) => setImmediate(resolve));

  test('is asked for again until it is there, and all that was called meanwhile is written in order', async () => {
    const world = new World({}, failing(2));
    for (const text of ['1', '2']) world.publish('a', text);
    for (let tries = 0; tries < 2; tries++) {
      await turns();
      expect(world.written).toEqual([]);
      world.environment.advance(1_000);
    }
    await turns();
    world.publish('a', '3');
    expect(world.written.map(({ seq, payload }) => [seq, read(payload)])).toEqual([
      [1, '1'],
      [2, '2'],
      [3, '3'],
    ]);
  });

  test('rejects with unavailable when it cannot be had for acceptTimeoutMs, and is tried again later', async () => {
    const world = new World({ acceptTimeoutMs: 3_000 }, failing(3));
    world.publish('a', 'first');
    for (let tries = 0; tries < 3; tries++) {
      await turns();
      world.environment.advance(1_000);
    }
    await turns();
    expect(world.outcomes.get('first')).toBe('unavailable');
    world.publish('a', 'second');
    await turns();
    expect(world.written.map(({ payload }) => read(payload))).toEqual(['second']);
  });

  test('is asked for with the next connection when there was none', async () => {
    const world = new World({}, failing(1));
    world.lose(false);
    world.publish('a', '1');
    await turns();
    expect(world.environment.pending).toBe(0);
    world.resume();
    await turns();
    expect(world.written).toHaveLength(1);
  });

  test('is not waited for by calls that were aborted, timed out, want no waiting or are too many', async () => {
    const world = new World({ offlineQueueLimitBytes: 1_000 }, failing(Infinity));
    const controller = new AbortController();
    const never = (): Promise<undefined> => Promise.reject(new Error('made without its code'));
    const data = new Uint8Array(600);
    const outcomes = [
      world.calls.run({ signal: AbortSignal.abort() }, never),
      world.calls.run({ signal: controller.signal }, never),
      world.calls.run({}, never, undefined, 500),
      world.calls.run({}, never, undefined, 5_000),
      world.calls.run({}, never, data),
      world.calls.run({}, never, data),
      world.calls.run({ volatile: true }, never),
    ].map((call) => codeOf(call));
    expect(world.calls.bufferedBytes).toBeGreaterThanOrEqual(600);
    controller.abort();
    world.environment.advance(500);
    world.lose(false);
    world.calls.end(new GatewayError('closed'));
    expect(await Promise.all(outcomes)).toEqual([
      'aborted',
      'aborted',
      'timeout',
      'closed',
      'closed',
      'queue_full',
      'offline',
    ]);
    expect([world.calls.bufferedBytes, world.environment.pending]).toEqual([0, 0]);
  });

  test('tells by drain that less waits when a call was refused before it was there', async () => {
    const world = new World({ offlineQueueLimitBytes: 10 }, failing(1));
    world.publish('a', 'x');
    world.publish('a', 'y'.repeat(10));
    await turns();
    expect([world.outcomes.get('y'.repeat(10)), world.drains]).toEqual(['queue_full', 0]);
    world.environment.advance(1_000);
    await turns();
    world.process(1, 'stored');
    world.answer(0);
    expect(world.drains).toBe(1);
  });

  test('makes calls with the options and the data that they were given', async () => {
    const world = new World({}, failing(1));
    const options: BroadcastOptions = { trace: 'before' };
    const bytes = new Uint8Array([1, 2]);
    const list = [1, { deep: new Map([[7, 'before']]) }];
    const date = new Date(5);
    const data = { bytes, list, date, json: { toJSON: () => list.length }, none: undefined };
    const before = {
      bytes: Uint8Array.from(bytes),
      list: [1, { deep: new Map([[7, 'before']]) }],
      date: new Date(5),
      json: 2,
    };
    const make = (verbs: Verbs, made: Made<BroadcastOptions>, copy: unknown): Promise<Accepted> =>
      verbs.publish('a' as RoomName, 'e', copy, made);
    world.calls.run(options, make, data).catch(() => {});
    bytes.fill(0);
    list.pop();
    date.setTime(9);
    options.trace = 'after';
    await turns();
    world.environment.advance(1_000);
    await turns();
    const [written] = world.written;
    expect([written && decodePayload(written.payload), written?.options.trace]).toEqual([before, 'before']);
  });

  test('refuses with bad_payload what it cannot encode, and what throws when it is looked at', async () => {
    const world = new World({}, failing(1));
    const circular: unknown[] = [];
    circular.push(circular);
    const throwing = {
      get value(): never {
        throw new Error('no');
      },
    };
    const make = (verbs: Verbs, made: Made<CallOptions>, copy: unknown): Promise<Accepted> =>
      verbs.publish('a' as RoomName, 'e', copy, made);
    const outcomes = [
      circular,
      throwing,
      () => {},
      new Set(),
      { ['__proto__']: 1, x: JSON.parse('{"__proto__":1}') },
    ].map((data) => codeOf(world.calls.run({}, make, data)));
    await turns();
    world.environment.advance(1_000);
    expect(await Promise.all(outcomes)).toEqual(Array(5).fill('bad_payload'));
  });

  test('leaves no timer behind when the client is closed while it cannot be had', async () => {
    const world = new World({}, failing(Infinity));
    world.publish('a', '1');
    await turns();
    expect(world.environment.pending).toBe(1);
    world.calls.end(new GatewayError('closed'));
    await turns();
    expect([world.environment.pending, world.outcomes.get('1')]).toEqual([0, 'closed']);
  });
});
