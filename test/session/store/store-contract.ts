// What every store must do with sessions, rooms and workers, whatever it is made of: one suite, run on each implementation.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { PairId, WorkerId } from '../../../src/protocol/ids.js';
import { REVOCATIONS_PAGE } from '../../../src/session/store/revocation-list.js';
import type { Revocation, Store, StoreSettings } from '../../../src/session/store/store.js';
import {
  append,
  appendRequest,
  attach,
  attachRequest,
  client,
  type Harness,
  inbox,
  joining,
  newSession,
  ofType,
  refOf,
  room,
  roomLog,
  SETTINGS,
  W1,
  W2,
} from './fixture.js';

export function testStore(name: string, start: (settings: StoreSettings) => Promise<Harness>): void {
  describe(name, () => {
    let harness: Harness;
    let one: Store;
    let two: Store;
    beforeEach(async () => {
      harness = await start(SETTINGS);
      one = harness.store(W1);
      two = harness.store(W2);
    });
    afterEach(() => harness.close());

    const presence = (worker: WorkerId): string[] =>
      ofType(harness.events(worker), 'presence').map(
        (event) => `${event.client} ${event.change} ${event.count}`,
      );
    const fences = (worker: WorkerId) => ofType(harness.events(worker), 'fence');

    describe('tickets', () => {
      test('are good for one use, on any worker, and not after their time', async () => {
        await one.keepTicket('first', '{"a":1}', 60_000);
        const asked = await Promise.all([two, one, two, one].map((store) => store.redeemTicket('first')));
        expect(asked.filter((value) => value !== null)).toEqual(['{"a":1}']);
        await one.keepTicket('second', 'x', 1);
        await harness.advance(50);
        await expect(one.redeemTicket('second')).resolves.toBeNull();
        await expect(two.redeemTicket('never')).resolves.toBeNull();
      });
    });

    describe('attach', () => {
      test('begins a session of generation 1 when nothing is resumed', async () => {
        const fresh = newSession();
        await expect(one.attach(attachRequest('alice', W1, { fresh }))).resolves.toEqual({
          status: 'attached',
          session: fresh,
          generation: 1,
          resumed: false,
          rooms: [],
          inbox: null,
          kept: null,
        });
        await expect(two.locate(client('alice'), null)).resolves.toEqual([
          { client: 'alice', session: fresh, generation: 1, worker: W1, connected: true },
        ]);
      });

      test('continues a session with its rooms on another worker, and fences the older connection', async () => {
        const first = await attach(one, attachRequest('alice', W1));
        await one.join(joining(first, 'lobby', W1));
        const resume = { session: first.session, keyHash: 'key-1' };
        const second = await attach(two, attachRequest('alice', W2, { resume, keyHash: 'key-2' }));
        expect(second).toEqual({ ...first, generation: 2, resumed: true, rooms: ['lobby'] });
        await harness.settle();
        expect(fences(W1)).toEqual([
          { type: 'fence', client: 'alice', session: first.session, generation: 1, code: 'superseded' },
        ]);
        expect(fences(W2)).toEqual([]);
      });

      test('tells no fence when the older connection is gone', async () => {
        const first = await attach(one, attachRequest('alice', W1));
        await one.detach(refOf(first));
        await attach(
          two,
          attachRequest('alice', W2, { resume: { session: first.session, keyHash: 'key-1' } }),
        );
        await harness.settle();
        expect([...fences(W1), ...fences(W2)]).toEqual([]);
      });

      test('takes the key before the newest until the newest is used', async () => {
        const { session } = await attach(one, attachRequest('alice', W1, { keyHash: 'k1' }));
        const resumeWith = (used: string, next: string) =>
          attach(two, attachRequest('alice', W2, { resume: { session, keyHash: used }, keyHash: next }));
        expect(await resumeWith('k1', 'k2')).toMatchObject({ session, generation: 2 });
        expect(await resumeWith('k1', 'k3')).toMatchObject({ session, generation: 3 });
        expect(await resumeWith('k3', 'k4')).toMatchObject({ session, generation: 4 });
        expect((await resumeWith('k1', 'k5')).session).not.toBe(session);
      });

      test('begins another session when the key is wrong, the client another or the session unknown', async () => {
        const first = await attach(one, attachRequest('alice', W1));
        await one.join(joining(first, 'lobby', W1));
        const attempts = [
          attachRequest('alice', W2, { resume: { session: first.session, keyHash: 'wrong' } }),
          attachRequest('alice', W2, { resume: { session: first.session, keyHash: '' } }),
          attachRequest('mallory', W2, { resume: { session: first.session, keyHash: 'key-1' } }),
          attachRequest('alice', W2, { resume: { session: newSession(), keyHash: 'key-1' } }),
        ];
        for (const attempt of attempts) {
          await expect(two.attach(attempt)).resolves.toEqual({
            status: 'attached',
            session: attempt.fresh,
            generation: 1,
            resumed: false,
            rooms: [],
            inbox: null,
            kept: null,
          });
        }
        await harness.settle();
        expect(fences(W1)).toEqual([]);
        expect((await one.locate(client('alice'), null)).at(-1)).toMatchObject({
          generation: 1,
          connected: true,
        });
      });

      test('keeps several sessions of a client, the last attached first, when duplicates are allowed', async () => {
        const a = await attach(one, attachRequest('alice', W1));
        const b = await attach(two, attachRequest('alice', W2));
        const order = async () => (await one.locate(client('alice'), null)).map(({ session }) => session);
        await expect(order()).resolves.toEqual([b.session, a.session]);
        await attach(two, attachRequest('alice', W2, { resume: { session: a.session, keyHash: 'key-1' } }));
        await expect(order()).resolves.toEqual([a.session, b.session]);
      });

      test('ends the other sessions when duplicates are replaced', async () => {
        const first = await attach(one, attachRequest('alice', W1));
        await one.join(joining(first, 'lobby', W1));
        const second = await attach(two, attachRequest('alice', W2, { duplicates: 'replace' }));
        await harness.settle();
        expect(fences(W1)).toEqual([
          { type: 'fence', client: 'alice', session: first.session, generation: 1, code: 'replaced' },
        ]);
        expect((await one.locate(client('alice'), null)).map(({ session }) => session)).toEqual([
          second.session,
        ]);
        await expect(one.count(room('lobby'))).resolves.toBe(0);
        await expect(one.join(joining(first, 'lobby', W1))).resolves.toEqual({
          status: 'refused',
          code: 'superseded',
        });
      });

      test('is refused when duplicates are rejected and another session is connected', async () => {
        const first = await attach(one, attachRequest('alice', W1));
        const again = attachRequest('alice', W2, { duplicates: 'reject' });
        await expect(two.attach(again)).resolves.toEqual({ status: 'refused', code: 'duplicate_client' });
        const resume = { session: first.session, keyHash: 'key-1' };
        const same = await attach(two, attachRequest('alice', W2, { duplicates: 'reject', resume }));
        expect(same).toMatchObject({ session: first.session, generation: 2 });
        await two.detach(refOf(same));
        await expect(two.attach(again)).resolves.toMatchObject({ status: 'attached', session: again.fresh });
      });

      test('is refused when the client has its most sessions connected, and resumes all the same', async () => {
        const first = await attach(one, attachRequest('alice', W1, { sessionsLimit: 2 }));
        await attach(one, attachRequest('alice', W1, { sessionsLimit: 2 }));
        await expect(one.attach(attachRequest('alice', W1, { sessionsLimit: 2 }))).resolves.toEqual({
          status: 'refused',
          code: 'limit_exceeded',
        });
        const resume = { session: first.session, keyHash: 'key-1' };
        const resumed = await attach(one, attachRequest('alice', W1, { sessionsLimit: 2, resume }));
        expect(resumed.session).toBe(first.session);
        await one.end(refOf(resumed));
        await expect(one.attach(attachRequest('alice', W1, { sessionsLimit: 2 }))).resolves.toMatchObject({
          status: 'attached',
        });
      });

      test('gives ten resumes at once ten generations, and only the highest can act', async () => {
        const { session } = await attach(one, attachRequest('alice', W1));
        const resume = { session, keyHash: 'key-1' };
        const all = await Promise.all(
          Array.from({ length: 10 }, (_, i) =>
            attach(i % 2 === 0 ? one : two, attachRequest('alice', i % 2 === 0 ? W1 : W2, { resume })),
          ),
        );
        const refs = all.map(refOf).sort((a, b) => a.generation - b.generation);
        expect(refs.map(({ generation }) => generation)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        const newest = refs.pop();
        if (newest === undefined) throw new Error('no session');
        await one.join(joining(newest, 'lobby', W1));
        for (const old of refs) {
          await expect(one.join(joining(old, 'other', W1))).resolves.toEqual({
            status: 'refused',
            code: 'superseded',
          });
          await expect(one.leave(old, room('lobby'))).resolves.toBe(false);
          await one.detach(old);
          await one.end(old);
        }
        await expect(one.locate(client('alice'), null)).resolves.toMatchObject([
          { session, generation: 11, connected: true },
        ]);
        await expect(one.count(room('lobby'))).resolves.toBe(1);
        await harness.settle();
        const fenced = [...fences(W1), ...fences(W2)]
          .map(({ generation }) => generation)
          .sort((a, b) => a - b);
        expect(fenced).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
      });
    });

    describe('a session without connection', () => {
      test('makes room for a new one when the client has its most sessions, the oldest first', async () => {
        const refs = [];
        for (let i = 0; i < 3; i++)
          refs.push(await attach(one, attachRequest('alice', W1, { sessionsLimit: 3 })));
        const [a, b, c] = refs;
        if (a === undefined || b === undefined || c === undefined) throw new Error('no session');
        const resume = { session: a.session, keyHash: 'key-1' };
        const again = await attach(one, attachRequest('alice', W1, { resume }));
        await one.join(joining(b, 'lobby', W1));
        await one.detach(refOf(b));
        await one.detach(refOf(again));
        const fresh = await attach(one, attachRequest('alice', W1, { sessionsLimit: 3 }));
        expect((await one.locate(client('alice'), null)).map(({ session }) => session)).toEqual([
          fresh.session,
          a.session,
          c.session,
        ]);
        await expect(one.count(room('lobby'))).resolves.toBe(0);
      });

      test('is located as not connected, and its client is present for the grace only', async () => {
        const ref = await attach(one, attachRequest('alice', W1));
        await one.detach(refOf(ref));
        await expect(two.locate(client('alice'), null)).resolves.toMatchObject([
          { connected: false, worker: W1 },
        ]);
        await expect(two.online(client('alice'))).resolves.toBe(true);
        await expect(two.clients({ prefix: 'al', cursor: null, limit: 9 })).resolves.toEqual({
          rows: ['alice'],
          cursor: null,
        });
        await harness.advance(SETTINGS.presenceGraceMs);
        await harness.sweep();
        await expect(two.online(client('alice'))).resolves.toBe(false);
        expect((await two.clients({ prefix: '', cursor: null, limit: 9 })).rows).toEqual([]);
        await expect(two.locate(client('alice'), null)).resolves.toHaveLength(1);
      });

      test('cannot join, and can leave', async () => {
        const ref = await attach(one, attachRequest('alice', W1));
        await one.join(joining(ref, 'lobby', W1));
        await one.detach(refOf(ref));
        await expect(one.join(joining(ref, 'other', W1))).resolves.toEqual({
          status: 'refused',
          code: 'superseded',
        });
        await expect(one.leave(refOf(ref), room('lobby'))).resolves.toBe(true);
        await expect(one.count(room('lobby'))).resolves.toBe(0);
      });

      test('ends when nobody resumes it in time', async () => {
        const ref = await attach(one, attachRequest('alice', W1));
        await one.join(joining(ref, 'lobby', W1));
        await one.detach(refOf(ref));
        await harness.advance(SETTINGS.resumeWindowMs);
        await harness.sweep();
        await expect(one.locate(client('alice'), null)).resolves.toEqual([]);
        const resume = { session: ref.session, keyHash: 'key-1' };
        expect(await attach(one, attachRequest('alice', W1, { resume }))).toMatchObject({
          resumed: false,
          rooms: [],
        });
      });

      test('does not end when it was resumed in time', async () => {
        const ref = await attach(one, attachRequest('alice', W1));
        await one.detach(refOf(ref));
        await attach(two, attachRequest('alice', W2, { resume: { session: ref.session, keyHash: 'key-1' } }));
        await harness.advance(SETTINGS.resumeWindowMs);
        await harness.sweep();
        await expect(one.locate(client('alice'), null)).resolves.toMatchObject([
          { generation: 2, connected: true },
        ]);
        await expect(one.online(client('alice'))).resolves.toBe(true);
      });
    });

    describe('members of a service', () => {
      const providers = room('~resize~');
      const told = async (worker: WorkerId) => {
        await harness.settle();
        return ofType(harness.events(worker), 'members').length;
      };
      const provide = async (store: Store, name: string, worker: WorkerId) => {
        const ref = await attach(store, attachRequest(name, worker));
        await store.join(joining(ref, '~resize~', worker));
        return ref;
      };

      test('are found where they are, until they are not present any more', async () => {
        const alice = await provide(one, 'alice', W1);
        const bob = await provide(two, 'bob', W2);
        const places = async () =>
          (await one.locateMembers(providers, null, false)).sort((a) => (a.worker === W1 ? -1 : 1));
        await expect(places()).resolves.toEqual([
          { session: alice.session, generation: 1, worker: W1, connected: true },
          { session: bob.session, generation: 1, worker: W2, connected: true },
        ]);
        await two.detach(refOf(bob));
        await expect(places()).resolves.toMatchObject([{ connected: true }, { connected: false }]);
        await harness.advance(SETTINGS.presenceGraceMs + 10);
        await harness.sweep();
        await expect(places()).resolves.toMatchObject([{ session: alice.session }]);
        const resume = { session: bob.session, keyHash: 'key-1' };
        await attach(one, attachRequest('bob', W1, { resume }));
        await expect(places()).resolves.toContainEqual({
          session: bob.session,
          generation: 2,
          worker: W1,
          connected: true,
        });
        await one.leave(refOf(alice), providers);
        await expect(places()).resolves.toMatchObject([{ session: bob.session }]);
      });

      test('are watched by who asked: each change is told, and none of other rooms', async () => {
        const alice = await provide(one, 'alice', W1);
        await two.locateMembers(providers, W2, false);
        const bob = await provide(one, 'bob', W1);
        const joined = await told(W2);
        expect(joined).toBeGreaterThan(0);
        await one.join(joining(bob, 'lobby', W1));
        await one.leave(refOf(bob), room('lobby'));
        expect(await told(W2)).toBe(joined);
        await one.detach(refOf(alice));
        const away = await told(W2);
        expect(away).toBeGreaterThan(joined);
        await harness.advance(SETTINGS.presenceGraceMs + 10);
        await harness.sweep();
        const absent = await told(W2);
        expect(absent).toBeGreaterThan(away);
        await one.end(refOf(bob));
        expect(await told(W2)).toBeGreaterThan(absent);
        expect(await told(W1)).toBe(0);
      });

      test('that nobody is yet are watched only by who asks for that', async () => {
        await expect(one.locateMembers(providers, W1, false)).resolves.toEqual([]);
        await expect(two.locateMembers(providers, W2, true)).resolves.toEqual([]);
        await provide(one, 'alice', W1);
        expect([await told(W1), (await told(W2)) > 0]).toEqual([0, true]);
      });
    });

    describe('claims of pairs', () => {
      const [alice, bob] = [client('alice'), client('bob')];
      const [first, second] = [newSession(), newSession()] as unknown as [PairId, PairId];

      test('are held by one pair until it frees them', async () => {
        await expect(one.claimPair(alice, first, 60_000)).resolves.toBe(true);
        await expect(two.claimPair(alice, first, 60_000)).resolves.toBe(true);
        await expect(two.claimPair(alice, second, 60_000)).resolves.toBe(false);
        await expect(two.holdPair(alice, second, 60_000)).resolves.toBe(false);
        await expect(one.pairsOf([bob, alice])).resolves.toEqual([null, first]);
        await two.freePair(alice, second);
        await expect(two.pairsOf([alice])).resolves.toEqual([first]);
        await two.freePair(alice, first);
        await two.freePair(alice, first);
        await expect(two.pairsOf([alice])).resolves.toEqual([null]);
        await expect(two.claimPair(alice, second, 60_000)).resolves.toBe(true);
        await two.freePair(alice, second);
      });

      test('lapse unless they are renewed, and cannot be held after that', async () => {
        await one.claimPair(alice, first, 200);
        await one.claimPair(bob, first, 200);
        await expect(one.holdPair(bob, first, 60_000)).resolves.toBe(true);
        await harness.advance(300);
        await harness.sweep();
        await expect(one.pairsOf([alice, bob])).resolves.toEqual([null, first]);
        await expect(one.holdPair(alice, first, 60_000)).resolves.toBe(false);
        await expect(one.claimPair(alice, second, 200)).resolves.toBe(true);
        await one.freePair(bob, first);
      });

      test('are told in the order asked, of many clients in as many partitions, and of one asked twice', async () => {
        const clients = Array.from({ length: 600 }, (_, i) => client(`free-${String(i)}`));
        const taken = clients.filter((_, i) => i % 7 === 0);
        await Promise.all(taken.map((each) => one.claimPair(each, first, 60_000)));
        const asked = [...clients.toReversed(), ...taken.slice(0, 1)];
        const expected = asked.map((each) => (taken.includes(each) ? first : null));
        await expect(two.pairsOf(asked)).resolves.toEqual(expected);
        await expect(two.pairsOf([])).resolves.toEqual([]);
        await Promise.all(taken.map((each) => one.freePair(each, first)));
      });

      test('of many that want the same client at once go to one', async () => {
        const pairs = Array.from({ length: 20 }, () => newSession() as unknown as PairId);
        const got = await Promise.all(
          pairs.map((pair, i) => (i % 2 === 0 ? one : two).claimPair(alice, pair, 60_000)),
        );
        expect(got.filter(Boolean)).toHaveLength(1);
        await expect(one.pairsOf([alice])).resolves.toEqual([pairs[got.indexOf(true)]]);
      });
    });

    describe('presence', () => {
      const watcherIn = async (name: string) => {
        const watcher = await attach(two, attachRequest('watcher', W2));
        await two.join(joining(watcher, name, W2));
      };

      test('tells joined and left once when a client comes and goes', async () => {
        await watcherIn('lobby');
        const ref = await attach(one, attachRequest('alice', W1));
        await one.join(joining(ref, 'lobby', W1));
        await one.leave(refOf(ref), room('lobby'));
        await harness.settle();
        expect(presence(W2)).toEqual(['watcher joined 1', 'alice joined 2', 'alice left 1']);
        // The worker of alice heard of it only while it had a member.
        expect(presence(W1)).toEqual(['alice joined 2']);
      });

      test('tells nothing when a page is loaded again within the grace', async () => {
        await watcherIn('lobby');
        const old = await attach(one, attachRequest('alice', W1));
        await one.join(joining(old, 'lobby', W1));
        await one.detach(refOf(old));
        const fresh = await attach(one, attachRequest('alice', W1));
        await one.join(joining(fresh, 'lobby', W1));
        await harness.advance(SETTINGS.resumeWindowMs);
        await harness.sweep();
        await harness.settle();
        expect(presence(W2)).toEqual(['watcher joined 1', 'alice joined 2']);
        await expect(one.count(room('lobby'))).resolves.toBe(2);
      });

      test('tells left once when the last of two sessions departs', async () => {
        await watcherIn('lobby');
        const [a, b] = [
          await attach(one, attachRequest('alice', W1)),
          await attach(two, attachRequest('alice', W2)),
        ];
        await one.join(joining(a, 'lobby', W1));
        await two.join(joining(b, 'lobby', W2));
        await expect(one.members({ room: room('lobby'), cursor: null, limit: 9 })).resolves.toEqual({
          rows: [
            { client: 'alice', sessions: 2 },
            { client: 'watcher', sessions: 1 },
          ],
          cursor: null,
          count: 2,
        });
        await one.end(refOf(a));
        await two.detach(refOf(b));
        await harness.advance(SETTINGS.presenceGraceMs);
        await harness.sweep();
        await harness.settle();
        expect(presence(W2)).toEqual(['watcher joined 1', 'alice joined 2', 'alice left 1']);
        await harness.advance(SETTINGS.resumeWindowMs);
        await harness.sweep();
        await harness.settle();
        expect(presence(W2)).toHaveLength(3);
      });

      test('tells joined again when a session is resumed after its departure', async () => {
        await watcherIn('lobby');
        const ref = await attach(one, attachRequest('alice', W1));
        await one.join(joining(ref, 'lobby', W1));
        await one.detach(refOf(ref));
        await harness.advance(SETTINGS.presenceGraceMs);
        await harness.sweep();
        await attach(one, attachRequest('alice', W1, { resume: { session: ref.session, keyHash: 'key-1' } }));
        await harness.settle();
        expect(presence(W2)).toEqual([
          'watcher joined 1',
          'alice joined 2',
          'alice left 1',
          'alice joined 2',
        ]);
      });
    });

    describe('rooms', () => {
      test('join and leave can be repeated', async () => {
        const ref = await attach(one, attachRequest('alice', W1));
        for (let i = 0; i < 2; i++) {
          await expect(one.join(joining(ref, 'lobby', W1))).resolves.toEqual({
            status: 'joined',
            count: 1,
            position: null,
          });
        }
        await expect(one.leave(refOf(ref), room('lobby'))).resolves.toBe(true);
        await expect(one.leave(refOf(ref), room('lobby'))).resolves.toBe(false);
        await harness.settle();
        expect(presence(W1)).toEqual(['alice joined 1']);
      });

      test('join is refused past the most rooms of a session, but not for a room that it is in', async () => {
        const ref = await attach(one, attachRequest('alice', W1));
        await one.join(joining(ref, 'a', W1, 2));
        await one.join(joining(ref, 'b', W1, 2));
        await expect(one.join(joining(ref, 'c', W1, 2))).resolves.toEqual({
          status: 'refused',
          code: 'limit',
        });
        await expect(one.join(joining(ref, 'b', W1, 2))).resolves.toEqual({
          status: 'joined',
          count: 1,
          position: null,
        });
        await one.leave(refOf(ref), room('a'));
        await expect(one.join(joining(ref, 'c', W1, 2))).resolves.toEqual({
          status: 'joined',
          count: 1,
          position: null,
        });
      });

      test('members are given page by page in the order of their ids', async () => {
        const names = ['zoe', 'Bob', 'a/1', 'a-1', 'carl', 'eve~'];
        for (const name of names) {
          await one.join(joining(await attach(one, attachRequest(name, W1)), 'lobby', W1));
        }
        const seen: string[] = [];
        let cursor: string | null = null;
        do {
          const page = await two.members({ room: room('lobby'), cursor, limit: 4 });
          expect(page.count).toBe(6);
          seen.push(...page.rows.map((member) => member.client));
          cursor = page.cursor;
        } while (cursor !== null);
        expect(seen).toEqual(names.sort());
        await expect(two.members({ room: room('none'), cursor: null, limit: 4 })).resolves.toEqual({
          rows: [],
          cursor: null,
          count: 0,
        });
      });

      test('clients are given page by page, each once, by prefix', async () => {
        const names = Array.from({ length: 60 }, (_, i) => `user-${i}`);
        await Promise.all([...names, 'other'].map((name) => attach(one, attachRequest(name, W1))));
        for (const [prefix, expected] of [
          ['user-', names],
          ['user-1', names.filter((name) => name.startsWith('user-1'))],
          ['nobody', []],
          ['', [...names, 'other']],
        ] as const) {
          const seen: string[] = [];
          let cursor: string | null = null;
          do {
            const page = await two.clients({ prefix, cursor, limit: 7 });
            expect(page.rows.length).toBeLessThanOrEqual(7);
            seen.push(...page.rows);
            cursor = page.cursor;
          } while (cursor !== null);
          expect(seen.sort()).toEqual([...expected].sort());
        }
        // A cursor that somebody made up opens no view beyond the prefix.
        for (const cursor of ['0:a', '255:a', 'a', '', '9999:x', 'user-']) {
          const { rows } = await two.clients({ prefix: 'user-', cursor, limit: 100 });
          expect(rows.every((name) => name.startsWith('user-'))).toBe(true);
        }
      });
    });

    describe('workers', () => {
      test('a retired worker leaves its sessions waiting, and those of others alone', async () => {
        const a = await attach(one, attachRequest('alice', W1));
        await one.join(joining(a, 'lobby', W1));
        const b = await attach(two, attachRequest('bob', W2));
        await two.join(joining(b, 'lobby', W2));
        await two.retire(W1);
        await two.retire(W1);
        await expect(two.locate(client('alice'), null)).resolves.toMatchObject([{ connected: false }]);
        await expect(two.locate(client('bob'), null)).resolves.toMatchObject([{ connected: true }]);
        await append(two, appendRequest(roomLog('lobby'), { sender: refOf(b) }));
        await harness.settle();
        expect(ofType(harness.events(W1), 'entry')).toEqual([]);
        expect(ofType(harness.events(W2), 'entry')).toHaveLength(1);
        await expect(two.count(room('lobby'))).resolves.toBe(2);
        await harness.advance(SETTINGS.presenceGraceMs);
        await harness.sweep();
        await harness.settle();
        await expect(two.count(room('lobby'))).resolves.toBe(1);
        expect(presence(W2).at(-1)).toBe('alice left 1');
        const resume = { session: a.session, keyHash: 'key-1' };
        expect(await attach(two, attachRequest('alice', W2, { resume }))).toMatchObject({ resumed: true });
      });

      test('a renewed session stays as it is', async () => {
        const ref = await attach(one, attachRequest('alice', W1));
        await one.join(joining(ref, 'lobby', W1));
        await one.renew(W1, [refOf(ref)]);
        await harness.settle();
        expect(fences(W1)).toEqual([]);
        await expect(one.locate(client('alice'), null)).resolves.toMatchObject([
          { connected: true, generation: 1 },
        ]);
      });

      test('who asked for a client is told when its places change', async () => {
        const ref = await attach(one, attachRequest('alice', W1));
        await two.locate(client('alice'), W2);
        await two.locate(client('nobody'), W2);
        const routes = async () => {
          await harness.settle();
          return ofType(harness.events(W2), 'route').map((event) => event.client);
        };
        await one.detach(refOf(ref));
        await expect(routes()).resolves.toEqual(['alice']);
        const again = await attach(
          one,
          attachRequest('alice', W1, { resume: { session: ref.session, keyHash: 'key-1' } }),
        );
        await expect(routes()).resolves.toEqual(['alice', 'alice']);
        await one.end(refOf(again));
        await expect(routes()).resolves.toEqual(['alice', 'alice', 'alice']);
        await attach(one, attachRequest('nobody', W1));
        await expect(routes()).resolves.toHaveLength(3);
        expect(ofType(harness.events(W1), 'route')).toEqual([]);
      });
    });

    describe('revocations', () => {
      const revoked = (id: string, lifeMs = 60_000): Revocation => {
        const now = Date.now();
        return { kind: 'token', id, beforeMs: now, untilMs: now + lifeMs };
      };
      async function all(
        store: Store,
        since: number,
      ): Promise<{ ids: string[]; number: number; answers: number }> {
        const ids: string[] = [];
        for (let number = since, answers = 1; ; answers++) {
          const found = await store.revocations(number);
          if (found.revocations.length === 0) return { ids, number: found.number, answers };
          ids.push(...found.revocations.map(({ id }) => id));
          number = found.number;
        }
      }

      test('are told to every worker in their order, some at a time, and later only the new ones', async () => {
        const names = Array.from({ length: REVOCATIONS_PAGE + 5 }, (_, i) => `jti-${String(i)}`);
        for (const id of names) await one.revoke(revoked(id));
        const first = await all(two, 0);
        expect(first).toMatchObject({ ids: names, answers: 3 });
        await two.revoke(revoked('last'));
        expect((await all(two, first.number)).ids).toEqual(['last']);
      });

      test('are forgotten when they are over', async () => {
        await one.revoke(revoked('gone', -1000));
        await one.revoke(revoked('stays'));
        expect((await all(two, 0)).ids).toEqual(['stays']);
      });
    });

    test('nothing is left when every session has ended', async () => {
      const a = await attach(one, attachRequest('alice', W1));
      const b = await attach(two, attachRequest('bob', W2));
      const c = await attach(two, attachRequest('bob', W2));
      for (const [store, ref, worker] of [
        [one, a, W1],
        [two, b, W2],
        [two, c, W2],
      ] as const) {
        await store.join(joining(ref, 'lobby', worker));
        await store.join(joining(ref, `own-${ref.session}`, worker));
      }
      await one.locate(client('bob'), W1);
      await append(one, appendRequest(inbox('bob'), { sender: refOf(a), seq: 1 }));
      await append(one, appendRequest(roomLog('lobby'), { sender: refOf(a), seq: 1 }));
      await one.renew(W1, [refOf(a)]);
      await one.end(refOf(a));
      await two.detach(refOf(b));
      await two.retire(W2);
      await harness.advance(SETTINGS.resumeWindowMs);
      await harness.sweep();
      await harness.expectNothingLeft();
    });
  });
}
