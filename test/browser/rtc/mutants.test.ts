// Each specification is seen to fail: `npm run test:mutants` breaks the SDK in one place after the other. What is always checked is the list itself.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Site } from '../site.js';
import { DEPARTURES, playDeparture } from './departures.js';
import { buildSdk, type Mutant, sourceOf } from './mutant-build.js';
import { MUTANTS } from './mutants.js';
import { MECHANISMS, Stage } from './scene.js';
import { SPECIFICATIONS } from './specifications.js';

/** `all`: each mutant meets every specification, not only those that are said to catch it. */
const MODE = process.env.MUTANTS ?? '';
/** What has not ended by then hangs, ms. */
const HANG_MS = 20_000;
/** Specifications that are played at the same time. */
const TOGETHER = 6;
const PAIR: [string, string] = ['Chromium', 'Chromium'];

const names = SPECIFICATIONS.map(({ name }) => name);
const departures = DEPARTURES.filter(({ isPossible }) => isPossible(PAIR)).map(({ name }) => name);

/** Those that fail. */
async function playAll(stage: Stage, those: readonly string[], over: string): Promise<string[]> {
  const failed: string[] = [];
  const left = SPECIFICATIONS.filter(({ name }) => those.includes(name));
  const mechanism = MECHANISMS.find(({ name }) => name === over);
  if (mechanism === undefined) throw new Error(`no mechanism ${over}`);
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const { name, options, play } = next;
      const scene = await stage.scene(mechanism, options);
      if (await fails(play(scene))) failed.push(name);
      await scene.close();
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, work));
  for (const departure of DEPARTURES)
    if (those.includes(departure.name) && (await fails(playDeparture(stage, departure), 3 * HANG_MS)))
      failed.push(departure.name);
  return failed;
}

async function fails(played: Promise<unknown>, limitMs = HANG_MS): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const hang = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(true), limitMs);
  });
  const ended = played.then(
    () => false,
    () => true,
  );
  try {
    return await Promise.race([ended, hang]);
  } finally {
    clearTimeout(timer);
  }
}

async function failuresOf(site: Site, stage: Stage, mutant: Mutant | null): Promise<string[]> {
  const all = [...names, ...departures];
  const those = mutant === null || MODE === 'all' ? all : mutant.caughtBy;
  site.add(await buildSdk(mutant === null ? [] : [mutant]));
  await stage.renew('both');
  return await playAll(stage, those, mutant?.over ?? 'loopback');
}

describe('the list of mutants', () => {
  test.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))(
    'has an edit that can be made once, and specifications that there are: %s',
    (_name, { file, from, to, caughtBy }) => {
      expect(sourceOf(file).split(from)).toHaveLength(2);
      expect(to).not.toBe(from);
      expect(caughtBy).not.toEqual([]);
      expect([...names, ...departures]).toEqual(expect.arrayContaining([...caughtBy]));
    },
  );

  test('has one for each specification, and for each way to go away', () => {
    const caught = new Set(MUTANTS.flatMap(({ caughtBy }) => caughtBy));
    expect([...names, ...departures].filter((name) => !caught.has(name))).toEqual([]);
  });
});

(MODE === '' ? describe.skip : describe)('specifications', () => {
  const seen = new Set<string>();
  let caught = 0;
  let site: Site;
  let stage: Stage;
  beforeAll(async () => {
    site = await Site.open();
    stage = await Stage.open(PAIR, { WORKERS: '1' }, { site });
  }, 120_000);
  afterAll(async () => {
    process.stdout.write(
      `${String(caught)} of ${String(MUTANTS.length)} mutants caught; ${String(seen.size)} of ${String(names.length + departures.length)} specifications were seen to fail\n`,
    );
    await stage.close();
    await site.close();
  }, 60_000);

  test('all hold without an edit', async () => {
    expect(await failuresOf(site, stage, null)).toEqual([]);
  }, 600_000);

  test.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))(
    'are broken by this one: %s',
    async (name, mutant) => {
      const failed = await failuresOf(site, stage, mutant);
      for (const one of failed) seen.add(one);
      process.stdout.write(`${name}\n${failed.map((one) => `    ${one}\n`).join('')}`);
      expect(failed).toEqual(expect.arrayContaining([...mutant.caughtBy]));
      caught++;
    },
    600_000,
  );
});
