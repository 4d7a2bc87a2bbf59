// Both ends of a stream over a gateway that enforces its credit and a path that comes and goes at any moment: each byte once, in order.
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { StreamPath } from '../../../src/client/streams/paths.js';
import { StreamCodec } from '../../../src/client/streams/stream-codec.js';
import { StreamEnd } from '../../../src/client/streams/stream-end.js';
import type { StreamHost } from '../../../src/client/streams/stream-host.js';
import { ASKS, type ClientFrame, PARTS } from '../../../src/protocol/frame.js';
import type { StreamId } from '../../../src/protocol/ids.js';
import { STREAM_CHUNK_COST_BYTES } from '../../../src/protocol/limits.js';
import { readPathFrame, writePathFrame } from '../../../src/protocol/path-frame.js';

const WINDOW = 4096;
const SEND_BUFFER = 8192;
const ID = 'AAAAAAAAAAAAAAAAAAAAAA' as StreamId;

/** One channel; each side hears on its own that it is closed. */
class TestPath implements StreamPath {
  readonly kind = 'direct';
  isOpen = true;
  isCongested = false;
  /** On the way to the other side. */
  readonly queue: Uint8Array[] = [];

  constructor(private readonly side: Side) {}

  put(bytes: Uint8Array): void {
    expect(this.isOpen).toBe(true);
    this.queue.push(bytes);
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.side.end.left(this);
  }
}

type GatewayFrame = ClientFrame | { type: 'attach'; upTo: number; limit: number };

/** One end, with what the gateway knows of it. */
class Side {
  readonly end: StreamEnd;
  /** On the way to the other side. */
  readonly queue: GatewayFrame[] = [];
  /** Up to where the gateway lets it send. */
  limit = 0;
  isOnline = true;
  path: TestPath | null = null;
  other: Side | null = null;
  readBytes = 0;
  /** It got other bytes than were written, or sent more than the gateway lets it. */
  isWrong = false;
  readonly written: number[] = [];

  constructor(world: World, opened: boolean) {
    const isOnline = (): boolean => this.isOnline;
    const host: StreamHost = {
      get isOpen() {
        return isOnline();
      },
      isCongested: false,
      now: () => world.now,
      put: (frame) => {
        if (!this.isOnline) return;
        if (frame.type === 'chunk') {
          const after = frame.offset + frame.payload.data.length + STREAM_CHUNK_COST_BYTES;
          if ((frame.part === PARTS.data ? after : frame.offset) > this.limit) this.isWrong = true;
        }
        this.queue.push(frame);
      },
      pumpLater: () => undefined,
      done: () => undefined,
    };
    this.end = new StreamEnd(host, {
      id: ID,
      name: 'bytes',
      codec: new StreamCodec(undefined, 'bytes', undefined),
      opened,
      peer: null,
      windowBytes: WINDOW,
      sendBufferBytes: SEND_BUFFER,
    });
    void this.drain();
  }

  attach(): void {
    this.queue.push({ type: 'attach', ...this.end.receive.tell() });
  }

  /** What the other side gets of this one's next frame through the gateway. */
  deliver(): void {
    const frame = this.queue.shift();
    const { other } = this;
    if (frame === undefined || other === null || !other.isOnline) return;
    switch (frame.type) {
      case 'attach':
        other.limit = Math.max(other.limit, frame.limit);
        return other.end.attached(frame.upTo, frame.limit);
      case 'credit':
        other.limit = Math.max(other.limit, frame.limit);
        return other.end.credited({ upTo: frame.upTo, limit: other.limit, ask: frame.ask });
      case 'chunk':
        return other.end.arrived(frame);
      case 'cut':
        return other.end.wasCut(frame.code === 'normal' ? 'normal' : frame.code, frame.text);
      default:
        throw new Error(`not expected: ${frame.type}`);
    }
  }

  deliverOnPath(): void {
    const bytes = this.path?.queue.shift();
    const to = this.other?.path;
    if (bytes !== undefined && to?.isOpen === true) this.other?.end.came(bytes, to);
  }

