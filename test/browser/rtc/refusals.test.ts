// A call that the handler of `onPeer` refuses, in real browsers: its caller is told at once, and it is no second call when its words come again.
import { describe, expect, test } from '@jest/globals';
import { useStandingPages } from './standing-pages.js';
import { PAIRS } from './pairs.js';

/** The caller's offer is said again after a second. */
const SAID_AGAIN_MS = 1_500;

describe.each(PAIRS)('%s is refused by %s', (...names) => {
  const { namesOf, open } = useStandingPages(names);

  test.each([
    ['a call', false, {}],
    ['a call with a name', false, { name: 'whiteboard' }],
    ['a call that asks for a standing offer', true, {}],
    ['a call with a name, where there is a standing offer', true, { name: 'whiteboard' }],
  ] as const)(
    '%s',
    async (_what, isStanding, options) => {
      const [alice, bob] = namesOf(0);
      const [caller, callee] = [await open(0, alice), await open(1, bob, isStanding)];
      await callee.evaluate(`(async () => {
        const own = clients['${bob}'];
        const stoodBefore = stood;
        own.stop();
        await own.client.onPeer((peer) => {
          own.called.push(peer);
          peer.close();
        }, {}, { standing: ${String(isStanding)} });
        // The one before was taken back.
        if (${String(isStanding)}) await until(() => stood > stoodBefore + 1);
      })()`);
      const given = JSON.stringify({ ...options, standing: isStanding });
      const told = await caller.evaluate(`(async () => {
        await dial('${alice}', '${bob}', ${given});
        const { peer } = clients['${alice}'];
        const ends = [];
        peer.on('close', (reason) => ends.push(reason.code ?? reason));
        await until(() => ends.length > 0);
        const reason = await clients['${alice}'].opened.catch(({ code }) => code);
        return { ends, reason, state: peer.state };
      })()`);
      expect(told).toEqual({ ends: ['remote'], reason: 'closed', state: 'closed' });
      await new Promise((resolve) => setTimeout(resolve, SAID_AGAIN_MS));
      expect(await callee.evaluate(`clients['${bob}'].called.length`)).toBe(1);
      expect(await callee.evaluate(`clients['${bob}'].errors`)).toEqual([]);
    },
    60_000,
  );
});
