// The real simple-peer signals through a client with two lines, in real Chromium.
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { tokenOf } from '../../gateway-process.js';
import { Stage } from './scene.js';

const LIBRARY = readFileSync(
  new URL('../../../node_modules/simple-peer/simplepeer.min.js', import.meta.url),
  'utf8',
);
let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open(['Chromium', 'Chromium']);
  for (const page of stage.pages) await page.evaluate(`(() => { ${LIBRARY} })()`);
}, 120_000);
afterAll(() => stage.close(), 60_000);
afterEach(async () => {
  for (const page of stage.pages)
    await page.evaluate(
      `(window.stopTaking?.(), (window.isPersistent = false), window.simple?.destroy(), (window.failure = null))`,
    );
});

/** The two lines are those with `simplePeerSignaling`. */
const side = (remote: string, initiator: boolean): string => `(async () => {
  const peer = (window.simple = new SimplePeer({ initiator: ${String(initiator)} }));
  const { simplePeerSignaling } = await import('/rtc.js');
  peer.on('error', (error) => (window.failure = error.code));
  simplePeerSignaling(client, '${remote}', peer);
  Object.assign(window, { heard: [], said: [] });
  peer.on('signal', ({ type }) => said.push(type));
  peer.on('data', (data) => heard.push(new TextDecoder().decode(data)));
})()`;

test('simple-peer connects, and exchanges data both ways', async () => {
  const [alice, bob] = stage.pages;
  await bob.evaluate(side('alice', false));
  await alice.evaluate(side('bob', true));
  await alice.evaluate(`until(() => simple.connected)`);
  await bob.evaluate(`until(() => simple.connected)`);
  await alice.evaluate(`simple.send('from alice')`);
  await bob.evaluate(`simple.send('from bob')`);
  expect(await bob.evaluate(`until(() => heard.length > 0 && heard)`)).toEqual(['from alice']);
  expect(await alice.evaluate(`until(() => heard.length > 0 && heard)`)).toEqual(['from bob']);
}, 60_000);

/** Takes calls when the page has set `accepts`, which may be long after the caller's last signal; the peers stand in `taken`. */
const takes = (line = 'client'): string => `(async () => {
  const { onSimplePeer } = await import('/rtc.js');
  Object.assign(window, { callers: [], taken: [], given: [], accepts: null, heard: [] });
  window.stopTaking = onSimplePeer(${line}, async ({ client }) => {
    callers.push(client);
    await until(() => accepts !== null);
    if (!accepts) return null;
    const peer = new SimplePeer();
    taken.push(peer);
    peer.signal = (data) => (given.push(data.type), SimplePeer.prototype.signal.call(peer, data));
    peer.on('data', (data) => heard.push(new TextDecoder().decode(data)));
    return peer;
  });
})()`;
/** The page's client, whose messages need so long to the gateway, ms. */
const slow = (ms: number): string => `({
  onMessage: (...message) => client.onMessage(...message),
  send: async (...message) => {
    await new Promise((resolve) => setTimeout(resolve, ${String(ms)}));
    return client.send(...message);
  },
})`;
/** The caller has said all that it says before it is answered. */
const HAS_SAID_ALL = `until(() => simple._pc.iceGatheringState === 'complete')`;