  private async drain(): Promise<void> {
    const reader = this.end.readable.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      for (const byte of value as Uint8Array)
        if (byte !== this.other?.written[this.readBytes++]) this.isWrong = true;
    }
  }
}

class World {
  now = 0;
  readonly alice = new Side(this, true);
  readonly bob = new Side(this, false);
  private marks = 0;

  constructor() {
    this.alice.other = this.bob;
    this.bob.other = this.alice;
    this.bob.attach();
  }

  get sides(): readonly [Side, Side] {
    return [this.alice, this.bob];
  }

  write(side: Side, bytes: number): void {
    if (side.end.send.isEnded || side.end.send.heldBytes > SEND_BUFFER) return;
    const data = Uint8Array.from({ length: bytes }, () => this.marks++ % 251);
    side.written.push(...data);
    side.end.send.push(PARTS.data, { encoding: 3, data });
    side.end.pump();
  }

  /** Its opener knows that the one before is gone; the other side may not. One of the two is sooner ready to use it. */
  openPath(sooner: Side): void {
    if (this.alice.path?.isOpen === true) return;
    for (const side of this.sides) side.path = new TestPath(side);
    this.move(sooner);
  }

  move(side: Side): void {
    if (side.path !== null) side.end.move(side.path);
  }

  reconnect(side: Side): void {
    side.queue.length = 0;
    if (side.other !== null) side.other.queue.length = 0;
    side.limit = 0;
    side.isOnline = true;
    side.end.resume();
    side.attach();
  }

  tick(ms: number): void {
    this.now += ms;
    for (const { end } of this.sides) end.watch(1e9);
  }

  async settle(): Promise<void> {
    for (let i = 0; i < 6; i++) await Promise.resolve();
  }
}

const DOES = {
  /** Much goes well for a while, on both ways. */
  flow: async (_side: Side, world: World) => {
    for (let round = 0; round < 8; round++) {
      for (const side of world.sides) {
        world.write(side, 1000);
        side.deliverOnPath();
        side.deliver();
      }
      await world.settle();
    }
  },
  flowOnPath: async (side: Side, world: World) => {
    for (let round = 0; round < 8; round++) {
      world.write(side, 1000);
      side.deliverOnPath();
      side.other?.deliverOnPath();
      await world.settle();
    }
  },
  deliver: (side: Side) => side.deliver(),
  deliverOnPath: (side: Side) => side.deliverOnPath(),
  lose: (side: Side) => {
    // Only chunks may get lost without a new connection.
    if (side.queue[0]?.type === 'chunk') side.queue.shift();
  },
  openPath: (side: Side, world: World) => world.openPath(side),
  move: (side: Side, world: World) => world.move(side),
  breakPath: (side: Side) => side.path?.close(),
  /** All that was in it is gone. */
  losePath: (side: Side) => {
    if (side.path !== null) side.path.queue.length = 0;
    side.path?.close();
  },
  disconnect: (side: Side) => {
    side.isOnline = false;
  },
  reconnect: (side: Side, world: World) => world.reconnect(side),
  tick: (_side: Side, world: World) => world.tick(1000),
} satisfies Record<string, (side: Side, world: World) => unknown>;

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ write: fc.integer({ min: 0, max: 1500 }), bob: fc.boolean() }) },
  {
    weight: 16,
    arbitrary: fc.record({
      does: fc.oneof(
        { weight: 4, arbitrary: fc.constantFrom<keyof typeof DOES>('deliver', 'deliverOnPath') },
        { weight: 4, arbitrary: fc.constantFrom<keyof typeof DOES>('flow', 'flowOnPath') },
        { weight: 3, arbitrary: fc.constantFrom<keyof typeof DOES>('openPath', 'move', 'breakPath') },
        {
          weight: 2,
          arbitrary: fc.constantFrom(...(Object.keys(DOES) as (keyof typeof DOES)[])),
        },
      ),
      bob: fc.boolean(),
    }),
  },
);

