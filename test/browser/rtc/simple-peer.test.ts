// The real simple-peer signals through a client with two lines, in real Chromium.
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
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
    await page.evaluate(`(window.stopTaking?.(), window.simple?.destroy(), (window.failure = null))`);
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
const TAKES = `(async () => {
  const { onSimplePeer } = await import('/rtc.js');
  Object.assign(window, { callers: [], taken: [], given: [], accepts: null, heard: [] });
  window.stopTaking = onSimplePeer(client, async ({ client }) => {
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
/** The caller has said all that it says before it is answered. */
const HAS_SAID_ALL = `until(() => simple._pc.iceGatheringState === 'complete')`;

describe('onSimplePeer', () => {
  beforeEach(async () => {
    await stage.pages[1].evaluate(TAKES);
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
    await alice.evaluate(TAKES);
    await Promise.all([alice.evaluate(side('bob', true)), bob.evaluate(side('alice', true))]);
    for (const page of stage.pages) await page.evaluate(`until(() => callers.length > 0)`);
    for (const page of stage.pages) await page.evaluate(`(accepts = true, null)`);
    for (const page of stage.pages)
      expect(await page.evaluate(`until(() => simple.connected && taken[0].connected)`)).toBe(true);
  }, 60_000);
});

test('simple-peer is destroyed with the error when a signal cannot be sent', async () => {
  const [alice] = stage.pages;
  await alice.evaluate(side('nobody', true));
  expect(await alice.evaluate(`until(() => window.failure)`)).toBe('not_found');
}, 60_000);
