// Calls of two that both leave standing offers and meet on the way, in real browsers: whichever is heard first, both end connected.
import { describe, expect, test } from '@jest/globals';
import { CROSSING_MS } from '../../../src/session/recent-calls.js';
import type { BrowserPage } from '../test-browser.js';
import { CROSSED, useStandingPages } from './standing-pages.js';

const PAIRS: [string, string][] = [['Chromium', 'Chromium']];
const isFull = process.env.TEST_BROWSER === 'full';
if (isFull) PAIRS.push(['Chromium', 'Firefox'], ['Firefox', 'Firefox'], ['Firefox', 'Chromium']);

describe.each(PAIRS)('a standing offer, %s and %s', (...names) => {
  const { open, pair, namesOf } = useStandingPages(names);

  test.each([
    ['leader', 0],
    ['follower', 1],
  ] as const)(
    'and a call of its holder to who took it, the %s, become one connection',
    async (_who, leader) => {
      const { alice, bob, caller, callee } = await pair(leader);
      await callee.evaluate('isHolding = true');
      await caller.evaluate(`dial('${alice}', '${bob}')`);
      // It was given out, and its holder has not heard of it.
      await caller.evaluate(`until(() => clients['${alice}'].peer.counts.rounds === 1)`);
      await callee.evaluate(`dial('${bob}', '${alice}')`);
      await caller.evaluate(`clients['${alice}'].client.send('${bob}', 'mark', 1).then(() => null)`);
      await callee.evaluate('letGo()');
      expect(
        await Promise.all([caller.evaluate(`talk('${alice}')`), callee.evaluate(`talk('${bob}')`)]),
      ).toEqual([`hello from ${alice}`, `hello from ${bob}`]);
      // Nobody was called: each has the peer that it made itself.
      expect(await caller.evaluate(`clients['${alice}'].called.length`)).toBe(0);
      expect(await callee.evaluate(`clients['${bob}'].called.length`)).toBe(0);
      expect(await callee.evaluate(`ways(clients['${bob}'].peer)`)).toEqual(CROSSED);
    },
    60_000,
  );

  /** Where both have standing offers, and where nobody has, which is how it always was. */
  const MODES: [string, string, 0 | 1, boolean][] = [
    ['leader', 'calls that meet', 0, true],
    ['follower', 'calls that meet', 1, true],
  ];
  if (isFull) MODES.push(['follower', 'ordinary calls', 1, false]);
  /** Two pages, of which the first hears nothing yet. */
  const deaf = async (leader: 0 | 1, isStanding: boolean) => {
    const [alice, bob] = namesOf(leader);
    const [caller, holder] = [await open(0, alice, isStanding), await open(1, bob, isStanding)];
    await caller.evaluate('isHolding = true');
    return { alice, bob, caller, holder };
  };
  const HELD = `until(() => [...sockets].some(({ held }) => held.some(({ data }) => data.includes('~rtc'))))`;
  /** All that the first asked for by now has been decided on. */
  const decided = async (page: BrowserPage, name: string, other: BrowserPage, otherName: string) => {
    await other.evaluate(
      `clients['${otherName}'].client.onMessage('mark', () => window.marked = true) && null`,
    );
    await page.evaluate(
      `clients['${name}'].client.send('${otherName}', 'mark', 1, { volatile: true }).then(() => null)`,
    );
    await other.evaluate(`until(() => window.marked === true)`);
  };

  test.each(MODES)(
    'is not in the way of a call by the %s to a holder that has said hello (%s)',
    async (_who, _what, leader, isStanding) => {
      const { alice, bob, caller, holder } = await deaf(leader, isStanding);
      await holder.evaluate(`meet('${bob}', '${alice}')`);
      await caller.evaluate(HELD);
      await caller.evaluate(`dial('${alice}', '${bob}')`);
      await decided(caller, alice, holder, bob);
      await caller.evaluate('letGo()');
      expect(await caller.evaluate(`talk('${alice}')`)).toBe(`hello from ${alice}`);
      expect(await caller.evaluate(`clients['${alice}'].called.length`)).toBe(0);
      expect(await holder.evaluate(`clients['${bob}'].called.length`)).toBe(0);
    },
    60_000,
  );

  test.each(MODES)(
    'is not in the way of a call by the %s to a holder that sends it media (%s)',
    async (_who, _what, leader, isStanding) => {
      const { alice, bob, caller, holder } = await deaf(leader, isStanding);
      await holder.evaluate(
        `meet('${bob}', '${alice}').then(async () => void clients['${bob}'].peer.addStream(await video()).catch(() => {}))`,
      );
      await caller.evaluate(HELD);
      await caller.evaluate(`dial('${alice}', '${bob}')`);
      await decided(caller, alice, holder, bob);
      await caller.evaluate('letGo()');
      expect(await caller.evaluate(`talk('${alice}')`)).toBe(`hello from ${alice}`);
      await caller.evaluate(`received(clients['${alice}'].peer, 'video')`);
    },
    60_000,
  );

  test.each(isFull ? [true, false] : [true])(
    'is not in the way of a call back to its holder, which called two sessions of that client (standing: %s)',
    async (isStanding) => {
      const [alice, bob] = namesOf(1);
      const [holder, one, two] = [
        await open(0, alice, isStanding),
        await open(1, bob, isStanding),
        await open(1, bob, isStanding),
      ];
      await one.evaluate('isHolding = true');
      await two.evaluate('isHolding = true');
      await holder.evaluate(`dial('${alice}', '${bob}')`);
      await one.evaluate(HELD);
      await one.evaluate(`dial('${bob}', '${alice}')`);
      await decided(one, bob, holder, alice);
      await one.evaluate('letGo()');
      expect(
        await Promise.all([one.evaluate(`talk('${bob}')`), holder.evaluate(`talk('${alice}')`)]),
      ).toEqual([`hello from ${bob}`, `hello from ${alice}`]);
    },
    60_000,
  );

  test.each(isFull ? [true, false] : [true])(
    'leaves nobody alone who is called back by one that was not there (asked for: %s)',
    async (isStanding) => {
      const [alice, bob] = namesOf(0);
      const [caller, late] = [await open(0, alice, false), await open(1, bob, false)];
      // Nobody takes calls there.
      await late.evaluate(`clients['${bob}'].stop()`);
      await caller.evaluate(`dial('${alice}', '${bob}')`);
      await caller.evaluate(`clients['${alice}'].peer.ready.then(() => null)`);
      // The call, by the quick way and by the sure one, has come and gone.
      await late.evaluate(`until(() => clients['${bob}'].offers === 2)`);
      await late.evaluate(`dial('${bob}', '${alice}', { standing: ${String(isStanding)} })`);
      expect(await late.evaluate(`talk('${bob}')`)).toBe(`hello from ${bob}`);
    },
    60_000,
  );

  test('leaves both connected where its holder has spoken long before, and is heard just now', async () => {
    const kinds = [
      { leader: 0, says: 'hello', isGiven: true },
      { leader: 1, says: 'hello', isGiven: true },
      { leader: 1, says: 'media', isGiven: true },
      // Who does not lead begins with data, and so has taken the other one's standing offer itself.
      { leader: 0, says: 'media', isGiven: false },
    ] as const;
    const calls = [];
    for (const kind of kinds) calls.push({ ...(await pair(kind.leader)), ...kind });
    await Promise.all(
      calls.map(async ({ alice, bob, caller, callee: holder, says, isGiven }) => {
        await caller.evaluate('isHolding = true');
        await holder.evaluate(`meet('${bob}', '${alice}')`);
        if (says === 'media')
          await holder.evaluate(`clients['${bob}'].peer.addStream(video()).catch(() => {}) && null`);
        await caller.evaluate(HELD);
        // The gateway has forgotten it by then, and that it was said again after a second.
        await holder.evaluate(
          `(async (from) => until(() => performance.now() - from > ${String(CROSSING_MS + 2_000)}))(performance.now())`,
        );
        await caller.evaluate(`dial('${alice}', '${bob}')`);
        // It was given out: the next one stands by then.
        if (isGiven) await holder.evaluate(`until(() => stood > 1)`);
        await caller.evaluate('letGo()');
        expect(await caller.evaluate(`talk('${alice}')`)).toBe(`hello from ${alice}`);
        if (says === 'media') await caller.evaluate(`received(clients['${alice}'].peer, 'video')`);
        for (const [page, name] of [
          [caller, alice],
          [holder, bob],
        ] as const)
          expect(
            await page.evaluate(`[clients['${name}'].called.length, clients['${name}'].peer.state]`),
          ).toEqual([0, 'connected']);
        if (says === 'media') return;
        // The standing offer has given way: one side has answered.
        const mine = await caller.evaluate(`ways(clients['${alice}'].peer)`);
        expect(await holder.evaluate(`ways(clients['${bob}'].peer).reverse()`)).toEqual(mine);
      }),
    );
  }, 120_000);
});
