// Claims of pairs under any order of steps: a client is never in two pairs, nobody waits for anybody, and what lapses is free.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ClientId, PairId } from '../../src/protocol/ids.js';
import { claimBoth, freeBoth } from '../../src/relay/pair-claims.js';
import { PairClaims } from '../../src/session/store/pair-claims.js';

const clients = ['a', 'b', 'c', 'd'] as ClientId[];
const client = fc.constantFrom(...clients);
const two = fc.tuple(client, client).filter(([one, other]) => one !== other);

/** A store whose answers come in any order. */
function storeOf(claims: PairClaims, scheduler: fc.Scheduler) {
  const later = <Result>(run: () => Result): Promise<Result> =>
    scheduler.schedule(Promise.resolve()).then(run);
  return {
    claimPair: (of: ClientId, pair: PairId, leaseMs: number) => later(() => claims.claim(of, pair, leaseMs)),
    freePair: (of: ClientId, pair: PairId) =>
      later(() => {
        claims.free(of, pair);
      }),
  };
}

describe('the claims of a pair', () => {
  test('of offers that cross in any way: both or none, never two pairs for one client, and always an end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.record({ two, ends: fc.boolean() }), { minLength: 2, maxLength: 8 }),
        async (scheduler, offers) => {
          const claims = new PairClaims(() => 0);
          const store = storeOf(claims, scheduler);
          const running = new Map<ClientId, PairId>();
          const done = Promise.all(
            offers.map(async ({ two: [one, other], ends }, i) => {
              const pair = `pair-${String(i)}` as PairId;
              if (!(await claimBoth(store, [one, other], pair, 1_000))) return;
              for (const of of [one, other]) {
                expect(running.has(of)).toBe(false);
                expect(claims.get(of)).toBe(pair);
                running.set(of, pair);
              }
              if (!ends) return;
              running.delete(one);
              running.delete(other);
              await freeBoth(store, [one, other], pair);
            }),
          );
          await scheduler.waitFor(done);
          // Nothing is held for those that got none.
          for (const of of clients) expect(claims.get(of)).toBe(running.get(of) ?? null);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('of two clients that ask each other at once: exactly one gets both', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), async (scheduler) => {
        const store = storeOf(new PairClaims(() => 0), scheduler);
        const [a, b] = clients as [ClientId, ClientId];
        const both = Promise.all([
          claimBoth(store, [a, b], 'one' as PairId, 1_000),
          claimBoth(store, [b, a], 'two' as PairId, 1_000),
        ]);
        expect((await scheduler.waitFor(both)).filter(Boolean)).toHaveLength(1);
      }),
    );
  });

  test('that a store fails in the middle are freed', async () => {
    const claims = new PairClaims(() => 0);
    const failing = {
      claimPair: (of: ClientId, pair: PairId, leaseMs: number) =>
        claims.claim(of, pair, leaseMs) && of === 'b'
          ? Promise.reject(new Error('the answer got lost'))
          : Promise.resolve(true),
      freePair: (of: ClientId, pair: PairId) => {
        claims.free(of, pair);
        return Promise.resolve();
      },
    };
    const [a, b] = clients as [ClientId, ClientId];
    await expect(claimBoth(failing, [b, a], 'one' as PairId, 1_000)).rejects.toThrow('got lost');
    expect([claims.get(a), claims.get(b)]).toEqual([null, null]);
  });
});
