// Feeds against a store whose events are lost, late or doubled, whose reads fail or come late, and which loses what it had.
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import type { GatewayFrame } from '../../src/protocol/frame.js';
import type { RoomName } from '../../src/protocol/ids.js';
import { encodeRoomMessageBody, encodeSender, msgpackCodec } from '../../src/protocol/msgpack-codec.js';
import type { Feed } from '../../src/relay/feed.js';
import { Feeds } from '../../src/relay/feeds.js';
import { SessionRegistry } from '../../src/session/registry.js';
import type { Session } from '../../src/session/session.js';
import { parseEntryId } from '../../src/session/store/entry-id.js';
import { MemoryStore } from '../../src/session/store/memory-store.js';
import type {
  Channel,
  Entry,
  Position,
  ReadQuery,
  ReadResult,
  StoreEvent,
} from '../../src/session/store/store.js';
import { seedsOr } from '../seeds.js';
import { SETTINGS } from '../session/store/fixture.js';
import { createReceiver, sessionId } from './receiver.js';

const ROOMS = ['a', 'b'] as RoomName[];
const MEMBERS = 3;
const LOG_LIMIT = 8;
type EntryEvent = Extract<StoreEvent, { type: 'entry' }>;

/** The log of one room, as the store has it at the moment. */
class Log {
  epoch = 1;
  top = 0;
  entries: Entry[] = [];
  position: Position = null;
  private mark = 0;

  constructor(private readonly room: RoomName) {}

  append(only: Session | null): EntryEvent {
    this.top++;
    const id = `e${this.epoch}:${this.top}-${++this.mark}`;
    const text = { options: {}, sender: encodeSender('x', sessionId('x')), event: 'e' };
    const message = { ...text, payload: { encoding: 2, data: Buffer.from('1') } };
    const body = encodeRoomMessageBody(this.room, message);
    const entry = { id, only: only?.ref.session ?? null, skip: [], kept: false, body };
    const after = this.position;
    this.entries = [...this.entries, entry].slice(-LOG_LIMIT);
    this.position = id;
    return { type: 'entry', channel: { kind: 'room', room: this.room }, entry: { ...entry, after } };
  }

  /** The newest entries are gone, as in a failover to a replica that was behind. */
  lose(count: number): void {
    const left = this.entries.slice(0, Math.max(0, this.entries.length - count));
    // A replica that has nothing of what is left here is as good as an empty store.
    if (left.length === 0) return this.clear();
    this.entries = left;
    this.position = left.at(-1)?.id ?? null;
    this.top = parseEntryId(this.position ?? '')?.offset ?? 0;
  }
  clear(): void {
    this.epoch++;
    this.top = 0;
    this.entries = [];
    this.position = null;
  }

  read(from: ReadQuery['from'], limit: number): ReadResult {
    const oldest = this.top - this.entries.length + 1;
    let start = oldest;
    let missing = 0;
    if ('after' in from && from.after !== null) {
      const place = parseEntryId(from.after);
      const known =
        place === null
          ? undefined
          : place.offset === this.top
            ? this.position
            : this.entries[place.offset - oldest]?.id;
      if (
        place?.epoch !== `e${this.epoch}` ||
        place.offset > this.top ||
        (known ?? from.after) !== from.after
      )
        return { status: 'lost', position: this.position };
      start = Math.max(oldest, place.offset + 1);
      missing = start - place.offset - 1;
    } else if ('after' in from) {
      missing = oldest - 1;
    } else {
      start = Math.max(oldest, this.top - from.last + 1);
    }
    const page = this.entries.slice(start - oldest, start - oldest + limit);
    const more = start + limit <= this.top;
    return { status: 'entries', missing, entries: page, more, position: page.at(-1)?.id ?? this.position };
  }
}

interface Member {
  session: Session;
  frames: GatewayFrame[];
  room: RoomName;
  /** What it asked to hear from. */
  cursor: Position;
  feed: Feed;
  now: Position;
  entered: boolean;
}

class World {
  readonly logs = new Map(ROOMS.map((room) => [room, new Log(room)]));
  private readonly registry = new SessionRegistry();
  readonly feeds: Feeds;
  readonly members: (Member | null)[] = Array.from({ length: MEMBERS }, () => null);
  readonly gone: Member[] = [];
  /** Events on their way, in order within a room. */
  private readonly flying = new Map<RoomName, EntryEvent[]>(ROOMS.map((room) => [room, []]));
  private readonly reads: (() => void)[] = [];
  failing = 0;
  private sessions = 0;

