// Both flows of a stream over a way that loses, doubles and delays: each byte once, in order, never beyond the credit.
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ReceiveFlow } from '../../../src/client/streams/receive-flow.js';
import { type Chunk, costOf, SendFlow } from '../../../src/client/streams/send-flow.js';
import { PARTS, type Payload } from '../../../src/protocol/frame.js';

const WINDOW = 4096;

const payloadOf = (bytes: number, mark: number): Payload => ({
  encoding: 3,
  data: new Uint8Array(bytes).fill(mark),
});

/** What may happen next, one by one. */
type Move =
  | { do: 'write'; bytes: number }
  | { do: 'send' | 'carry' | 'lose' | 'double' | 'swap' | 'take' | 'tell' | 'hear' | 'deafen' | 'reconnect' };

const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('write' as const), bytes: fc.integer({ min: 0, max: 1500 }) }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constantFrom(
        ...(['send', 'send', 'carry', 'carry', 'carry', 'lose', 'double', 'swap'] as const),
        ...(['take', 'take', 'tell', 'hear', 'deafen', 'reconnect'] as const),
      ),
    }),
  },
);

class Lane {
  /** What is freed is written over: it must not be read any more. */
  readonly send = new SendFlow(({ data }) => data.fill(255));
  readonly receive = new ReceiveFlow(WINDOW);
  readonly chunks: Chunk[] = [];
  readonly credits: { upTo: number; limit: number; again: boolean }[] = [];
  readonly queue: Payload[] = [];
  readonly written: number[] = [];
  readonly taken: number[] = [];
  private marks = 0;

  constructor() {
    this.tell(false);
  }

  write(bytes: number): void {
    // The application waits where too much is kept.
    if (this.send.isEnded || this.send.heldBytes > 3 * WINDOW) return;
    const mark = this.marks++ % 251;
    this.send.push(PARTS.data, payloadOf(bytes, mark));
    this.written.push(mark, bytes);
  }

  sendOne(): void {
    const chunk = this.send.take();
    if (chunk !== null) this.chunks.push(chunk);
  }

  carry(): void {
    const chunk = this.chunks.shift();
    if (chunk === undefined) return;
    const { offset, part, payload } = chunk;
    const arrival = this.receive.arrived(offset, costOf(payload), part);
    expect(arrival).not.toBe('beyond');
    if (arrival === 'gap') this.tell(true);
    if (arrival !== 'new') return;
    // The way has carried a copy.
    if (part === PARTS.data) this.queue.push({ ...payload, data: payload.data.slice() });
    else this.receive.taken(costOf(payload));
    if (this.receive.isDue) this.tell(false);
  }

  take(): void {
    const payload = this.queue.shift();
    if (payload === undefined) return;
    this.receive.taken(costOf(payload));
    this.taken.push(payload.data[0] ?? this.written[this.taken.length] ?? -1, payload.data.length);
    if (this.receive.isDue) this.tell(false);
  }

  tell(again: boolean): void {
    this.credits.push({ ...this.receive.tell(), again });
  }

  hear(): void {
    const credit = this.credits.shift();
    if (credit === undefined) return;
    const wasPaused = this.send.isPaused;
    this.send.credited(credit.upTo, credit.limit);
    if (wasPaused) this.send.rewind(credit.upTo);
    if (credit.again) this.send.again(credit.upTo);
  }

  /** All that is on its way is lost; both sides say where they stand. */
  reconnect(): void {
    this.chunks.length = this.credits.length = 0;
    this.send.isPaused = true;
    this.tell(false);
  }

  check(): void {
    const waiting = this.queue.reduce((sum, payload) => sum + costOf(payload), 0);
    expect(waiting).toBeLessThanOrEqual(WINDOW);
    expect(this.taken).toEqual(this.written.slice(0, this.taken.length));
  }
}

test('flows lose and double no byte, keep the order and the window, and come to their end', () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 300 }), (moves) => {
      const lane = new Lane();
      for (const step of moves) {
        switch (step.do) {
          case 'write':
            lane.write(step.bytes);
            break;
          case 'send':
            lane.sendOne();
            break;
          case 'carry':
            lane.carry();
            break;
          case 'lose':
            lane.chunks.shift();
            break;
          case 'double':
            if (lane.chunks[0] !== undefined) lane.chunks.push(lane.chunks[0]);
            break;
          case 'swap':
            lane.chunks.reverse();
            break;
          case 'take':
            lane.take();
            break;
          case 'tell':
            lane.tell(false);
            break;
          case 'hear':
            lane.hear();
            break;
          case 'deafen':
            lane.credits.shift();
            break;
          case 'reconnect':
            lane.reconnect();
            break;
        }
        lane.check();
      }
      // From here on nothing is lost: everything arrives in a bounded number of steps.
      lane.send.push(PARTS.end, payloadOf(0, 0));
      for (let round = 0; round < 500 && !lane.send.isDone; round++) {
        lane.reconnect();
        for (let i = 0; i < 20; i++) {
          lane.hear();
          lane.sendOne();
          lane.carry();
          lane.take();
        }
      }
      expect(lane.send.isDone).toBe(true);
      expect(lane.taken).toEqual(lane.written);
    }),
    { numRuns: 300 },
  );
});

