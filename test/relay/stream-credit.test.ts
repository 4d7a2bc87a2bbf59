// What a reader allows comes to the writer as its connection has room for it: neither waits for the other, and nothing is sent in vain.
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ReceiveFlow } from '../../src/client/streams/receive-flow.js';
import { costOf, SendFlow } from '../../src/client/streams/send-flow.js';
import { PARTS, type Payload } from '../../src/protocol/frame.js';
import type { StreamId } from '../../src/protocol/ids.js';
import { STREAM_CHUNK_COST_BYTES, STREAM_CHUNK_LIMIT_BYTES } from '../../src/protocol/limits.js';
import { StreamCredit } from '../../src/relay/stream-credit.js';
import { type End, newEnd } from '../../src/relay/stream-ends.js';
import type { Session } from '../../src/session/session.js';
import { TimerWheel } from '../../src/session/wheel.js';
import { until } from '../client/fixture.js';

const KIB = 1024;
/** What a frame has around a chunk's payload, at most. */
const FRAME_BYTES = 64;

/** What the largest chunk counts. */
const LARGEST_BYTES = STREAM_CHUNK_LIMIT_BYTES + STREAM_CHUNK_COST_BYTES;

const payloadOf = (bytes: number): Payload => ({ encoding: 3, data: new Uint8Array(bytes) });
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Ends on connections whose outboxes are as full as a test says, and what their writers were told, in order. */
function ends(outboxLimitBytes: number) {
  const wheel = new TimerWheel();
  const passed: { end: End; told: number }[] = [];
  const credit = new StreamCredit({
    wheel,
    outboxLimitBytes,
    isHeld: () => true,
    pass: (end) => passed.push({ end, told: end.told }),
  });
  const connect = (connection: { queuedBytes: number }): End =>
    newEnd({
      session: { connection } as unknown as Session,
      stream: 's' as StreamId,
      opened: false,
      room: null,
      peer: null,
      group: null,
    });
  return { wheel, credit, passed, connect };
}

/** A writer and a reader, and between them a connection that holds what it is given until its network takes it. */
class Lane {
  readonly send = new SendFlow();
  readonly receive: ReceiveFlow;
  readonly end: End;
  readonly credit: StreamCredit;
  readonly arrived: Payload[] = [];
  readonly connection: { queuedBytes: number } = { queuedBytes: 0 };
  private queue: ReturnType<SendFlow['take']>[] = [];
  private readonly wheel = new TimerWheel();
  /** How much was in the outbox when more was put into it. */
  fullest = 0;
  told = 0;

  constructor(
    readonly outboxLimitBytes: number,
    window: number,
  ) {
    this.receive = new ReceiveFlow(window);
    const { connection } = this;
    const session = { connection } as unknown as Session;
    this.end = newEnd({
      session,
      stream: 's' as StreamId,
      opened: false,
      room: null,
      peer: null,
      group: null,
    });
    this.credit = new StreamCredit({
      wheel: this.wheel,
      outboxLimitBytes,
      isHeld: () => true,
      pass: ({ upTo, told }) => {
        this.told++;
        this.send.credited(upTo, told);
      },
    });
    this.tell();
  }

  /** The reader says where it stands. */
  tell(): void {
    const { upTo, limit } = this.receive.tell();
    this.send.credited(upTo, this.credit.heard(this.end, upTo, limit));
  }

  /** The writer sends all that it may. */
  pump(): boolean {
    let moved = false;
    for (let chunk = this.send.take(); chunk !== null; chunk = this.send.take()) {
      // The end needs no credit, and comes again where there is no room for it.
      if (chunk.part === PARTS.data) this.fullest = Math.max(this.fullest, this.connection.queuedBytes);
      this.queue.push(chunk);
      this.connection.queuedBytes += chunk.payload.data.length + FRAME_BYTES;
      this.credit.gave(this.end, chunk.offset, chunk.offset + costOf(chunk.payload));
      moved = true;
    }
    return moved;
  }

  /** The network takes what is queued. */
  drain(): boolean {
    const { queue } = this;
    this.queue = [];
    this.connection.queuedBytes = 0;
    for (const chunk of queue) {
      if (chunk === null) continue;
      expect(this.receive.arrived(chunk.offset, costOf(chunk.payload), chunk.part)).toBe('new');
      this.arrived.push(chunk.payload);
      if (this.receive.isDue) this.tell();
    }
    return queue.length > 0;
  }

  /** The application takes what has come. */
  take(): boolean {
    const taken = this.arrived.splice(0);
    for (const payload of taken) {
      this.receive.taken(costOf(payload));
      if (this.receive.isDue) this.tell();
    }
    return taken.length > 0;
  }

  close(): void {
    this.wheel.close();
  }
}

/** Until all has come, or nothing moves any more. */
async function run(lane: Lane, { drainEvery = 1 } = {}): Promise<void> {
  for (let round = 0, still = 0; !lane.send.isDone && still < 20; round++) {
    const moved = [lane.pump(), round % drainEvery === 0 && lane.drain(), lane.take()].includes(true);
    still = moved || round % drainEvery !== 0 ? 0 : still + 1;
    await turn();
  }
}