  constructor() {
    const store = new MemoryStore({ settings: SETTINGS, deliver: () => undefined });
    store.read = ({ channel, from }) =>
      new Promise((resolve, reject) => {
        const log = this.logOf(channel);
        // Some are answered with what was there when they were asked, some with what is there when they are answered.
        const early = this.reads.length % 2 === 0 ? log.read(from, 3) : null;
        this.reads.push(() => {
          if (this.failing-- > 0) reject(new Error('not now'));
          else resolve(early ?? log.read(from, 3));
        });
      });
    this.feeds = new Feeds({
      store,
      registry: this.registry,
      msgpack: msgpackCodec,
      count: () => undefined,
      countRead: () => undefined,
      countGap: () => undefined,
    });
  }

  logOf(channel: Channel): Log {
    const log = channel.kind === 'room' ? this.logs.get(channel.room) : undefined;
    if (log === undefined) throw new Error('no such log');
    return log;
  }
  publish(room: RoomName, only: Session | null, isTold = true): void {
    const event = this.logs.get(room)?.append(only);
    // A worker without members is not told.
    const isInterested = this.members.some((member) => member?.room === room);
    if (event !== undefined && isTold && isInterested) this.flying.get(room)?.push(event);
  }
  event(room: RoomName, fate: 'arrive' | 'twice' | 'lost'): void {
    const event = this.flying.get(room)?.shift();
    if (event === undefined || fate === 'lost') return;
    this.feeds.entry(event);
    if (fate === 'twice') this.feeds.entry(event);
  }
  answer(which: number): void {
    this.reads.splice(which % Math.max(1, this.reads.length), 1)[0]?.();
  }
  /** The connection to the store was cut; what was on its way is lost. */
  cut(): void {
    for (const room of ROOMS) this.flying.set(room, []);
    void this.feeds.resync();
  }
  /** A session asks to join, after what it has heard before or from now on. */
  ask(slot: number, room: RoomName, back: number | null): void {
    if (this.members[slot] !== null) return;
    const name = `m${++this.sessions}`;
    const { session, frames } = createReceiver(name);
    this.registry.add(session);
    const log = this.logs.get(room);
    if (log === undefined) return;
    const feed = this.feeds.hold({ kind: 'room', room });
    feed.expect(session);
    this.registry.enter(session, room);
    const known = back === null ? log.position : (log.entries[log.entries.length - 1 - back]?.id ?? null);
    this.members[slot] = { session, frames, room, cursor: known, feed, now: log.position, entered: false };
  }
  enter(slot: number): void {
    const member = this.members[slot];
    if (member === null || member === undefined || member.entered) return;
    member.entered = true;
    member.feed.enter(member.session, member.cursor, member.now, null);
    this.feeds.release(member.feed);
  }
  leave(slot: number): void {
    const member = this.members[slot];
    if (member?.entered !== true) return;
    this.members[slot] = null;
    this.registry.exit(member.session, member.room);
    this.registry.remove(member.session);
    this.feeds.leave(member.session, { kind: 'room', room: member.room });
    this.gone.push(member);
  }

  /** No more faults: what is on its way arrives, what is asked is answered, and every log is compared once (I15). */
  async heal(): Promise<void> {
    this.failing = 0;
    for (let slot = 0; slot < MEMBERS; slot++) this.enter(slot);
    for (let round = 0; round < 3; round++) {
      for (const room of ROOMS) for (let i = 0; i < 99; i++) this.event(room, 'arrive');
      void this.feeds.resync();
      for (let i = 0; i < 30; i++) {
        while (this.reads.length > 0) this.answer(0);
        await jest.advanceTimersByTimeAsync(200);
      }
    }
  }
}

