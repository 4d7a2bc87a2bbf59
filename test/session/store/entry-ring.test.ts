// The ring of a log's entries against an array: whatever is put in and taken out, the same entries in the same order.
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { EntryRing, type Extra } from '../../../src/session/store/entry-ring.js';
import type { SessionId } from '../../../src/protocol/ids.js';

interface Kept {
  offset: number;
  tag: number;
  body: Uint8Array;
  extra: Extra | null;
}

const extra = fc.option(
  fc.record({
    only: fc.constantFrom(null, 'session' as SessionId),
    skip: fc.array(fc.string({ maxLength: 3 }), { maxLength: 2 }),
    kept: fc.boolean(),
    expiresAt: fc.constantFrom(Infinity, 7),
  }),
  { nil: null },
);
const length = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 200 }) },
  { weight: 1, arbitrary: fc.constantFrom(16_383, 16_384, 16_385, 40_000) },
);
const step = fc.oneof(
  { weight: 7, arbitrary: fc.tuple(fc.constant('push' as const), length, extra) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('shift' as const)) },
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc.constant('page' as const),
      fc.nat(30),
      fc.integer({ min: 1, max: 8 }),
      fc.nat(500),
    ),
  },
  { weight: 1, arbitrary: fc.tuple(fc.constant('clear' as const)) },
);

afterEach(() => {
  jest.restoreAllMocks();
});

