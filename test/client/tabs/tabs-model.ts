// Tabs that come, go, crash and freeze at random while all of them send, and what of their promises was not kept.
import { WebSocket } from 'ws';
import { Client } from '../../../src/client/client.js';
import { type Environment, REAL_ENVIRONMENT } from '../../../src/client/environment.js';
import { tokenOf, until } from '../../gateway-process.js';
import { TestBrowserProfile, type TestTab } from './tab-of-test.js';

const STEPS = 120;
const TABS_LIMIT = 5;
/** Then something hangs. */
const WAIT_LIMIT_MS = 40_000;

/** Mulberry32. */
export function chanceOf(seed: number): () => number {
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
  /** By the code that it was told. */
  readonly unknown: Map<number, string>;
  /** It was told that something is missing. */
  isTold: boolean;
  readonly inbox: number[];
  readonly room: number[];
}

export interface Play {
  readonly seed: number;
  readonly url: string;
  /** How many times as quick everything beneath the clients goes. */
  readonly speed: number;
  /** Nobody freezes, no message between tabs is lost, and hubs end one after the other: then every call is answered. */
  readonly isGentle: boolean;
  trace?(line: string): void;
}

/** Plays it once. @returns what went wrong */
export async function play({ seed, url, speed, isGentle, trace = () => undefined }: Play): Promise<string[]> {
  const chance = chanceOf(seed);
  const name = `alice-${crypto.randomUUID()}`;
  const target = `bob-${crypto.randomUUID()}`;
  const beneath: Environment = {
    ...REAL_ENVIRONMENT,
    now: () => Math.floor(Date.now() * speed),
    after: (ms, run) => REAL_ENVIRONMENT.after(ms / speed, run),
  };
  const profile = new TestBrowserProfile(chanceOf(-seed));
  const bob = new Client(url, { token: tokenOf(target), WebSocket });
  await bob.connect();
  const got = new Map<number, number[]>();
  bob.onMessage('n', (data: [at: number, n: number]) => {
    const [at, n] = data;
    got.set(at, [...(got.get(at) ?? []), n]);
  });
  const all: Seen[] = [];
  let said = 0;

  const come = async (): Promise<void> => {
    const tab = profile.open(url, { token: tokenOf(name) }, undefined, beneath);
    await tab.client.connect();
    const room = tab.client.room(name);
    const seen: Seen = {
      tab,
      at: all.length,
      since: said,
      sent: 0,
      accepted: new Set(),
      unknown: new Map(),
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
    seen.tab.client.send(target, 'n', [seen.at, n]).then(
      () => seen.accepted.add(n),
      (error: unknown) => seen.unknown.set(n, String(error)),
    );
  };
  const sayToAll = async (n: number): Promise<void> => {
    await bob.send(name, 'm', n, { offline: 'keep' });
    await bob.room(name).publish('m', n);
  };

  await come();
  await come();
  for (let step = 0; step < STEPS; step++) {
    const what = chance();
    const seen = pick();
    const hub = profile.leader;
    const tell = (verb: string, tab = seen?.tab): void => {
      const at = all.findIndex((one) => one.tab === tab);
      trace(
        `${verb} ${String(at)}, the connection has ${String(all.findIndex((one) => one.tab === profile.leader))}`,
      );
    };
    if (what < 0.06 && living().length < TABS_LIMIT) {
      tell('come', undefined);
      await come();
    } else if (what < 0.13 && living().length > 1) {
      const tab = what < 0.1 ? (profile.leader ?? seen?.tab) : seen?.tab;
      tell('crash', tab);
      tab?.crash();
    } else if (what < 0.15 && living().length > 1) {
      if (seen?.tab.isFrozen === false && (!isGentle || seen.tab.client.state === 'connected')) {
        tell('close');
        await seen.tab.client.close();
      }
    } else if (what < 0.17) {
      tell('hide', profile.leader);
      profile.leader?.hide();
    } else if (what < 0.2) {
      tell('cut', profile.leader);
      profile.leader?.sockets.at(-1)?.terminate();
    } else if (what < 0.24) {
      if (seen !== undefined && !isGentle) {
        tell('freeze');
        seen.tab.freeze();
      }
    } else if (what < 0.27) {
      const tab = chance() < 0.5 ? profile.leader : seen?.tab;
      if (!isGentle) {
        tell('lose', tab);
        tab?.loseNext();
      }
    } else if (what < 0.35) {
      tell('thaw', undefined);
      for (const { tab } of living()) tab.thaw();
    } else if (what < 0.52) {
      // To all tabs, by both ways; each is in the log when the next step begins.
      await sayToAll(said++);
    } else if (seen !== undefined) {
      const count = 1 + Math.floor(chance() * 8);
      seen.tab.does(() => {
        const { sent } = seen;
        for (let i = 0; i < count; i++) send(seen);
        tell(`send ${String(sent)}-${String(seen.sent - 1)} of`);
      });
    }
    // A hub that takes over from one that had just taken over itself cannot know all.
    if (isGentle && hub !== profile.leader)
      await until(() =>
        living().every(({ sent, accepted, unknown }) => accepted.size + unknown.size === sent),
      );
    if (chance() < 0.3) await new Promise((resolve) => setTimeout(resolve, chance() * 60));
  }
  trace('the end begins');
  for (const { tab } of living()) tab.thaw();
  const alive = living();
  const faults: string[] = [];
  const wait = async (what: string, isDone: () => boolean): Promise<void> => {
    const deadline = performance.now() + WAIT_LIMIT_MS;
    await until(() => isDone() || performance.now() > deadline);
    if (!isDone()) {
      const states = alive.map(({ at, tab }) => `${String(at)} ${tab.client.state}`);
      faults.push(`${what}; tabs: ${states.join()}`);
    }
  };
  // What a tab that is gone had under way is settled by nobody.
  await wait('some calls never end', () =>
    alive.every(({ sent, accepted, unknown }) => accepted.size + unknown.size === sent),
  );
  const last = said++;
  await sayToAll(last);
  await wait('some tabs never hear the last message', () =>
    alive.every(({ inbox, room }) => inbox.at(-1) === last && room.at(-1) === last),
  );

  for (const { at, accepted, unknown, tab, since, inbox, room, sent, isTold } of all) {
    const fault = (what: string, numbers: readonly (number | string)[]): void => {
      if (numbers.length > 0) faults.push(`tab ${String(at)}: ${what}: ${numbers.join(' ')}`);
    };
    const theirs = got.get(at) ?? [];
    fault('came twice', repeated(theirs));
    fault('came in another order', inDisorder(theirs));
    const wasGot = new Set(theirs);
    fault(
      'accepted and lost',
      [...accepted].filter((n) => !wasGot.has(n)),
    );
    if (!alive.some((seen) => seen.tab === tab)) continue;
    // Who could not hear a hub while it ended may be told that nobody knows.
    if (isGentle)
      fault(
        'not accepted',
        [...unknown].map(([n, code]) => `${String(n)} (${code})`),
      );
    if (accepted.size + unknown.size < sent) fault('never answered', [sent - accepted.size - unknown.size]);
    for (const [way, heard] of Object.entries({ inbox, room })) {
      fault(`heard twice by ${way}`, repeated(heard));
      fault(`heard in another order by ${way}`, inDisorder(heard));
      // Where the only tab that had the session was frozen, the next one begins a new session, and the frozen one is told.
      if (isTold) continue;
      const wasHeard = new Set(heard);
      const wanted = Array.from({ length: said - since }, (_, n) => since + n);
      fault(
        `not heard by ${way}`,
        wanted.filter((n) => !wasHeard.has(n)),
      );
    }
  }
  if (isGentle && all.some(({ isTold }) => isTold)) faults.push('told of a loss where nobody was frozen');
  await profile.close();
  await bob.close();
  return faults;
}

function repeated(numbers: readonly number[]): number[] {
  return numbers.filter((n, index) => numbers.indexOf(n) !== index);
}

function inDisorder(numbers: readonly number[]): number[] {
  return [...new Set(numbers)].filter((n, index, unique) => index > 0 && n < (unique[index - 1] ?? 0));
}
