// Cached routes: one question per client, never older than they may be.
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { ClientId, WorkerId } from '../../src/protocol/ids.js';
import { RouteCache } from '../../src/relay/route-cache.js';
import type { SessionPlace, Store } from '../../src/session/store/store.js';

const alice = 'alice' as ClientId;
const place = (worker: string) => [{ client: alice, worker, connected: true }] as unknown as SessionPlace[];

describe('the route cache', () => {
  let now: number;
  let asked: string[];
  let answers: ((places: SessionPlace[]) => void)[];
  let failures: ((error: Error) => void)[];
  let routes: RouteCache;
  beforeEach(() => {
    now = 0;
    [asked, answers, failures] = [[], [], []];
    const store: Pick<Store, 'locate'> = {
      locate: (client) => {
        asked.push(client);
        return new Promise((resolve, reject) => {
          answers.push(resolve);
          failures.push(reject);
        });
      },
    };
    routes = new RouteCache(store, 'n.1' as WorkerId, () => now);
  });

  test('asks once for calls at the same time, and remembers for thirty seconds', async () => {
    const both = [routes.load(alice), routes.load(alice)];
    expect(routes.peek(alice)).toBeUndefined();
    answers[0]?.(place('n.2'));
    expect(await Promise.all(both)).toEqual([place('n.2'), place('n.2')]);
    expect(asked).toEqual(['alice']);
    now = 29_999;
    expect(routes.peek(alice)).toEqual(place('n.2'));
    now = 30_000;
    expect(routes.peek(alice)).toBeUndefined();
  });

  test('does not remember that a client has no session', async () => {
    const loading = routes.load(alice);
    answers[0]?.([]);
    expect(await loading).toEqual([]);
    expect(routes.peek(alice)).toBeUndefined();
  });

  test.each([
    ['forgotten', () => routes.forget(alice)],
    ['cleared', () => routes.clear()],
  ])('does not keep an answer whose question was %s on its way', async (_, change) => {
    const old = routes.load(alice);
    change();
    const fresh = routes.load(alice);
    expect(asked).toHaveLength(2);
    answers[1]?.(place('n.3'));
    await fresh;
    answers[0]?.(place('n.2'));
    expect(await old).toEqual(place('n.2'));
    expect(routes.peek(alice)).toEqual(place('n.3'));
    change();
    expect(routes.peek(alice)).toBeUndefined();
  });

  test('asks again after a question failed', async () => {
    const loading = routes.load(alice);
    failures[0]?.(new Error('store is away'));
    await expect(loading).rejects.toThrow('store is away');
    const again = routes.load(alice);
    answers[1]?.(place('n.2'));
    expect(await again).toEqual(place('n.2'));
  });

  test('forgets the route that was loaded longest ago when there are fifty thousand', async () => {
    const load = async (name: string) => {
      const loading = routes.load(name as ClientId);
      answers.at(-1)?.(place('n.2'));
      await loading;
    };
    await load('first');
    await load('second');
    await load('first');
    for (let at = 0; at < 49_999; at++) await load(`c${at}`);
    expect(routes.peek('second' as ClientId)).toBeUndefined();
    expect(routes.peek('first' as ClientId)).toEqual(place('n.2'));
    expect(routes.peek('c49998' as ClientId)).toEqual(place('n.2'));
  });
});