function write(lane: Lane, bytes: number, each: number): void {
  for (let at = 0; at < bytes; at += each) lane.send.push(PARTS.data, payloadOf(Math.min(each, bytes - at)));
  lane.send.push(PARTS.end, payloadOf(0));
}

test('no stream stands still or has a chunk dropped, whatever the outbox, the window and the chunks', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(64, 96, 128, 256, 512, 1024),
      fc.integer({ min: 64, max: 2048 }),
      fc.integer({ min: 2000, max: STREAM_CHUNK_LIMIT_BYTES }),
      async (outboxKib, windowKib, each) => {
        const lane = new Lane(outboxKib * KIB, windowKib * KIB);
        write(lane, 1024 * KIB, each);
        await run(lane);
        expect(lane.send.isDone).toBe(true);
        // A chunk is dropped where more than that waits already.
        expect(lane.fullest).toBeLessThanOrEqual((outboxKib * KIB) / 2);
        lane.close();
      },
    ),
    { numRuns: 60 },
  );
});

test('a connection that does not drain with its tick is looked at again', async () => {
  const lane = new Lane(64 * KIB, 512 * KIB);
  write(lane, 4 * STREAM_CHUNK_LIMIT_BYTES, STREAM_CHUNK_LIMIT_BYTES);
  lane.pump();
  const [{ queuedBytes }, { told }] = [lane.connection, lane.end];
  await turn();
  expect([lane.connection.queuedBytes, lane.end.told]).toEqual([queuedBytes, told]);
  lane.drain();
  await until(() => lane.end.told !== told);
  expect(lane.end.told).toBeGreaterThan(told);
  lane.close();
});

test('a reader that has stopped gets as much as it allows, and the writer hears no more', async () => {
  const lane = new Lane(64 * KIB, 512 * KIB);
  write(lane, 2048 * KIB, STREAM_CHUNK_LIMIT_BYTES);
  for (let round = 0; round < 100; round++) {
    lane.pump();
    lane.drain();
    await turn();
  }
  expect(lane.end.told).toBe(lane.end.allowed);
  expect(lane.receive.upTo).toBeGreaterThan(480 * KIB);
  const { told } = lane;
  for (let round = 0; round < 10; round++) await turn();
  expect(lane.told).toBe(told);
  lane.close();
});

test('a reader whose outbox has room for all that it allows is not spoken for', async () => {
  const lane = new Lane(1024 * KIB, 512 * KIB);
  write(lane, 2048 * KIB, STREAM_CHUNK_LIMIT_BYTES);
  await run(lane);
  expect(lane.send.isDone).toBe(true);
  expect(lane.told).toBe(0);
  lane.close();
});

test('a writer is told what its reader allows when the outbox was full of what another stream had put into it', async () => {
  const { wheel, credit, passed, connect } = ends(64 * KIB);
  const connection = { queuedBytes: 0 };
  const [end, other] = [connect(connection), connect(connection)];
  const window = 64 * KIB;
  // All that the reader allows is told, and sent but for less than a chunk.
  expect(credit.heard(end, 0, LARGEST_BYTES)).toBe(LARGEST_BYTES);
  const given = LARGEST_BYTES - 1000;
  credit.gave(end, 0, given);
  credit.heard(other, 0, window);
  connection.queuedBytes = 30 * KIB;
  credit.gave(other, 0, connection.queuedBytes);
  // The reader allows more, and there is no room for a chunk of it.
  const told = credit.heard(end, 1000, window);
  expect(told).toBeLessThan(given + LARGEST_BYTES);
  connection.queuedBytes = 0;
  await until(() => passed.length > 0);
  await turn();
  expect(passed.find((one) => one.end === end)?.told).toBeGreaterThanOrEqual(
    Math.min(window, given + LARGEST_BYTES),
  );
  wheel.close();
});

test('a connection that does not drain holds up no stream of another', async () => {
  const { wheel, credit, passed, connect } = ends(64 * KIB);
  const full = { queuedBytes: 0 };
  const [stuck, end] = [connect(full), connect({ queuedBytes: 0 })];
  const window = 1024 * KIB;
  for (const each of [stuck, end]) credit.heard(each, 0, window);
  full.queuedBytes = 40 * KIB;
  credit.gave(stuck, 0, 20 * KIB);
  await turn();
  await turn();
  for (let given = 0; given < 10 * KIB; given += KIB) {
    credit.gave(end, given, given + KIB);
    await turn();
    await turn();
  }
  // As often as something was given, and not as often as the wheel turns.
  expect(passed.map((one) => one.end)).toEqual(Array.from({ length: 10 }, () => end));
  full.queuedBytes = 0;
  await until(() => passed.length !== 10);
  expect(passed.at(-1)?.end).toBe(stuck);
  wheel.close();
});
