// Token buckets with a clock of their own.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { BucketMap, TokenBucket } from '../../src/session/rate-limit.js';

describe('TokenBucket', () => {
  test('lets a burst pass, and says how long to wait for the rest', () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 5 });
    for (let i = 0; i < 5; i++) expect(bucket.take(1, 0)).toBe(0);
    expect(bucket.take(1, 0)).toBe(100);
    expect(bucket.take(1, 0)).toBe(200);
    expect(bucket.take(1, 300)).toBe(0);
  });

  test('counts whole tokens at any moment, however its time is written', () => {
    for (let now = 0.1; now < 1e8; now *= 3.3) {
      const bucket = new TokenBucket({ perSecond: 1, burst: 5 });
      const waits = Array.from({ length: 8 }, () => bucket.take(1, now));
      expect(waits).toEqual([0, 0, 0, 0, 0, 1000, 2000, 3000]);
    }
  });

  test('never saves more than its burst', () => {
    const bucket = new TokenBucket({ perSecond: 1000, burst: 3 });
    bucket.take(3, 0);
    for (let i = 0; i < 3; i++) expect(bucket.take(1, 1_000_000)).toBe(0);
    expect(bucket.take(1, 1_000_000)).toBeGreaterThan(0);
  });

  test('is off with a rate of 0', () => {
    const bucket = new TokenBucket({ perSecond: 0, burst: 1 });
    expect(bucket.take(1e9, 0)).toBe(0);
    expect(bucket.isFull(0)).toBe(true);
  });

  test('lets nobody who waits as told take more than the burst and the rate over any time', () => {
    const takes = fc.array(
      fc.record({ count: fc.integer({ min: 1, max: 20 }), idleMs: fc.nat({ max: 500 }) }),
      { maxLength: 100 },
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.integer({ min: 1, max: 100 }),
        takes,
        (perSecond, burst, all) => {
          let now = 0;
          let taken = 0;
          const bucket = new TokenBucket({ perSecond, burst });
          for (const { count, idleMs } of all) {
            now += idleMs;
            taken += count;
            now += bucket.take(count, now);
            expect(taken).toBeLessThanOrEqual(burst + (now * perSecond) / 1000 + 1e-6);
          }
        },
      ),
    );
  });
});

describe('BucketMap', () => {
  test('keeps keys apart, and forgets who has been quiet', () => {
    const map = new BucketMap({ perSecond: 1, burst: 1 });
    expect(map.take('a', 1, 0)).toBe(0);
    expect(map.take('a', 1, 0)).toBe(1000);
    expect(map.take('b', 1, 0)).toBe(0);
    map.prune(500);
    expect(map.size).toBe(2);
    map.prune(1000);
    expect(map.size).toBe(1);
    map.prune(2000);
    expect(map.size).toBe(0);
  });

  test('holds nothing while it is off', () => {
    const map = new BucketMap({ perSecond: 0, burst: 1 });
    expect(map.take('a', 1, 0)).toBe(0);
    expect(map.size).toBe(0);
  });
});