test('a stream whose path comes and goes loses and doubles no byte, and sends no more than the gateway allows', async () => {
  const received = { gateway: 0, direct: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
      const world = new World();
      const { alice, bob } = world;
      for (const one of steps) {
        const side = one.bob ? bob : alice;
        if ('write' in one) world.write(side, one.write);
        else await DOES[one.does](side, world);
        await world.settle();
        expect([alice.isWrong, bob.isWrong]).toEqual([false, false]);
      }
      // From here on nothing breaks: it comes to its end.
      alice.end.writable.close().catch(() => undefined);
      bob.end.answer('done');
      for (const side of world.sides) if (!side.isOnline) world.reconnect(side);
      for (let round = 0; round < 400 && !(alice.end.isOver && bob.end.isOver); round++) {
        for (const side of world.sides) {
          side.deliver();
          side.deliverOnPath();
        }
        // Whoever is at one end of a path that is closed hears of it.
        if (round % 10 === 9)
          for (const side of world.sides) if (side.other?.path?.isOpen === false) side.path?.close();
        if (round % 20 === 19) world.tick(1000);
        await world.settle();
      }
      expect([alice.end.isOver, bob.end.isOver]).toEqual([true, true]);
      await Promise.all([alice.end.closed, bob.end.closed]);
      for (const { end } of world.sides)
        for (const kind of ['gateway', 'direct'] as const) received[kind] += end.carried[kind].receivedBytes;
      expect(await alice.end.reply).toBe('done');
      expect([alice.isWrong, bob.isWrong]).toEqual([false, false]);
      expect([alice.readBytes, bob.readBytes]).toEqual([bob.written.length, alice.written.length]);
      for (const { end, readBytes } of world.sides) {
        const { gateway, direct, relay } = end.carried;
        const answer = end === alice.end ? 'done'.length + 1 : 0;
        expect(gateway.receivedBytes + direct.receivedBytes + relay.receivedBytes).toBe(readBytes + answer);
      }
    }),
    { numRuns: 400 },
  );
  // Both ways carried their share, else this says nothing.
  expect(Math.min(received.gateway, received.direct)).toBeGreaterThan(300_000);
}, 60_000);

/** Both sides on a path, over which alice has sent more than the gateway ever let her. */
async function onPath(): Promise<World> {
  const world = new World();
  const { alice, bob } = world;
  alice.deliver();
  bob.deliver();
  world.openPath(alice);
  world.move(bob);
  for (let i = 0; i < 4; i++) await DOES.flow(alice, world);
  expect(alice.end.carried.direct.sentBytes).toBeGreaterThan(3 * WINDOW);
  expect(alice.limit).toBeLessThan(3 * WINDOW);
  return world;
}

test('a stream that comes back from a path sends no more than the gateway has heard of, though it was allowed more', async () => {
  const world = await onPath();
  const { alice, bob } = world;
  // What bob says of it through the gateway is on its way for long.
  world.reconnect(alice);
  alice.deliver();
  for (let i = 0; i < 4; i++) await DOES.flowOnPath(alice, world);
  expect(bob.queue.length).toBeGreaterThan(0);
  for (let i = 0; i < 6; i++) world.write(alice, 1000);
  alice.path?.close();
  while (bob.queue.length > 0) bob.deliver();
  await world.settle();
  expect(alice.end.path).toBe('gateway');
  expect(alice.isWrong).toBe(false);
  // Its question is answered.
  alice.deliver();
  bob.deliver();
  expect(alice.end.carried.gateway.sentBytes).toBeGreaterThan(0);
  expect(alice.isWrong).toBe(false);
});

