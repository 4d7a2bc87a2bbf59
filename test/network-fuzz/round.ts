// Calls of all pages at the same time over a bad network: they sign in, call, are cut off for a while, and recover.
import type { Page } from 'playwright-core';
import { tokenOf } from '../gateway-process.js';
import { pause } from '../faults/processes.js';
import { seeded } from '../faults/random.js';
import { type Cell, nameOf } from './cell.js';
import type { Scene } from './scene.js';

/** What became of one call; null where it did not come to that, or not within the limit. */
export interface Call {
  signInMs: number | null;
  connectMs: number | null;
  recoverMs: number | null;
  /** What both ends heard meanwhile, with ms since the call began. */
  log: string[];
}

export interface Limits {
  signInMs: number;
  connectMs: number;
  outageMs: number;
  recoverMs: number;
}

interface Lane {
  caller: Page;
  called: Page;
  /** The caller's, and the one called's. */
  urls: [string, string];
  ids: [string, string];
}

interface Ended {
  counts: unknown;
  state: string | null;
  log: string[];
}

export interface RoundOptions {
  /** Decides when they are cut off. */
  seed: number;
  /** Calls at the same time; there are as many pages. */
  lanes: number;
  limits: Limits;
}

/** Every other call is made by the side whose network is bad. */
export async function playRound(scene: Scene, cell: Cell, options: RoundOptions): Promise<Call[]> {
  const { seed, limits } = options;
  const random = seeded(seed);
  // A client of its own for each call.
  const lanes = lanesOf(scene, `${nameOf(cell)}-${seed}`.replaceAll(/[^\w-]/g, '-')).slice(0, options.lanes);
  await scene.impair(cell);
  try {
    const calls = await Promise.all(lanes.map((lane) => connect(lane, cell, limits)));
    // In the middle of whatever they do each second.
    await pause(1_000 + random.below(1_000));
    scene.cutOff();
    const [areSilent] = await Promise.all([areAllSilent(lanes, calls, cell, limits), pause(limits.outageMs)]);
    scene.reconnect();
    if (!areSilent) throw new Error(`${nameOf(cell)}: something came while the network was cut off`);
    await Promise.all(
      calls.map(async (call, i) => {
        const lane = lanes[i];
        if (call.connectMs === null || lane === undefined) return;
        call.recoverMs = await lane.caller.evaluate<number | null>(
          `recover('${cell.content}', ${limits.recoverMs})`,
        );
      }),
    );
    await Promise.all(calls.map((call, i) => end(call, lanes[i])));
    return calls;
  } finally {
    await scene.impair(null);
    await Promise.all(
      lanes.flatMap(({ caller, called }) => [caller, called]).map((page) => page.evaluate('signOut()')),
    );
  }
}

/** Else what follows is no recovery. */
async function areAllSilent(
  lanes: readonly Lane[],
  calls: readonly Call[],
  { content }: Cell,
  { outageMs }: Limits,
): Promise<boolean> {
  const connected = lanes.filter((_, i) => typeof calls[i]?.connectMs === 'number');
  const said = await Promise.all(
    connected.map(({ caller }) => caller.evaluate<boolean>(`isSilent('${content}', ${outageMs})`)),
  );
  return said.every(Boolean);
}

function lanesOf(scene: Scene, prefix: string): Lane[] {
  return scene.pages.bad.flatMap((bad, i): Lane[] => {
    const good = scene.pages.good[i];
    if (good === undefined) return [];
    const [of, to] = [`${prefix}-${i}-bad`, `${prefix}-${i}-good`];
    const { urls } = scene;
    return i % 2 === 0
      ? [{ caller: bad, called: good, urls: [urls.bad, urls.good], ids: [of, to] }]
      : [{ caller: good, called: bad, urls: [urls.good, urls.bad], ids: [to, of] }];
  });
}

async function connect({ caller, called, urls, ids }: Lane, cell: Cell, limits: Limits): Promise<Call> {
  const call: Call = { signInMs: null, connectMs: null, recoverMs: null, log: [] };
  const signIn = async (page: Page, index: 0 | 1): Promise<number | null> =>
    await page.evaluate<number | null>(
      `signIn('${urls[index]}', '${tokenOf(ids[index])}', ${limits.signInMs})`,
    );
  const times = await Promise.all([signIn(caller, 0), signIn(called, 1)]);
  if (times[0] === null || times[1] === null) return call;
  call.signInMs = Math.max(...(times as [number, number]));
  await called.evaluate(`answer('${cell.content}')`);
  call.connectMs = await caller.evaluate<number | null>(
    `call('${ids[1]}', '${cell.content}', ${limits.connectMs})`,
  );
  return call;
}

async function end(call: Call, lane: Lane | undefined): Promise<void> {
  if (lane === undefined) return;
  const ends = await Promise.all([lane.caller, lane.called].map((page) => page.evaluate<Ended>('hangUp()')));
  for (const { counts, state, log } of ends)
    call.log.push(...log, `${String(state)} ${JSON.stringify(counts)}`);
}
