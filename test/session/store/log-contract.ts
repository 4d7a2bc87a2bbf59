// What every store must do with logs, whatever it is made of: one suite, run on each implementation.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { WorkerId } from '../../../src/protocol/ids.js';
import type {
  AppendRequest,
  AttachRequest,
  Channel,
  Position,
  SessionRef,
  Store,
  StoreSettings,
} from '../../../src/session/store/store.js';
import {
  append,
  appendRequest,
  attach,
  attachRequest,
  bodies,
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

export function testLogs(name: string, start: (settings: StoreSettings) => Promise<Harness>): void {
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

    describe('append', () => {
      let me: SessionRef;
      beforeEach(async () => {
        me = refOf(await attach(one, attachRequest('sender', W1)));
      });
      const sending = (channel: Channel, more: Partial<AppendRequest> = {}) =>
        appendRequest(channel, { sender: me, ...more });

      test('reaches exactly the workers that have connected readers', async () => {
        const a = await attach(one, attachRequest('alice', W1));
        await append(one, sending(inbox('alice'), { body: Buffer.from('1') }));
        const b = await attach(two, attachRequest('alice', W2));
        await append(one, sending(inbox('alice'), { body: Buffer.from('2') }));
        await append(one, sending(inbox('alice'), { body: Buffer.from('3'), only: b.session }));
        await one.detach(refOf(a));
        await append(one, sending(inbox('alice'), { body: Buffer.from('4') }));
        await append(one, sending(inbox('alice'), { body: Buffer.from('5'), only: a.session }));
        await harness.settle();
        const got = (worker: WorkerId) =>
          ofType(harness.events(worker), 'entry').map(({ entry }) => Buffer.from(entry.body).toString());
        expect([got(W1), got(W2)]).toEqual([
          ['1', '2'],
          ['2', '3', '4'],
        ]);
      });

      test('reaches the workers that have members in a room, once each', async () => {
        const refs = [
          await attach(one, attachRequest('alice', W1)),
          await attach(one, attachRequest('bob', W1)),
          await attach(two, attachRequest('carol', W2)),
        ] as const;
        await one.join(joining(refs[0], 'lobby', W1));
        await one.join(joining(refs[1], 'lobby', W1));
        await two.join(joining(refs[2], 'lobby', W2));
        await append(one, sending(roomLog('lobby'), { skip: ['bob', `carol#${refs[2].session}`] }));
        await two.leave(refOf(refs[2]), room('lobby'));
        await append(one, sending(roomLog('lobby')));
        // A session that moves takes the interest with it.
        await one.end(refOf(refs[1]));
        await attach(
          two,
          attachRequest('alice', W2, { resume: { session: refs[0].session, keyHash: 'key-1' } }),
        );
        await append(one, sending(roomLog('lobby')));
        await harness.settle();
        const entries = (worker: WorkerId) => ofType(harness.events(worker), 'entry');
        expect([entries(W1).length, entries(W2).length]).toEqual([2, 2]);
        expect(entries(W2)[0]).toMatchObject({
          channel: { kind: 'room', room: 'lobby' },
          entry: { only: null, skip: ['bob', `carol#${refs[2].session}`] },
        });
      });

      test('stores a number once, and refuses one that overtakes', async () => {
        await attach(one, attachRequest('alice', W1));
        const send = (seq: number) => two.append(sending(inbox('alice'), { seq }));
        await expect(send(1)).resolves.toMatchObject({ status: 'accepted' });
        await expect(send(1)).resolves.toEqual({ status: 'duplicate' });
        await expect(send(3)).resolves.toEqual({ status: 'out_of_order', expected: 2 });
        await expect(send(2)).resolves.toMatchObject({ status: 'accepted' });
        await expect(send(1)).resolves.toEqual({ status: 'duplicate' });
        await harness.settle();
        expect(ofType(harness.events(W1), 'entry')).toHaveLength(2);
        const read = await one.read({ channel: inbox('alice'), from: { after: null }, limit: 9 });
        expect(bodies(read)).toHaveLength(2);
      });

      test('takes a sender that the log does not know at 1, or where it says that it begins', async () => {
        const other = refOf(await attach(two, attachRequest('other', W2)));
        const send = (seq: number, first: number | null, sender = me) =>
          two.append(sending(roomLog('r'), { sender, seq, first }));
        await expect(send(7, null)).resolves.toEqual({ status: 'out_of_order', expected: 1 });
        await expect(send(7, 5)).resolves.toEqual({ status: 'out_of_order', expected: 5 });
        await expect(send(4, 5)).resolves.toEqual({ status: 'out_of_order', expected: 5 });
        await expect(send(5, 5)).resolves.toMatchObject({ status: 'accepted' });
        await expect(send(5, 5)).resolves.toEqual({ status: 'duplicate' });
        await expect(send(2, 2)).resolves.toEqual({ status: 'duplicate' });
        await expect(send(6, 2)).resolves.toMatchObject({ status: 'accepted' });
        await expect(send(9, 9)).resolves.toMatchObject({ status: 'accepted' });
        await expect(send(8, null)).resolves.toEqual({ status: 'duplicate' });
        // What one sender said is nothing to another, and one without number says nothing.
        await append(two, sending(roomLog('r'), { sender: other }));
        await expect(send(3, null, other)).resolves.toEqual({ status: 'out_of_order', expected: 1 });
        await expect(send(1, 1, other)).resolves.toMatchObject({ status: 'accepted' });
        await append(two, sending(roomLog('r'), { sender: other }));
        await expect(send(2, null, other)).resolves.toMatchObject({ status: 'accepted' });
      });

      test('forgets senders whose entries were trimmed', async () => {
        await attach(one, attachRequest('alice', W1));
        await append(one, sending(inbox('alice'), { seq: 1 }));
        for (let i = 0; i < 2 * SETTINGS.logLimitEntries; i++) {
          const sender = refOf(await attach(one, attachRequest(`sender-${i}`, W1)));
          await append(one, sending(inbox('alice'), { sender, seq: 1 }));
        }
        await expect(one.append(sending(inbox('alice'), { seq: 2 }))).resolves.toEqual({
          status: 'out_of_order',
          expected: 1,
        });
        await append(one, sending(inbox('alice'), { seq: 2, first: 2 }));
      });

      test('refuses an older connection of the sender once the newer one has sent', async () => {
        await attach(one, attachRequest('alice', W1));
        await append(one, sending(inbox('alice'), { seq: 1 }));
        await append(one, sending(roomLog('lobby')));
        const resume = { session: me.session, keyHash: 'key-1' };
        const newer = refOf(await attach(two, attachRequest('sender', W2, { resume })));
        // Sent again, as after every lost connection: stored already, and enough to tell the older connection.
        const again = sending(inbox('alice'), { sender: newer, seq: 1 });
        await expect(two.append(again)).resolves.toEqual({ status: 'duplicate' });
        await append(two, sending(roomLog('lobby'), { sender: newer }));
        for (const channel of [inbox('alice'), roomLog('lobby')]) {
          for (const seq of [null, 1, 2, 3]) {
            await expect(one.append(sending(channel, { seq }))).resolves.toEqual({ status: 'superseded' });
          }
        }
        await append(two, sending(inbox('alice'), { sender: newer, seq: 2 }));
        await append(two, sending(inbox('alice'), { sender: newer }));
        const early = sending(inbox('alice'), { sender: newer, seq: 4 });
        await expect(two.append(early)).resolves.toEqual({ status: 'out_of_order', expected: 3 });
        await harness.settle();
        expect(ofType(harness.events(W1), 'entry')).toHaveLength(3);
        expect(
          bodies(await one.read({ channel: roomLog('lobby'), from: { after: null }, limit: 9 })),
        ).toHaveLength(2);
      });

      test('tells how many connected sessions an entry is for, on all workers', async () => {
        const readers = async (channel: Channel, more: Partial<AppendRequest> = {}) =>
          one.append(sending(channel, more));
        expect(await readers(roomLog('lobby'))).toMatchObject({ status: 'accepted', readers: 0 });
        expect(await readers(inbox('alice'), { keep: true })).toMatchObject({ readers: 0 });
        const alice = [];
        for (const [store, worker] of [
          [one, W1],
          [one, W1],
          [two, W2],
        ] as const) {
          const ref = refOf(await attach(store, attachRequest('alice', worker)));
          await store.join(joining(ref, 'lobby', worker));
          alice.push(ref);
        }
        const [first] = alice;
        if (first === undefined) throw new Error('nobody attached');
        for (const seq of [null, 0]) {
          expect(await readers(roomLog('lobby'), { seq, skip: ['alice'] })).toMatchObject({ readers: 3 });
          expect(await readers(inbox('alice'), { seq })).toMatchObject({ readers: 3 });
          expect(await readers(inbox('alice'), { seq, only: first.session })).toMatchObject({ readers: 1 });
        }
        await one.detach(first);
        expect(await readers(roomLog('lobby'))).toMatchObject({ readers: 2 });
        expect(await readers(inbox('alice'))).toMatchObject({ readers: 2 });
      });

      test('larger than one answer may be is read in several, one at least in each', async () => {
        const roomy = { logLimitEntries: 100, logLimitBytes: 2 ** 24, logBudgetBytes: 2 ** 25 };
        const large = await start({ ...SETTINGS, ...roomy });
        const store = large.store(W1);
        try {
          const sender = refOf(await attach(store, attachRequest('sender', W1)));
          const sizes = [400_000, 400_000, 400_000, 1_500_000, 10, 20];
          for (const size of sizes)
            await append(store, appendRequest(roomLog('large'), { sender, body: Buffer.alloc(size, 1) }));
          const pages: number[][] = [];
          for (let after: Position = null, more = true; more;) {
            const page = await store.read({ channel: roomLog('large'), from: { after }, limit: 64 });
            if (page.status === 'lost') throw new Error('lost');
            expect(page.missing).toBe(0);
            pages.push(page.entries.map(({ body }) => body.length));
            ({ position: after, more } = page);
          }
          expect(pages).toEqual([[400_000, 400_000], [400_000], [1_500_000], [10, 20]]);
        } finally {
          await large.close();
        }
      });

      test('is absent when the client has no session or not the named one', async () => {
        const absent = { status: 'absent' };
        await expect(one.append(sending(inbox('alice')))).resolves.toEqual(absent);
        await expect(one.append(sending(inbox('alice'), { seq: 0 }))).resolves.toEqual(absent);
        const ref = await attach(one, attachRequest('alice', W1));
        await expect(one.append(sending(inbox('alice'), { only: newSession() }))).resolves.toEqual(absent);
        await one.detach(refOf(ref));
        await append(one, sending(inbox('alice'), { only: ref.session }));
        await one.end(refOf(ref));
        await expect(one.append(sending(inbox('alice')))).resolves.toEqual(absent);
        await append(one, sending(roomLog('empty')));
      });

      test('publishes a volatile message without storing it', async () => {
        await attach(one, attachRequest('alice', W1));
        const result = await two.append(sending(inbox('alice'), { seq: 0 }));
        expect(result).toEqual({ status: 'accepted', id: null, readers: 1 });
        await harness.settle();
        expect(ofType(harness.events(W1), 'entry')).toMatchObject([
          { entry: { id: null, skip: [], only: null } },
        ]);
        await expect(one.read({ channel: inbox('alice'), from: { after: null }, limit: 9 })).resolves.toEqual(
          {
            status: 'entries',
            missing: 0,
            entries: [],
            more: false,
            position: null,
          },
        );
      });

      test('keeps bodies of every byte value, `only` and `skip` as they are', async () => {
        const ref = await attach(one, attachRequest('alice', W1));
        const body = Uint8Array.from({ length: 512 }, (_, i) => i % 256);
        const only = ref.session;
        const id = await append(two, sending(inbox('alice'), { body, only, skip: ['a', 'b#c'] }));
        await append(two, sending(inbox('alice'), { body: new Uint8Array(0) }));
        await harness.settle();
        const [pushed] = ofType(harness.events(W1), 'entry');
        const read = await one.read({ channel: inbox('alice'), from: { after: null }, limit: 9 });
        if (read.status !== 'entries') throw new Error(read.status);
        for (const entry of [pushed?.entry, read.entries[0]]) {
          expect(entry).toMatchObject({ id, only, skip: ['a', 'b#c'] });
          expect([...(entry?.body ?? [])]).toEqual([...body]);
        }
        expect(read.entries[1]?.body).toHaveLength(0);
      });

      test('gives contiguous offsets from 1 in one epoch', async () => {
        await attach(one, attachRequest('alice', W1));
        const ids = await Promise.all(Array.from({ length: 5 }, () => append(one, sending(inbox('alice')))));
        const parsed = ids.map((id) => /^([\w-]+):(\d+)-(\d+)$/.exec(id));
        expect(new Set(parsed.map((match) => match?.[1])).size).toBe(1);
        expect(parsed.map((match) => Number(match?.[2])).sort()).toEqual([1, 2, 3, 4, 5]);
      });

      test('keeps the newest entries within the caps of count and bytes, and always one', async () => {
        const kept = async () =>
          bodies(await one.read({ channel: roomLog('r'), from: { after: null }, limit: 99 }));
        for (let i = 1; i <= 8; i++) await append(one, sending(roomLog('r'), { body: Buffer.from(`${i}`) }));
        await expect(kept()).resolves.toEqual(['4', '5', '6', '7', '8']);
        await append(one, sending(roomLog('r'), { body: Buffer.alloc(998, 'x') }));
        expect((await kept()).map((body) => body.length)).toEqual([1, 1, 998]);
        await append(one, sending(roomLog('r'), { body: Buffer.alloc(2_000, 'y') }));
        expect((await kept()).map((body) => body.length)).toEqual([2_000]);
        await append(one, sending(roomLog('r'), { body: Buffer.from('z') }));
        await expect(kept()).resolves.toEqual(['z']);
      });
    });

    describe('a large log', () => {
      const cap = 64;
      let large: Harness;
      beforeEach(async () => {
        large = await start({ ...SETTINGS, logLimitEntries: cap, logLimitBytes: 1_000_000 });
      });
      afterEach(() => large.close());

      test('at once, entries keep their own sender, number, target and answer', async () => {
        const [one, two] = [large.store(W1), large.store(W2)];
        const me = refOf(await attach(one, attachRequest('sender', W1)));
        const sending = (channel: Channel, more: Partial<AppendRequest>) =>
          appendRequest(channel, { sender: me, ...more });
        const alice = await attach(one, attachRequest('alice', W1));
        const other = refOf(await attach(two, attachRequest('other', W2)));
        const older = refOf(await attach(two, attachRequest('sender', W2)));
        const resume = { session: older.session, keyHash: 'key-1' };
        const newer = refOf(await attach(two, attachRequest('sender', W2, { resume })));
        const at = inbox('alice');
        const requests = [
          sending(at, { seq: 1, body: Buffer.from('a') }),
          sending(at, { seq: 2, body: Buffer.from('') }),
          sending(at, { seq: 2, body: Buffer.from('never') }),
          sending(at, { seq: 4, body: Buffer.from('never') }),
          sending(at, { sender: other, seq: 1, body: Buffer.from('b') }),
          sending(at, { sender: other, seq: 2, only: alice.session, body: Buffer.from('c') }),
          sending(at, { sender: other, seq: 3, body: Buffer.from('d') }),
          sending(at, { sender: other, seq: 4, skip: ['x'], body: Buffer.from('e') }),
          sending(at, { sender: other, seq: 5, body: Buffer.from('f') }),
          sending(roomLog('alice'), { sender: other, seq: 1, body: Buffer.from('room') }),
          sending(at, { sender: other, seq: 0, body: Buffer.from('volatile') }),
          sending(inbox('absent'), { sender: other, seq: 1 }),
          sending(inbox('absent'), { sender: other, seq: 1, keep: true, body: Buffer.from('kept') }),
          sending(inbox('absent'), { sender: other, seq: 2 }),
          sending(at, { sender: newer, seq: 1, body: Buffer.from('g') }),
          sending(at, { sender: older, seq: 2, body: Buffer.from('never') }),
        ];
        const answers = await Promise.all(requests.map((request) => one.append(request)));
        expect(answers.map((answer) => ('expected' in answer ? answer.expected : answer.status))).toEqual([
          ...['accepted', 'accepted', 'duplicate', 3],
          ...['accepted', 'accepted', 'accepted', 'accepted', 'accepted', 'accepted', 'accepted'],
          ...['absent', 'accepted', 'absent', 'accepted', 'superseded'],
        ]);
        await large.settle();
        const read = await one.read({ channel: at, from: { after: null }, limit: 99 });
        if (read.status !== 'entries') throw new Error(read.status);
        expect(bodies(read)).toEqual(['a', '', 'b', 'c', 'd', 'e', 'f', 'g']);
        expect(read.entries.map(({ only }) => only)).toEqual(
          read.entries.map((_, i) => (i === 3 ? alice.session : null)),
        );
        expect(read.entries.map(({ skip }) => skip)).toEqual(
          read.entries.map((_, i) => (i === 5 ? ['x'] : [])),
        );
        const heard = ofType(large.events(W1), 'entry').filter(({ channel }) => channel.kind === 'inbox');
        expect(heard.map(({ entry }) => Buffer.from(entry.body).toString())).toEqual([
          ...['a', '', 'b', 'c', 'd', 'e', 'f', 'volatile', 'g'],
        ]);
      });

      test('may be over its cap by a sixteenth, and is never under it', async () => {
        const store = large.store(W1);
        const me = refOf(await attach(store, attachRequest('sender', W1)));
        const counts: number[] = [];
        for (let i = 0; i < 3 * cap; i++) {
          await append(store, appendRequest(roomLog('r'), { sender: me }));
          const read = await store.read({ channel: roomLog('r'), from: { after: null }, limit: 999 });
          if (i >= cap) counts.push(bodies(read).length);
        }
        expect(Math.min(...counts)).toBe(cap);
        expect(Math.max(...counts)).toBeLessThan(cap + cap / 16);
      });
    });

    describe('read', () => {
      let me: SessionRef;
      beforeEach(async () => {
        me = refOf(await attach(one, attachRequest('sender', W1)));
      });
      const sending = (channel: Channel, more: Partial<AppendRequest> = {}) =>
        appendRequest(channel, { sender: me, ...more });

      const fill = async (count: number) => {
        const ids: string[] = [];
        for (let i = 1; i <= count; i++) {
          ids.push(await append(one, sending(roomLog('r'), { body: Buffer.from(`${i}`) })));
        }
        return ids;
      };
      const read = (after: string | null, limit = 99) =>
        two.read({ channel: roomLog('r'), from: { after }, limit });

      test('gives the entries after a position, page by page', async () => {
        const ids = await fill(5);
        const page = await read(ids[0] ?? '', 3);
        expect(page).toMatchObject({
          status: 'entries',
          missing: 0,
          more: true,
          position: ids[3],
          entries: ids.slice(1, 4).map((id) => ({ id, kept: false })),
        });
        expect(bodies(page)).toEqual(['2', '3', '4']);
        expect(await read(ids[3] ?? '', 1)).toMatchObject({
          status: 'entries',
          more: false,
          position: ids[4],
        });
        await expect(read(ids[4] ?? '')).resolves.toEqual({
          status: 'entries',
          missing: 0,
          entries: [],
          more: false,
          position: ids[4],
        });
        expect(bodies(await read(null))).toEqual(['1', '2', '3', '4', '5']);
      });

      test('gives the last entries, and only those that are there', async () => {
        const last = async (count: number, limit = 99) =>
          two.read({ channel: roomLog('r'), from: { last: count }, limit });
        await expect(last(3)).resolves.toMatchObject({ entries: [], missing: 0, position: null });
        const ids = await fill(8);
        expect(bodies(await last(2))).toEqual(['7', '8']);
        expect(await last(Number.MAX_SAFE_INTEGER)).toMatchObject({ missing: 0, position: ids[7] });
        expect(bodies(await last(Number.MAX_SAFE_INTEGER))).toEqual(['4', '5', '6', '7', '8']);
        expect(await last(3, 2)).toMatchObject({ more: true, position: ids[6] });
        expect(await last(0)).toEqual({
          status: 'entries',
          missing: 0,
          entries: [],
          more: false,
          position: ids[7],
        });
      });

      test('counts what was trimmed by number after the position', async () => {
        const ids = await fill(8);
        const page = await read(ids[0] ?? '', 2);
        expect(page).toMatchObject({ status: 'entries', missing: 2, more: true, position: ids[4] });
        expect(bodies(page)).toEqual(['4', '5']);
        expect(await read(null)).toMatchObject({ missing: 3, position: ids[7] });
        // Who has all that was trimmed missed nothing.
        expect(await read(ids[2] ?? '')).toMatchObject({ missing: 0, more: false });
      });

      test('counts what was trimmed by bytes after the position', async () => {
        const ids = await fill(2);
        const big = await append(one, sending(roomLog('r'), { body: Buffer.alloc(2_000) }));
        expect(await read(ids[0] ?? '')).toMatchObject({ missing: 1, entries: [{ id: big }], position: big });
        expect(await read(null)).toMatchObject({ missing: 2 });
        expect(await read(ids[1] ?? '')).toMatchObject({ missing: 0, entries: [{ id: big }] });
      });

      test('is lost when the id is of another epoch, of another tag, in the future or none at all', async () => {
        const ids = await fill(3);
        const position = ids[2];
        const [epoch = '', place = ''] = (ids[1] ?? '').split(':');
        const tag = Number(place.split('-')[1]);
        const strange = [
          `x:${place}`,
          `${epoch}:2-${(tag + 1) % 2 ** 32}`,
          `${epoch}:3-${tag}`,
          `${epoch}:4-${tag}`,
          `${epoch}:0-${tag}`,
          `${epoch}:02-${tag}`,
          '',
          ':',
          'a:b-c',
          `${epoch}:2`,
          `${epoch}:-1-5`,
          `:${place}`,
          `${epoch}:99999999999999999999-1`,
          `${epoch}:0x2-${tag}`,
          `${epoch}:2-99999999999999999999`,
        ];
        for (const id of strange) await expect(read(id)).resolves.toEqual({ status: 'lost', position });
        const none = (after: string | null) =>
          two.read({ channel: roomLog('none'), from: { after }, limit: 1 });
        await expect(none(ids[0] ?? '')).resolves.toEqual({ status: 'lost', position: null });
        await expect(none(null)).resolves.toMatchObject({ status: 'entries', entries: [], position: null });
      });

      test('leaves out what is over its time to live, and keeps its place', async () => {
        const ids: string[] = [];
        for (const ttlMs of [null, 300, 300, 60_000, 300])
          ids.push(await append(one, sending(roomLog('r'), { ttlMs, body: Buffer.from(`${ttlMs}`) })));
        expect((await read(null)).status === 'entries' && bodies(await read(null))).toHaveLength(5);
        await harness.advance(300);
        const rest = await read(null);
        expect(bodies(rest)).toEqual(['null', '60000']);
        expect(rest).toMatchObject({ missing: 0, more: false, position: ids[4] });
        expect(await read(ids[0] ?? '', 2)).toMatchObject({
          entries: [],
          missing: 0,
          more: true,
          position: ids[2],
        });
        expect(await read(ids[2] ?? '')).toMatchObject({ entries: [{ id: ids[3] }], position: ids[4] });
        const next = await append(one, sending(roomLog('r')));
        expect(await read(ids[4] ?? '')).toMatchObject({ entries: [{ id: next }], missing: 0 });
      });
    });

    describe('a position', () => {
      test('is told at attach and join, and is what reading says', async () => {
        const sender = refOf(await attach(one, attachRequest('sender', W1)));
        const position = async (channel: Channel) => {
          const read = await two.read({ channel, from: { last: 0 }, limit: 1 });
          return read.position;
        };
        const alice = attachRequest('alice', W1);
        expect(await one.attach(alice)).toMatchObject({ inbox: null, kept: null });
        const ref = { ...alice, session: alice.fresh, generation: 1 };
        expect(await one.join(joining(ref, 'lobby', W1))).toMatchObject({ position: null });
        let previous: string | null = null;
        for (let i = 0; i < 2; i++) {
          const last = await append(one, appendRequest(inbox('alice'), { sender }));
          expect(await two.attach(attachRequest('alice', W2))).toMatchObject({ inbox: last });
          expect(await position(inbox('alice'))).toBe(last);
          const lastOfRoom = await append(one, appendRequest(roomLog('lobby'), { sender }));
          expect(await one.join(joining(ref, 'lobby', W1))).toMatchObject({ position: lastOfRoom });
          expect(await position(roomLog('lobby'))).toBe(lastOfRoom);
          const since = await one.read({ channel: inbox('alice'), from: { after: previous }, limit: 9 });
          expect(since).toMatchObject({ missing: 0, entries: [{ id: last }] });
          previous = last;
        }
      });
    });

    describe('a log without appends', () => {
      const QUIET = { ...SETTINGS, logTtlMs: 200, offlineTtlMs: 1_000 };
      let quiet: Harness;
      beforeEach(async () => {
        quiet = await start(QUIET);
      });
      afterEach(() => quiet.close());
      const pass = async (ms: number) => {
        await quiet.advance(ms);
        await quiet.sweep();
      };

      test('forgets its entries and keeps its place', async () => {
        const store = quiet.store(W1);
        const sender = refOf(await attach(store, attachRequest('sender', W1)));
        const channel = roomLog('r');
        const ids = [];
        for (const seq of [1, 2, 3]) ids.push(await append(store, appendRequest(channel, { sender, seq })));
        const read = (after: string | null) => store.read({ channel, from: { after }, limit: 9 });
        await pass(2 * QUIET.logTtlMs);
        expect(await read(ids[0] ?? '')).toEqual({
          status: 'entries',
          missing: 2,
          entries: [],
          more: false,
          position: ids[2],
        });
        expect(await read(ids[2] ?? '')).toMatchObject({ missing: 0, position: ids[2] });
        expect(await read(null)).toMatchObject({ missing: 3, position: ids[2] });
        const wrong = (ids[2] ?? '').replace(/-\d+$/, '-7');
        expect(await read(wrong)).toEqual({ status: 'lost', position: ids[2] });
        expect(await store.join(joining(sender, 'r', W1))).toMatchObject({ position: ids[2] });
        // Numbers, of entries and of senders, go on.
        expect(await store.append(appendRequest(channel, { sender, seq: 3 }))).toEqual({
          status: 'duplicate',
        });
        const next = await append(store, appendRequest(channel, { sender, seq: 4 }));
        expect(next.split('-')[0]).toBe((ids[2] ?? '').split('-')[0]?.replace(/3$/, '4'));
        expect(await read(ids[2] ?? '')).toMatchObject({ missing: 0, entries: [{ id: next }] });
        expect(await read(ids[0] ?? '')).toMatchObject({ missing: 2, entries: [{ id: next }] });
      });

      test('stays as long as it is appended to', async () => {
        const slow = await start({ ...SETTINGS, logTtlMs: 2_000 });
        try {
          const store = slow.store(W1);
          const sender = refOf(await attach(store, attachRequest('sender', W1)));
          // Longer than the time to live and the quarter that Redis may add.
          for (let i = 0; i < 7; i++) {
            await append(store, appendRequest(roomLog('r'), { sender }));
            await slow.advance(400);
          }
          const read = await store.read({ channel: roomLog('r'), from: { last: 9 }, limit: 9 });
          expect(bodies(read)).toHaveLength(SETTINGS.logLimitEntries);
        } finally {
          await slow.close();
        }
      });

      test('keeps for an absent client what it was asked to, for longer', async () => {
        const store = quiet.store(W1);
        const sender = refOf(await attach(store, attachRequest('sender', W1)));
        const channel = inbox('alice');
        const last = await append(store, appendRequest(channel, { sender, keep: true }));
        await pass(3 * QUIET.logTtlMs);
        const kept = { after: null, last };
        const read = () => store.read({ channel, from: { after: null }, limit: 9 });
        expect(await read()).toMatchObject({ missing: 0, entries: [{ id: last, kept: true }] });
        await pass(2 * QUIET.offlineTtlMs);
        expect(await store.attach(attachRequest('alice', W1))).toMatchObject({ kept, inbox: last });
        // It came too late, and can tell.
        expect(await read()).toMatchObject({ missing: 1, entries: [], position: last });
      });
    });

    describe('what is kept for an absent client', () => {
      let me: SessionRef;
      beforeEach(async () => {
        me = refOf(await attach(one, attachRequest('sender', W1)));
      });
      const keep = (text: string, more: Partial<AppendRequest> = {}) =>
        append(
          one,
          appendRequest(inbox('alice'), { sender: me, keep: true, body: Buffer.from(text), ...more }),
        );
      const attached = async (more: Partial<AttachRequest> = {}) => {
        const request = attachRequest('alice', W1, more);
        const result = await one.attach(request);
        if (result.status !== 'attached') throw new Error(result.code);
        const { session, generation, inbox: position, kept } = result;
        return { ref: { client: client('alice'), session, generation }, position, kept };
      };

      test('is stored only where the client has no session', async () => {
        const { ref } = await attached();
        const online = await keep('online');
        await one.detach(ref);
        const waiting = await keep('waiting');
        await one.end(ref);
        const offline = [await keep('one'), await keep('two')];
        await harness.settle();
        expect(ofType(harness.events(W1), 'entry')).toMatchObject([{ entry: { id: online } }]);
        const read = await one.read({ channel: inbox('alice'), from: { after: null }, limit: 9 });
        expect(read).toMatchObject({
          entries: [
            { id: online, kept: false },
            { id: waiting, kept: false },
            { id: offline[0], kept: true },
            { id: offline[1], kept: true },
          ],
        });
        expect(await attached()).toMatchObject({
          position: offline[1],
          kept: { after: waiting, last: offline[1] },
        });
      });

      test('is neither volatile nor for one session, and still once and in order', async () => {
        const send = (more: Partial<AppendRequest>) =>
          one.append(appendRequest(inbox('alice'), { sender: me, keep: true, ...more }));
        await expect(send({ seq: 0 })).resolves.toEqual({ status: 'absent' });
        await expect(send({ only: newSession() })).resolves.toEqual({ status: 'absent' });
        await expect(send({ seq: 2 })).resolves.toEqual({ status: 'out_of_order', expected: 1 });
        await expect(send({ seq: 1 })).resolves.toMatchObject({ status: 'accepted' });
        await expect(send({ seq: 1 })).resolves.toEqual({ status: 'duplicate' });
      });

      test('is told at every attach until it is acknowledged', async () => {
        const kept = { after: null, last: await keep('one') };
        const first = await attached();
        expect(first.kept).toEqual(kept);
        const second = await attached();
        expect(second.kept).toEqual(kept);
        // What comes now is not kept for anybody: it is read like all else.
        const online = await keep('online');
        expect(await attached()).toMatchObject({ kept, position: online });
        await one.acknowledge(first.ref, `${kept.last}0`);
        await one.acknowledge(first.ref, online);
        await one.acknowledge({ ...first.ref, client: client('mallory') }, kept.last);
        expect((await attached()).kept).toEqual(kept);
        await one.acknowledge(second.ref, kept.last);
        expect((await attached()).kept).toBeNull();
        await one.acknowledge(second.ref, kept.last);
        await one.acknowledge(second.ref, online);
      });

      test('is not acknowledged by an older connection, nor before all of it has come', async () => {
        const one1 = await keep('one');
        const old = await attached();
        const resume = { session: old.ref.session, keyHash: 'key-1' };
        const { ref } = await attached({ resume });
        await one.acknowledge(old.ref, one1);
        expect((await attached({ resume })).kept).toEqual({ after: null, last: one1 });
        const newest = { ...ref, generation: 3 };
        await one.end(newest);
        const two2 = await keep('two');
        const again = await attached();
        expect(again.kept).toEqual({ after: null, last: two2 });
        await one.acknowledge(again.ref, one1);
        expect((await attached()).kept).toEqual({ after: null, last: two2 });
        await one.acknowledge(again.ref, two2);
        const { kept, position } = await attached();
        expect([kept, position]).toEqual([null, two2]);
      });
    });
  });
}