test('a side on a new connection sends no more than its gateway tells there, though it was told more before', async () => {
  const world = new World();
  const { alice, bob } = world;
  bob.deliver();
  world.reconnect(alice);
  // The outbox of the reader's connection has room for less now.
  alice.limit = 1500;
  alice.end.attached(0, alice.limit);
  for (let i = 0; i < 3; i++) world.write(alice, 1000);
  await world.settle();
  expect(alice.isWrong).toBe(false);
  expect(alice.queue.filter(({ type }) => type === 'chunk')).toHaveLength(1);
});

test('what is allowed on a path that a side does not write to yet is not allowed through the gateway', async () => {
  const world = new World();
  const { alice, bob } = world;
  bob.deliver();
  world.openPath(bob);
  for (let i = 0; i < 8; i++) world.write(alice, 1000);
  const upTo = alice.end.send.ackedBytes;
  const said = writePathFrame({ type: 'credit', upTo, limit: alice.limit + 2 * WINDOW, ask: 1 });
  const path = alice.path;
  if (path !== null) alice.end.came(said, path);
  expect(alice.end.carried.gateway.sentBytes).toBeGreaterThan(0);
  expect(alice.isWrong).toBe(false);
});

test('a path that says nothing for some seconds is left, also while the gateway talks', async () => {
  const world = await onPath();
  const { alice, bob } = world;
  world.write(alice, 1000);
  for (let second = 0; second < 6; second++) {
    world.tick(1000);
    bob.end.tell(ASKS.nothing, null);
    bob.deliver();
  }
  expect(alice.path?.isOpen).toBe(false);
  expect(alice.end.path).toBe('gateway');
});

test('a side whose path is gone tells through the gateway at once what the other may send', async () => {
  const world = new World();
  const { alice, bob } = world;
  alice.deliver();
  bob.deliver();
  world.openPath(alice);
  // Bob hears by the path, and has not moved to it.
  for (let i = 0; i < 4; i++) await DOES.flow(alice, world);
  expect(bob.end.carried.direct.receivedBytes).toBeGreaterThan(WINDOW);
  bob.queue.length = 0;
  bob.path?.close();
  expect(bob.queue).toEqual([expect.objectContaining({ type: 'credit', ...bob.end.receive.tell() })]);
});

test('a side that left its path does not go on telling there what the other may send', async () => {
  const { bob } = await onPath();
  bob.path?.close();
  bob.queue.length = 0;
  bob.end.tell(ASKS.nothing);
  expect(bob.queue).toEqual([expect.objectContaining({ type: 'credit' })]);
});

test('frames of a path are read as they were written, and nothing else is one', () => {
  const chunk = {
    type: 'chunk',
    offset: 2 ** 47 + 5,
    part: PARTS.answer,
    payload: { encoding: 1, data: new Uint8Array([1, 2]) },
  } as const;
  expect([...writePathFrame(chunk)]).toEqual([2, 1, 0x80, 0, 0, 0, 0, 5, 1, 2]);
  expect(readPathFrame(writePathFrame(chunk))).toEqual(chunk);
  const credit = { type: 'credit', upTo: 7, limit: 2 ** 40, ask: 2 } as const;
  expect([...writePathFrame(credit)]).toEqual([5, 0, 0, 0, 0, 0, 0, 7, 0, 0, 1, 0, 0, 0, 0, 0]);
  expect(readPathFrame(writePathFrame(credit))).toEqual(credit);
  const whole = writePathFrame(credit);
  for (let length = 0; length < whole.length; length++)
    expect(readPathFrame(whole.subarray(0, length))).toBeNull();
  const isNone = (...bytes: number[]): boolean => readPathFrame(Uint8Array.from(bytes)) === null;
  // A kind, an encoding that there is not; a credit and a chunk that are too long.
  expect(isNone(6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)).toBe(true);
  expect(isNone(0, 0xff, 0, 0, 0, 0, 0, 0)).toBe(true);
  expect(isNone(...whole, 0)).toBe(true);
  expect(readPathFrame(new Uint8Array(8 + 32 * 1024))).not.toBeNull();
  expect(readPathFrame(new Uint8Array(9 + 32 * 1024))).toBeNull();
});