/** I3, I4: a contiguous run, or a gap exactly where it breaks; nothing twice but after a told loss. Returns where it ends. */
function follow(member: Member): Position {
  let position = member.cursor;
  let skipped = 0;
  let isLost = false;
  const heard = new Set<string>();
  for (const frame of member.frames) {
    if (frame.type === 'gap' && frame.reason === 'lost') {
      [isLost, skipped] = [true, 0];
      heard.clear();
    } else if (frame.type === 'gap') {
      skipped += frame.missing ?? 0;
      if (frame.id !== null) [position, skipped] = [frame.id, 0];
    } else if (frame.type === 'position') {
      [position, isLost, skipped] = [frame.id, false, 0];
    } else if (frame.type === 'roomMessage' && frame.id !== null) {
      const [place, before] = [parseEntryId(frame.id), parseEntryId(position ?? '')];
      expect(heard).not.toContain(frame.id);
      heard.add(frame.id);
      if (!isLost) {
        const expected = (before?.offset ?? 0) + skipped + 1;
        // What was only for others may stand between.
        expect([place?.epoch, place?.offset]).toEqual([before?.epoch ?? place?.epoch, expected]);
      }
      [position, isLost, skipped] = [frame.id, false, 0];
    }
  }
  // After a loss it stands where the log begins anew.
  return isLost ? null : position;
}

const room = fc.constantFrom(...ROOMS);
const slot = fc.nat({ max: MEMBERS - 1 });
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('publish' as const), room }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('event' as const),
      room,
      fate: fc.constantFrom(
        'arrive' as const,
        'arrive' as const,
        'arrive' as const,
        'twice' as const,
        'lost' as const,
      ),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('answer' as const), which: fc.nat({ max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const), times: fc.nat({ max: 2 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('failover' as const),
      room,
      lost: fc.option(fc.integer({ min: 1, max: 4 })),
      then: fc.nat({ max: 5 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      slot,
      room,
      back: fc.option(fc.nat({ max: 6 })),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('enter' as const, 'enter' as const, 'leave' as const), slot }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

async function play(world: World, what: Step): Promise<void> {
  switch (what.do) {
    case 'publish':
      world.publish(what.room, null);
      break;
    case 'event':
      world.event(what.room, what.fate);
      break;
    case 'answer':
      world.answer(what.which);
      break;
    case 'fail':
      world.failing = what.times;
      break;
    case 'cut':
      world.cut();
      break;
    case 'failover':
      if (what.lost === null) world.logs.get(what.room)?.clear();
      else world.logs.get(what.room)?.lose(what.lost);
      for (let i = 0; i < what.then; i++) world.publish(what.room, null, false);
      world.cut();
      break;
    case 'ask':
      world.ask(what.slot, what.room, what.back);
      break;
    case 'enter':
    case 'leave':
      world[what.do](what.slot);
      break;
    case 'wait':
      await jest.advanceTimersByTimeAsync(120);
      break;
    default:
      what satisfies never;
  }
  await jest.advanceTimersByTimeAsync(0);
}

async function run(steps: readonly Step[]): Promise<void> {
  const world = new World();
  for (const what of steps) await play(world, what);
  await world.heal();
  // I6: in the end everybody stands where the log does.
  for (const member of world.members) {
    if (member !== null) expect(follow(member)).toBe(world.logs.get(member.room)?.position);
  }
  for (const member of world.gone) follow(member);
}

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

test.each(seedsOr([7, 20_261_121, 99_991]))(
  'every session hears a run without holes, or of the hole (seed %s)',
  async (seed) => {
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }), run), {
      numRuns: 400,
      seed,
    });
  },
  60_000,
);

test('a session that was ahead of its feed when the store lost the log is told, and hears what comes then', async () => {
  await run([
    { do: 'ask', slot: 0, room: 'b' as RoomName, back: null },
    { do: 'enter', slot: 0 },
    { do: 'publish', room: 'b' as RoomName },
    { do: 'ask', slot: 1, room: 'b' as RoomName, back: null },
    { do: 'enter', slot: 1 },
    { do: 'answer', which: 0 },
    { do: 'failover', room: 'b' as RoomName, lost: null, then: 0 },
    { do: 'publish', room: 'b' as RoomName },
    { do: 'event', room: 'b' as RoomName, fate: 'arrive' },
  ]);
});

test('a session that enters where the log stood, while the feed looks where the lost log begins anew, is told', async () => {
  const room = 'b' as RoomName;
  await run([
    { do: 'ask', slot: 0, room, back: null },
    { do: 'publish', room },
    { do: 'ask', slot: 1, room, back: null },
    { do: 'enter', slot: 0 },
    { do: 'event', room, fate: 'arrive' },
    { do: 'failover', room, lost: null, then: 0 },
    { do: 'publish', room },
    // The read that finds nothing any more; the next one is not answered before it enters.
    { do: 'answer', which: 0 },
    { do: 'enter', slot: 1 },
  ]);
});