test('a chunk beyond the credit is told from one that is only early', () => {
  const receive = new ReceiveFlow(WINDOW);
  receive.tell();
  expect(receive.arrived(100, 200, PARTS.data)).toBe('gap');
  expect(receive.arrived(0, WINDOW, PARTS.data)).toBe('new');
  expect(receive.arrived(WINDOW, 1, PARTS.data)).toBe('beyond');
  // The end needs no credit of its own.
  expect(receive.arrived(WINDOW, 64, PARTS.end)).toBe('new');
  expect(receive.arrived(WINDOW + 64, 64, PARTS.data)).toBe('old');
  receive.taken(64);
  receive.tell();
  expect(receive.arrived(WINDOW + 64, 64, PARTS.answer)).toBe('new');
  expect(receive.isAnswered).toBe(true);
});

/** A sender of 64 chunks, with credit for all of them; `burst` sends what may go now and counts it. */
function fullSender(): { send: SendFlow; cost: number; burst: () => number } {
  const send = new SendFlow();
  const cost = 32 * 1024 + 64;
  for (let i = 0; i < 64; i++) send.push(PARTS.data, payloadOf(32 * 1024, i));
  send.credited(0, 64 * cost);
  const burst = (): number => {
    let sent = 0;
    while (send.take() !== null) sent++;
    return sent;
  };
  return { send, cost, burst };
}

test('a sender whose chunks get lost sends fewer of them at once, and more again as they arrive', () => {
  const { send, cost, burst } = fullSender();
  expect(burst()).toBe(64);
  send.again(0);
  expect(burst()).toBe(32);
  send.again(0);
  expect(burst()).toBe(16);
  // One more for each window that arrives.
  send.credited(16 * cost, 64 * cost);
  expect(burst()).toBe(17);
  send.credited(33 * cost, 64 * cost);
  expect(burst()).toBe(18);
});

test('a sender that sends less at once than its reader waits for asks what the reader has, once for each time', () => {
  const { send, cost, burst } = fullSender();
  expect(burst()).toBe(64);
  // All is sent: there is nothing to ask for.
  expect(send.takeQuestion()).toBe(false);
  send.again(0);
  expect(burst()).toBe(32);
  expect([send.takeQuestion(), send.takeQuestion()]).toEqual([true, false]);
  // The question, or its answer, may be lost with the rest.
  send.again(0);
  expect(burst()).toBe(16);
  expect(send.takeQuestion()).toBe(true);
  send.credited(16 * cost, 64 * cost);
  expect(burst()).toBe(17);
  expect(send.takeQuestion()).toBe(true);
});

test('a sender that may keep less than its reader waits for asks what the reader has, once for each time', () => {
  const send = new SendFlow();
  for (let i = 0; i < 4; i++) send.push(PARTS.data, payloadOf(1000, i));
  send.credited(0, 10_000);
  // Not while something is left to be sent.
  expect(send.takeQuestion(true)).toBe(false);
  while (send.take() !== null);
  expect([send.takeQuestion(), send.takeQuestion(true), send.takeQuestion(true)]).toEqual([
    false,
    true,
    false,
  ]);
  send.credited(1064, 10_000);
  expect(send.takeQuestion(true)).toBe(true);
});

test('a sender that goes another way asks again there: what it asked before may be lost with the old one', () => {
  const send = new SendFlow();
  for (let i = 0; i < 4; i++) send.push(PARTS.data, payloadOf(1000, i));
  send.credited(0, 10_000);
  while (send.take() !== null);
  expect([send.takeQuestion(true), send.takeQuestion(true)]).toEqual([true, false]);
  send.changeWay();
  send.credited(0, 10_000);
  expect(send.takeQuestion(true)).toBe(true);
});

test('a sender that waits for the leave of its reader does not ask', () => {
  const send = new SendFlow();
  for (let i = 0; i < 4; i++) send.push(PARTS.data, payloadOf(1000, i));
  send.credited(0, 2200);
  while (send.take() !== null);
  expect(send.takeQuestion()).toBe(false);
});

test.each([64, 512, 16 * 1024])(
  'a reader with a window of %i KiB tells what it has long before half of the gateway’s outbox is full',
  (kib) => {
    const receive = new ReceiveFlow(kib * 1024);
    receive.tell();
    const cost = 32 * 1024 + 64;
    let taken = 0;
    while (!receive.isDue) {
      expect(receive.arrived(taken, cost, PARTS.data)).toBe('new');
      receive.taken(cost);
      taken += cost;
    }
    expect(taken).toBeLessThanOrEqual(Math.max(cost, 256 * 1024 + cost));
    const arrived = new ReceiveFlow(kib * 1024);
    arrived.tell();
    let at = 0;
    while (!arrived.isDue) {
      expect(arrived.arrived(at, cost, PARTS.data)).toBe('new');
      at += cost;
    }
    expect(at).toBeLessThanOrEqual(256 * 1024 + cost);
  },
);

test('a payload is free when the other side has it, once, and not where it was sent again', () => {
  const freed: Payload[] = [];
  const flow = new SendFlow((payload) => freed.push(payload));
  const payloads = [1, 2, 3].map((mark) => payloadOf(100, mark));
  for (const payload of payloads) flow.push(PARTS.data, payload);
  const ends = payloads.map((payload, at) => (at + 1) * costOf(payload));
  const [first = 0, second = 0, third = 0] = ends;
  flow.credited(0, WINDOW);
  for (let sent = 0; sent < 2; sent++) flow.take();
  flow.credited(first, WINDOW);
  flow.credited(first, WINDOW);
  expect(freed).toEqual(payloads.slice(0, 1));
  flow.rewind(first);
  flow.take();
  // The third one was not sent at all: who says that it has it does not know what it says.
  flow.credited(second, WINDOW);
  flow.credited(third, WINDOW);
  expect(freed).toEqual(payloads.slice(0, 1));
});
