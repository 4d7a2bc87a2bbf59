// Credit that a gateway with a small outbox clips: a writer asks before it would stand still, and no oftener than it helps.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ReceiveFlow } from '../../../src/client/streams/receive-flow.js';
import { type Chunk, costOf, SendFlow } from '../../../src/client/streams/send-flow.js';
import { PARTS, type Payload } from '../../../src/protocol/frame.js';
import { STREAM_CHUNK_LIMIT_BYTES } from '../../../src/protocol/limits.js';

const KIB = 1024;
/** What a gateway lets be under way at least, whatever its outbox holds. */
const SMALLEST_CLIP = 65_664;
const SEND_BUFFER = 1024 * KIB;
const QUESTION = 'question';

interface Way {
  /** Most bytes that the gateway lets be under way. */
  clip: number;
  window: number;
  /** What the application writes at once. */
  writeBytes: number;
  writes: number;
  /** How many chunks the reader takes at most for each that arrives. */
  takes: number;
  /** Takes nothing before all that is on its way has arrived. */
  isLate: boolean;
}

/** A writer and a reader with a gateway between them that loses nothing. */
class Lane {
  readonly send = new SendFlow();
  readonly receive: ReceiveFlow;
  /** How often nothing moved any more, and only silence would have made it go on. */
  stalls = 0;
  questions = 0;
  private readonly toReader: (Chunk | typeof QUESTION)[] = [];
  private readonly toWriter: { upTo: number; limit: number }[] = [];
  private readonly arrived: Payload[] = [];
  private left: number[];

  constructor(private readonly way: Way) {
    this.receive = new ReceiveFlow(way.window);
    this.left = Array.from({ length: way.writes }, () => way.writeBytes).flatMap(chunksOf);
    this.tell();
  }

  /** Until it is done, or, where the reader has stopped, until nothing moves. */
  run(isReading = true): void {
    while (!this.send.isDone) {
      const moved = [this.write(), this.carry(), this.hear()].includes(true);
      const mayTake = isReading && !(moved && this.way.isLate);
      if ((mayTake && this.take()) || moved) continue;
      if (!isReading) return;
      this.stalls++;
      this.tell();
    }
  }

  private write(): boolean {
    if (this.send.isEnded) return this.pump();
    let moved = false;
    while (this.send.heldBytes < SEND_BUFFER) {
      const bytes = this.left.shift();
      this.send.push(bytes === undefined ? PARTS.end : PARTS.data, payloadOf(bytes ?? 0));
      moved = true;
      this.pump();
      if (bytes === undefined) return true;
    }
    if (this.send.takeQuestion(true)) this.ask();
    return moved;
  }

  private pump(): boolean {
    let moved = false;
    for (;;) {
      const chunk = this.send.take();
      if (chunk === null) break;
      this.toReader.push(chunk);
      moved = true;
    }
    if (this.send.takeQuestion()) this.ask();
    return moved;
  }

  private ask(): void {
    this.questions++;
    this.toReader.push(QUESTION);
  }

  private carry(): boolean {
    const frame = this.toReader.shift();
    if (frame === undefined) return false;
    if (frame === QUESTION) this.tell();
    else {
      const { offset, part, payload } = frame;
      expect(this.receive.arrived(offset, costOf(payload), part)).toBe('new');
      if (part === PARTS.data) this.arrived.push(payload);
      else this.receive.taken(costOf(payload));
      if (this.receive.isDue) this.tell();
    }
    return true;
  }

  private take(): boolean {
    const taken = this.arrived.splice(0, this.way.takes);
    for (const payload of taken) {
      this.receive.taken(costOf(payload));
      if (this.receive.isDue) this.tell();
    }
    return taken.length > 0;
  }

  private tell(): void {
    const { upTo, limit } = this.receive.tell();
    this.toWriter.push({ upTo, limit: Math.min(limit, upTo + this.way.clip) });
  }

  private hear(): boolean {
    const credit = this.toWriter.shift();
    if (credit === undefined) return false;
    this.send.credited(credit.upTo, credit.limit);
    this.pump();
    return true;
  }
}

const payloadOf = (bytes: number): Payload => ({ encoding: 3, data: new Uint8Array(bytes) });

function chunksOf(bytes: number): number[] {
  const whole = Math.floor(bytes / STREAM_CHUNK_LIMIT_BYTES);
  const rest = bytes % STREAM_CHUNK_LIMIT_BYTES;
  return [...Array<number>(whole).fill(STREAM_CHUNK_LIMIT_BYTES), ...(rest === 0 ? [] : [rest])];
}

const DEFAULTS: Way = {
  clip: 512 * KIB,
  window: 512 * KIB,
  writeBytes: STREAM_CHUNK_LIMIT_BYTES,
  writes: 200,
  takes: 1,
  isLate: false,
};

describe.each([SMALLEST_CLIP, 128 * KIB, 150_000, 256 * KIB, 512 * KIB])('a clip of %i bytes', (clip) => {
  test.each([1, 1000, 16 * KIB, 20_000, 32 * KIB, 64 * KIB])(
    'lets writes of %i bytes through without standing still',
    (writeBytes) => {
      const writes = Math.min(Math.ceil((4096 * KIB) / writeBytes), 5000);
      for (const isLate of [false, true]) {
        const lane = new Lane({ ...DEFAULTS, clip, writeBytes, writes, isLate });
        lane.run();
        expect(lane.stalls).toBe(0);
      }
    },
  );
});

test('no stream stands still, whatever is written, allowed, clipped and taken at once', () => {
  fc.assert(
    fc.property(
      fc.record({
        clip: fc.integer({ min: SMALLEST_CLIP, max: 600_000 }),
        window: fc.integer({ min: 64 * KIB, max: 4096 * KIB }),
        writeBytes: fc.oneof(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 65, max: 64 * KIB })),
        writes: fc.integer({ min: 1, max: 400 }),
        takes: fc.integer({ min: 1, max: 40 }),
        isLate: fc.boolean(),
      }),
      (way) => {
        const lane = new Lane(way);
        lane.run();
        expect(lane.stalls).toBe(0);
      },
    ),
    { numRuns: 120 },
  );
});

test('a reader that has stopped is asked once for each step, and nothing after it has all that it allows', () => {
  for (const clip of [SMALLEST_CLIP, 128 * KIB, 512 * KIB]) {
    const lane = new Lane({ ...DEFAULTS, clip });
    lane.run(false);
    expect(lane.receive.upTo).toBeGreaterThan(DEFAULTS.window - STREAM_CHUNK_LIMIT_BYTES - 64);
    expect(lane.questions).toBeLessThanOrEqual(Math.ceil(DEFAULTS.window / clip) + 1);
  }
});

test('a reader that the gateway does not hold up is hardly asked', () => {
  const lane = new Lane({ ...DEFAULTS, clip: 512 * KIB, isLate: true });
  lane.run();
  expect(lane.stalls).toBe(0);
  // 200 chunks of 32 KiB; it tells by itself whenever it has taken 128.
  expect(lane.questions).toBeLessThanOrEqual(200 / 4);
});