describe('onSimplePeer', () => {
  beforeEach(async () => {
    await stage.pages[1].evaluate(takes());
  });

  test('connects a peer that is made long after the first signal', async () => {
    const [alice, bob] = stage.pages;
    await alice.evaluate(side('bob', true));
    await alice.evaluate(HAS_SAID_ALL);
    await bob.evaluate(`until(() => callers.length > 0)`);
    await bob.evaluate(`(accepts = true, null)`);
    await alice.evaluate(`until(() => simple.connected)`);
    await alice.evaluate(`simple.send('hello')`);
    expect(await bob.evaluate(`until(() => heard.length > 0 && heard)`)).toEqual(['hello']);
    expect(await bob.evaluate(`callers`)).toEqual(['alice']);
    // All of them: on a network that is not this machine a candidate may be the one that matters.
    const said = await alice.evaluate(`said`);
    expect(said).toContain('candidate');
    expect(await bob.evaluate(`given`)).toEqual(said);
    // The end of one side is the other's.
    await alice.evaluate(`simple.destroy()`);
    expect(await bob.evaluate(`until(() => taken[0].destroyed)`)).toBe(true);
  }, 60_000);

  test('ends the peer of a caller that is refused', async () => {
    const [alice, bob] = stage.pages;
    await bob.evaluate(`(accepts = false, null)`);
    await alice.evaluate(side('bob', true));
    expect(await alice.evaluate(`until(() => simple.destroyed)`)).toBe(true);
    expect(await bob.evaluate(`taken.length`)).toBe(0);
  }, 60_000);

  test('takes the second call of one that hung up before the first was taken', async () => {
    const [alice, bob] = stage.pages;
    await alice.evaluate(side('bob', true));
    await bob.evaluate(`until(() => callers.length === 1)`);
    await alice.evaluate(`simple.destroy()`);
    await alice.evaluate(side('bob', true));
    await bob.evaluate(`until(() => callers.length === 2)`);
    await bob.evaluate(`(accepts = true, null)`);
    await alice.evaluate(`until(() => simple.connected)`);
    const peers = `taken.map(({ destroyed, connected }) => (destroyed ? 'destroyed' : connected && 'connected')).sort()`;
    expect(await bob.evaluate(`until(() => !${peers}.includes(false) && ${peers})`)).toEqual([
      'connected',
      'destroyed',
    ]);
  }, 60_000);

  test('tells two calls apart that go both ways between the same two', async () => {
    const [alice, bob] = stage.pages;
    await alice.evaluate(takes());
    await Promise.all([alice.evaluate(side('bob', true)), bob.evaluate(side('alice', true))]);
    for (const page of stage.pages) await page.evaluate(`until(() => callers.length > 0)`);
    for (const page of stage.pages) await page.evaluate(`(accepts = true, null)`);
    for (const page of stage.pages)
      expect(await page.evaluate(`until(() => simple.connected && taken[0].connected)`)).toBe(true);
  }, 60_000);

  test('goes on with the call that is made when the one before ends, though its farewell is still on the way', async () => {
    const [alice, bob] = stage.pages;
    await bob.evaluate(`stopTaking()`);
    await bob.evaluate(takes(slow(300)));
    await bob.evaluate(`(accepts = true, null)`);
    await alice.evaluate(`(async () => {
      const { simplePeerSignaling } = await import('/rtc.js');
      Object.assign(window, { made: [], isPersistent: true });
      const line = ${slow(50)};
      const call = () => {
        made.push((window.simple = new SimplePeer({ initiator: true })));
        simplePeerSignaling(line, 'bob', simple);
        simple.on('error', () => {}).once('close', () => isPersistent && call());
      };
      call();
    })()`);
    await alice.evaluate(`until(() => simple.connected)`);
    // Alice sees its channel close before she hears of it.
    await bob.evaluate(`taken[0].destroy()`);
    await alice.evaluate(`until(() => made.length > 1 && simple.connected)`);
    await alice.evaluate(`simple.send('again')`);
    expect(await bob.evaluate(`until(() => heard.length > 0 && heard)`)).toEqual(['again']);
    expect(await alice.evaluate(`made.map(({ destroyed }) => destroyed)`)).toEqual([true, false]);
    expect(await bob.evaluate(`taken.map(({ destroyed }) => destroyed)`)).toEqual([true, false]);
  }, 60_000);

  describe('with another session of that client', () => {
    beforeEach(async () => {
      await stage.pages[1].evaluate(`(async () => {
        const first = client;
        await connectClient('${stage.gateway.url}', '${tokenOf('bob')}', {});
        Object.assign(window, { other: client, client: first, others: [] });
      })()`);
    });
    afterEach(async () => {
      await stage.pages[1].evaluate(`other.close()`);
    });
    /** It takes calls at once, or refuses them. */
    const otherTakes = (code: string): string => `(async () => {
      const { onSimplePeer } = await import('/rtc.js');
      onSimplePeer(other, () => {
        others.push(${code});
        return others.at(-1);
      });
    })()`;

    test('connects, though the other one refuses while it rings', async () => {
      const [alice, bob] = stage.pages;
      await bob.evaluate(otherTakes('null'));
      await alice.evaluate(side('bob', true));
      await bob.evaluate(`until(() => callers.length === 1 && others.length === 1)`);
      await alice.evaluate(HAS_SAID_ALL);
      await bob.evaluate(`(accepts = true, null)`);
      expect(await alice.evaluate(`until(() => simple.connected)`)).toBe(true);
    }, 60_000);

    test('hears of the next call when the other one has taken this one', async () => {
      const [alice, bob] = stage.pages;
      await bob.evaluate(otherTakes('new SimplePeer()'));
      for (const who of [alice, bob]) {
        await alice.evaluate(side('bob', true));
        await alice.evaluate(`until(() => simple.connected)`);
        await who.evaluate(who === alice ? `simple.destroy()` : `others.at(-1).destroy()`);
        await alice.evaluate(`until(() => simple.destroyed)`);
      }
      await alice.evaluate(side('bob', true));
      expect(await bob.evaluate(`until(() => callers.length === 3 && others.length === 3)`)).toBe(true);
      // Late: of each of the three.
      await bob.evaluate(`(accepts = true, null)`);
      expect(
        await bob.evaluate(`until(() => taken.length === 3 && taken.every(({ destroyed }) => destroyed))`),
      ).toBe(true);
      expect(await alice.evaluate(`until(() => simple.connected)`)).toBe(true);
    }, 60_000);
  });
});

test('simple-peer is destroyed with the error when a signal cannot be sent', async () => {
  const [alice] = stage.pages;
  await alice.evaluate(side('nobody', true));
  expect(await alice.evaluate(`until(() => window.failure)`)).toBe('not_found');
}, 60_000);