describe('EntryRing', () => {
  test('holds what was pushed and not shifted, in order', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const ring = new EntryRing();
        const kept: Kept[] = [];
        let top = 0;
        for (const [kind, ...rest] of steps) {
          if (kind === 'push') {
            const [bytes, extras] = rest as [number, Extra | null];
            const body = new Uint8Array(bytes).map((_, i) => (top + i) & 0xff);
            const tag = (0xffff_ffff - top) >>> 0;
            ring.push(tag, body, extras);
            // The bytes came in a buffer that is used again.
            kept.push({ offset: ++top, tag, body: body.slice(), extra: extras });
            body.fill(0xee);
          } else if (kind === 'shift') {
            ring.shift();
            kept.shift();
          } else if (kind === 'clear') {
            ring.clear();
            kept.length = 0;
          } else {
            const [skip, limit, limitBytes] = rest as [number, number, number];
            expect(read(ring, skip, limit, limitBytes)).toEqual(pageOf(kept, skip, limit, limitBytes));
          }
          expect([ring.top, ring.count, ring.bytes]).toEqual([
            top,
            kept.length,
            kept.reduce((sum, { body }) => sum + body.length, 0),
          ]);
        }
        expect(read(ring, 0, Infinity, Infinity)).toEqual(kept.map(plain));
        for (const { offset, tag } of kept) expect(ring.tag(offset)).toBe(tag);
        expect([ring.tag(ring.oldest - 1), ring.tag(top + 1)]).toEqual([undefined, undefined]);
      }),
      { numRuns: 300 },
    );
  });

  test('gives memory back when what was large has gone, and says how much it holds', () => {
    const ring = new EntryRing();
    const before = process.memoryUsage().arrayBuffers;
    const keep = (count: number) => {
      while (ring.count > count) ring.shift();
    };
    for (let i = 0; i < 2048; i++) ring.push(i, new Uint8Array(4000), null);
    ring.push(0, new Uint8Array(1_000_000), null);
    expect(ring.heldBytes).toBeGreaterThan(ring.bytes);
    expect(process.memoryUsage().arrayBuffers - before).toBeGreaterThanOrEqual(ring.heldBytes);
    for (let i = 0; i < 300; i++) {
      keep(255);
      ring.push(i, new Uint8Array(20), null);
      expect(ring.heldBytes).toBeLessThan(4 * (ring.bytes + 256 * 8) + 4096);
    }
    expect(read(ring, 255, 1, 1)).toMatchObject([{ offset: ring.top, tag: 299 }]);
    // All of them are of 20 bytes, with 8 before each.
    expect(ring.heldBytes).toBeLessThanOrEqual(4 * 256 * 28);
    ring.clear();
    expect(ring.heldBytes).toBe(0);
  });

  test('hands out copies: what was read stays as it was when its place is used again', () => {
    const ring = new EntryRing();
    for (let i = 1; i <= 4; i++) ring.push(i, new Uint8Array(100).fill(i), null);
    const page = ring.page(1, 4, Infinity);
    ring.shift();
    for (let i = 5; i <= 12; i++) {
      ring.shift();
      ring.push(i, new Uint8Array(100).fill(i), null);
    }
    expect(page.map(({ body }) => [...new Set(body)])).toEqual([[1], [2], [3], [4]]);
  });

  test('finds an entry without looking at all before it', () => {
    const ring = new EntryRing();
    for (let i = 0; i < 10_000; i++) ring.push(i, new Uint8Array(i % 50), null);
    for (let i = 0; i < 3000; i++) ring.shift();
    for (let i = 10_000; i < 12_000; i++) ring.push(i, new Uint8Array(i % 50), null);
    const looks = jest.spyOn(Buffer.prototype, 'readUInt32LE');
    for (const offset of [3001, 3500, 9_999, 11_999, 12_000]) {
      looks.mockClear();
      expect(ring.tag(offset)).toBe(offset - 1);
      expect(ring.page(offset, 1, Infinity)).toMatchObject([{ offset, tag: offset - 1 }]);
      expect(looks.mock.calls.length).toBeLessThan(100);
    }
  });

  test('finds all entries of a long log, whatever came and went', () => {
    const moves = fc.array(fc.tuple(fc.nat(300), fc.nat(300), fc.nat(60)), { maxLength: 12 });
    fc.assert(
      fc.property(moves, (all) => {
        const ring = new EntryRing();
        for (const [pushes, shifts, bytes] of all) {
          for (let i = 0; i < pushes; i++) ring.push(ring.top + 1, new Uint8Array(bytes), null);
          for (let i = 0; i < shifts; i++) ring.shift();
          const lost = [];
          for (let i = ring.oldest; i <= ring.top; i++) if (ring.tag(i) !== i) lost.push(i);
          expect(lost).toEqual([]);
        }
      }),
      { numRuns: 50 },
    );
  });

  test('asks for no memory where as much comes as goes, however few there are', () => {
    for (const [count, places] of [
      [1, 2],
      [2, 4],
      [3, 4],
      [64, 128],
    ] as const) {
      const ring = new EntryRing();
      const turnOver = () => {
        ring.push(0, new Uint8Array(100), null);
        if (ring.count > count) ring.shift();
      };
      for (let i = 0; i < 4 * count; i++) turnOver();
      const allocate = jest.spyOn(Buffer, 'allocUnsafeSlow');
      for (let i = 0; i < 100; i++) turnOver();
      expect(allocate).not.toHaveBeenCalled();
      expect(ring.heldBytes).toBe(places * 108);
      jest.restoreAllMocks();
    }
  });

  test('is as it was when there is no memory for another entry', () => {
    const ring = new EntryRing();
    ring.push(7, new Uint8Array(100).fill(1), null);
    const held = ring.heldBytes;
    jest.spyOn(Buffer, 'allocUnsafeSlow').mockImplementationOnce(() => {
      throw new RangeError('Array buffer allocation failed');
    });
    expect(() => {
      ring.push(8, new Uint8Array(100).fill(2), null);
    }).toThrow(RangeError);
    expect([ring.top, ring.count, ring.bytes, ring.heldBytes]).toEqual([1, 1, 100, held]);
    ring.push(9, new Uint8Array(100).fill(3), null);
    expect(ring.page(1, 9, Infinity).map(({ tag, body }) => [tag, body[0]])).toEqual([
      [7, 1],
      [9, 3],
    ]);
  });

  test('takes no more memory where as many come as go', () => {
    const ring = new EntryRing();
    const body = new Uint8Array(100);
    for (let i = 0; i < 64; i++) ring.push(i, body, null);
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 100_000; i++) {
      ring.push(i, body, null);
      ring.shift();
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000);
    expect([ring.count, ring.bytes]).toEqual([64, 6400]);
  });
});

const plain = ({ body, ...rest }: Kept) => ({ ...rest, body: [...body] });

function read(ring: EntryRing, skip: number, limit: number, limitBytes: number) {
  return ring.page(ring.oldest + skip, limit, limitBytes).map(plain);
}

function pageOf(kept: Kept[], skip: number, limit: number, limitBytes: number) {
  const page: Kept[] = [];
  let bytes = 0;
  for (const entry of kept.slice(skip, skip + limit)) {
    bytes += entry.body.length;
    if (page.length > 0 && bytes > limitBytes) break;
    page.push(entry);
  }
  return page.map(plain);
}
