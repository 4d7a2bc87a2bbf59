// Tabs that come, go, crash and freeze at random while all of them send: what was accepted came once and in order, and every tab that lived heard all.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { Client } from '../../../src/client/client.js';
import { type GatewayProcess, startGateway, tokenOf, until } from '../../gateway-process.js';
import { TestBrowserProfile, type TestTab } from './tab-of-test.js';

/** More of them by `SEEDS=20`. */
const SEEDS = Number(process.env.SEEDS ?? 4);
const STEPS = 120;
const TABS_LIMIT = 5;

let gateway: GatewayProcess;
beforeAll(async () => {
  gateway = await startGateway({ WORKERS: '1' });
}, 30_000);
afterAll(async () => {
  await gateway.stop();
}, 30_000);

/** Mulberry32. */
function chanceOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Seen {
  readonly tab: TestTab;
  readonly at: number;
  /** How many messages were sent to all before it was connected. */
  readonly since: number;
  sent: number;
  readonly accepted: Set<number>;
  readonly unknown: Set<number>;
  wasFrozen: boolean;
  /** It was told that something is missing. */
  isTold: boolean;
  readonly inbox: number[];
  readonly room: number[];
}

test.each(Array.from({ length: SEEDS }, (_, seed) => seed + 1))(
  'tabs that come and go lose nothing and double nothing, seed %i',
  async (seed) => {
    const chance = chanceOf(seed);
    const name = `alice-${String(seed)}`;
    const profile = new TestBrowserProfile();
    const bob = new Client(gateway.url, { token: tokenOf('bob'), WebSocket });
    await bob.connect();
    const got = new Map<number, number[]>();
    bob.onMessage('n', (data: [at: number, n: number]) => {
      const [at, n] = data;
      got.set(at, [...(got.get(at) ?? []), n]);
    });
    const all: Seen[] = [];
    let said = 0;
    const pending = new Set<Promise<unknown>>();

    const come = async (): Promise<void> => {
      const tab = profile.open(gateway.url, { token: tokenOf(name) });
      await tab.client.connect();
      const room = tab.client.room(name);
      const seen: Seen = {
        tab,
        at: all.length,
        since: said,
        sent: 0,
        accepted: new Set(),
        unknown: new Set(),
        wasFrozen: false,
        isTold: false,
        inbox: [],
        room: [],
      };
      tab.client.on('gap', () => (seen.isTold = true));
      tab.client.on('stateLost', () => (seen.isTold = true));
      room.onMessage('m', (n: number) => seen.room.push(n));
      tab.client.onMessage('m', (n: number) => seen.inbox.push(n));
      await room.join();
      all.push(seen);
    };
    const living = (): Seen[] => all.filter(({ tab }) => !tab.isDead && tab.client.state !== 'closed');
    const pick = (): Seen | undefined => living()[Math.floor(chance() * living().length)];
    const send = (seen: Seen): void => {
      const n = seen.sent++;
      const sending = seen.tab.client.send('bob', 'n', [seen.at, n]).then(
        () => seen.accepted.add(n),
        () => seen.unknown.add(n),
      );
      pending.add(sending);
      void sending.finally(() => pending.delete(sending));
    };

    await come();
    await come();
    for (let step = 0; step < STEPS; step++) {
      const what = chance();
      const seen = pick();
      if (what < 0.06 && living().length < TABS_LIMIT) await come();
      else if (what < 0.1 && living().length > 1) (profile.leader ?? seen?.tab)?.crash();
      else if (what < 0.13 && living().length > 1) seen?.tab.crash();
      else if (what < 0.15 && living().length > 1) await seen?.tab.client.close();
      else if (what < 0.17) profile.leader?.hide();
      else if (what < 0.2) profile.leader?.sockets.at(-1)?.terminate();
      else if (what < 0.24) {
        // That another takes the lock from a frozen one takes 5 s each time.
        if (seen !== undefined && (seed > 4 || seen.tab !== profile.leader)) {
          seen.wasFrozen = true;
          seen.tab.freeze();
        }
      } else if (what < 0.27) (chance() < 0.5 ? profile.leader : seen?.tab)?.loseNext();
      else if (what < 0.35) for (const { tab } of living()) tab.thaw();
      else if (what < 0.52) {
        // To all tabs, by both ways; each is in the log when the next step begins.
        const n = said++;
        await bob.send(name, 'm', n, { offline: 'keep' });
        await bob.room(name).publish('m', n);
      } else if (seen !== undefined) for (let i = 0; i < 1 + chance() * 8; i++) send(seen);
      if (chance() < 0.3) await new Promise((resolve) => setTimeout(resolve, chance() * 60));
    }
    for (const { tab } of living()) tab.thaw();
    const alive = living();
    // What a tab that is gone had under way is settled by nobody.
    await until(() => alive.every(({ sent, accepted, unknown }) => accepted.size + unknown.size === sent));
    const last = said++;
    await bob.send(name, 'm', last);
    await bob.room(name).publish('m', last);
    await until(() => alive.every(({ inbox, room }) => inbox.at(-1) === last && room.at(-1) === last));

    for (const { at, accepted, unknown, tab, since, inbox, room, sent, wasFrozen, isTold } of all) {
      const theirs = got.get(at) ?? [];
      // In order, and so none twice.
      expect(theirs).toEqual([...new Set(theirs)].sort((a, b) => a - b));
      expect([...accepted].filter((n) => !theirs.includes(n))).toEqual([]);
      if (!alive.some((seen) => seen.tab === tab)) continue;
      // Who was frozen while hubs came and went may be told that nobody knows.
      if (!wasFrozen) expect([unknown.size, accepted.size]).toEqual([0, sent]);
      for (const heard of [inbox, room]) expect(heard).toEqual([...new Set(heard)].sort((a, b) => a - b));
      // Where the only tab that had the session was frozen, the next one begins a new session, and the frozen one is told.
      if (isTold) continue;
      const wanted = Array.from({ length: said - since }, (_, n) => since + n);
      expect(inbox.filter((n) => n >= since)).toEqual(wanted);
      expect(room.filter((n) => n >= since)).toEqual(wanted);
    }
    if (!all.some(({ wasFrozen }) => wasFrozen)) expect(all.filter(({ isTold }) => isTold)).toEqual([]);
    await profile.close();
    await bob.close();
  },
  60_000,
);
