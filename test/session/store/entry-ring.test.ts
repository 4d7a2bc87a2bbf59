// The ring of a log's entries against an array: whatever is put in and taken out, the same entries in the same order.
import { describe, expect, test } from '@jest/globals';
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
  { weight: 5, arbitrary: fc.tuple(fc.constant('push' as const), length, extra) },
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
