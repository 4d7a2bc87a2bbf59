// Calls in one trip, in real browsers: each side's offer is the other's answer, and whatever goes wrong around it, one call is one connection.
import { describe, expect, test } from '@jest/globals';
import { CROSSED, crossedAtCaller, useStandingPages } from './standing-pages.js';

const isFull = process.env.TEST_BROWSER === 'full';
const PAIRS: [string, string][] = [
  ['Chromium', 'Chromium'],
  ['Chromium', 'Firefox'],
];
if (isFull) PAIRS.push(['Firefox', 'Firefox'], ['Firefox', 'Chromium']);

/** Which end controls ICE, of whom calls whom: one Chromium with a standing offer of Firefox finds that out by checks that conflict. */
const CALLERS_ROLES: Record<string, string> = {
  'Chromium, Chromium': 'controlling',
  'Firefox, Chromium': 'controlling',
  'Firefox, Firefox': 'controlled',
};

describe.each(PAIRS)('a standing offer, %s and %s', (...names) => {
  const { pair } = useStandingPages(names);
  const taken = crossedAtCaller(names);

  test.each([
    ['leader', 0],
    ['follower', 1],
  ] as const)(
    'is the answer to the call of the %s; media, restarts and the next call follow',
    async (_who, leader) => {
      const { alice, bob, caller, callee } = await pair(leader);
      const before = await callee.evaluate('stood');
      await caller.evaluate(`dial('${alice}', '${bob}')`);
      expect(await caller.evaluate(`talk('${alice}')`)).toBe(`hello from ${alice}`);
      const all = { alice: `clients['${alice}'].peer`, bob: `clients['${bob}'].called[0]` };
      expect(await caller.evaluate(`ways(${all.alice})`)).toEqual(taken);
      expect(await callee.evaluate(`ways(${all.bob})`)).toEqual(CROSSED);
      expect(await caller.evaluate(`${all.alice}.counts.rounds`)).toBe(1);
      const role = await caller.evaluate(`roleOf(${all.alice})`);
      expect(CALLERS_ROLES[names.join(', ')] ?? role).toBe(role);

      await Promise.all([
        caller.evaluate(`${all.alice}.addStream(video()).then(() => null)`),
        callee.evaluate(`audio().then((stream) => ${all.bob}.addStream(stream)).then(() => null)`),
        callee.evaluate(`${all.bob}.createDataChannel('back').then(() => null)`),
      ]);
      await caller.evaluate(`received(${all.alice}, 'audio')`);
      await callee.evaluate(`received(${all.bob}, 'video')`);
      const fragment = `/ice-ufrag:(.*)/.exec(${all.bob}.peer.currentLocalDescription.sdp)[1]`;
      const old = String(await callee.evaluate(fragment));
      await callee.evaluate(`${all.bob}.restartIce()`);
      await callee.evaluate(`until(() => ${fragment} !== ${JSON.stringify(old)})`);
      await callee.evaluate(`${all.bob}.agreed().then(() => null)`);
      expect(await callee.evaluate(`clients['${bob}'].errors`)).toEqual([]);

      // Another one stands by then.
      await callee.evaluate(`until(() => stood > ${String(before)})`);
      await caller.evaluate(`${all.alice}.close()`);
      await callee.evaluate(`until(() => ${all.bob}.state === 'closed')`);
      await caller.evaluate(`dial('${alice}', '${bob}')`);
      expect(await caller.evaluate(`talk('${alice}')`)).toBe(`hello from ${alice}`);
      expect(await caller.evaluate(`ways(clients['${alice}'].peer)`)).toEqual(taken);
    },
    60_000,
  );
});

describe.each(isFull ? PAIRS : PAIRS.slice(0, 1))('what is left standing, %s and %s', (...names) => {
  const { open, namesOf, pair } = useStandingPages(names);
  const taken = crossedAtCaller(names);

  test('is honoured by a holder that lost its connection before it heard of the call', async () => {
    const { alice, bob, caller, callee } = await pair(0);
    await callee.evaluate('isHolding = true');
    await caller.evaluate(`dial('${alice}', '${bob}')`);
    await caller.evaluate(`until(() => clients['${alice}'].peer.counts.rounds === 1)`);
    await callee.evaluate('drop()');
    expect(await caller.evaluate(`talk('${alice}')`)).toBe(`hello from ${alice}`);
    expect(await callee.evaluate(`ways(clients['${bob}'].called[0])`)).toEqual(CROSSED);
  }, 60_000);

  test('is had by one of several callers, and the others are answered as ever', async () => {
    const { alice, bob, caller, callee } = await pair(0);
    const carol = `c-${alice}`;
    const third = await open(0, carol, false);
    // An option of the call: this client has no standing offer itself.
    await Promise.all([
      caller.evaluate(`dial('${alice}', '${bob}')`),
      third.evaluate(`dial('${carol}', '${bob}', { standing: true })`),
    ]);
    expect(
      await Promise.all([caller.evaluate(`talk('${alice}')`), third.evaluate(`talk('${carol}')`)]),
    ).toEqual([`hello from ${alice}`, `hello from ${carol}`]);
    expect(await callee.evaluate(`clients['${bob}'].called.length`)).toBe(2);
  }, 60_000);

  test('is not for a call under a name, whose handler has a configuration of its own', async () => {
    const { alice, bob, caller, callee } = await pair(0);
    await callee.evaluate(
      `clients['${bob}'].client.onPeer((peer) => { window.named = peer; }, { iceTransportPolicy: 'relay' }, { name: 'chat' }).then(() => null)`,
    );
    await caller.evaluate(
      `clients['${alice}'].client.peer('${bob}', {}, { name: 'chat', standing: true }).then((peer) => { peer.connect().catch(() => {}); })`,
    );
    await callee.evaluate('until(() => window.named)');
    expect(await callee.evaluate('named.peer.getConfiguration().iceTransportPolicy')).toBe('relay');
    // It stands yet, for a call without one.
    await caller.evaluate(`dial('${alice}', '${bob}')`);
    expect(await caller.evaluate(`talk('${alice}')`)).toBe(`hello from ${alice}`);
    expect(await callee.evaluate(`ways(clients['${bob}'].called[0])`)).toEqual(CROSSED);
  }, 60_000);

  test.each([
    ['with it', 'leader', true],
    ['with it', 'follower', true],
    ['without one', 'leader', false],
  ])(
    'does not disturb a stream that is added as soon as it was called: %s, the %s calls',
    async (_how, who, isStanding) => {
      const [alice, bob] = namesOf(who === 'leader' ? 0 : 1);
      const [caller, callee] = [await open(0, alice), await open(1, bob, isStanding)];
      await caller.evaluate(`dial('${alice}', '${bob}')`);
      await caller.evaluate(`clients['${alice}'].peer.addStream(video()).then(() => null)`);
      await callee.evaluate(
        `until(() => clients['${bob}'].called[0]).then((peer) => received(peer, 'video'))`,
      );
      expect(await caller.evaluate(`talk('${alice}')`)).toBe(`hello from ${alice}`);
    },
    60_000,
  );

  test('goes from and to clients that speak MessagePack', async () => {
    const [alice, bob] = namesOf(0);
    const [caller, callee] = [await open(0, alice, true, 'msgpack'), await open(1, bob, true, 'msgpack')];
    await caller.evaluate(`dial('${alice}', '${bob}')`);
    expect(await caller.evaluate(`talk('${alice}')`)).toBe(`hello from ${alice}`);
    expect(await caller.evaluate(`ways(clients['${alice}'].peer)`)).toEqual(taken);
    expect(await callee.evaluate(`ways(clients['${bob}'].called[0])`)).toEqual(CROSSED);
  }, 60_000);

  test('that was lost on its way is said again', async () => {
    const { alice, bob, caller, callee } = await pair(1);
    await caller.evaluate('loses = true');
    await caller.evaluate(`dial('${alice}', '${bob}')`);
    expect(await caller.evaluate(`talk('${alice}')`)).toBe(`hello from ${alice}`);
    expect(await caller.evaluate(`[loses, ...ways(clients['${alice}'].peer)]`)).toEqual([false, ...taken]);
    expect(await callee.evaluate(`clients['${bob}'].called.length`)).toBe(1);
  }, 60_000);

  test('is over for a caller that hung up before it came, and the next call has the next one', async () => {
    const { alice, bob, caller, callee } = await pair(0);
    await caller.evaluate('isHolding = true');
    await caller.evaluate(`dial('${alice}', '${bob}')`);
    await callee.evaluate(`until(() => clients['${bob}'].called.length === 1)`);
    await caller.evaluate(`clients['${alice}'].peer.close()`);
    await caller.evaluate('letGo()');
    await callee.evaluate(`until(() => clients['${bob}'].called[0].state === 'closed')`);
    await callee.evaluate(`until(() => stood > 1)`);
    await caller.evaluate(`dial('${alice}', '${bob}')`);
    expect(await caller.evaluate(`talk('${alice}')`)).toBe(`hello from ${alice}`);
    expect(await caller.evaluate(`ways(clients['${alice}'].peer)`)).toEqual(taken);
  }, 60_000);

  test('whose connection the browser has closed is nobody: its taker is told so at once', async () => {
    const { alice, bob, caller, callee } = await pair(0);
    await callee.evaluate(
      `connections.filter((one) => one.signalingState === 'have-local-offer').forEach((one) => one.close())`,
    );
    await caller.evaluate(`dial('${alice}', '${bob}')`);
    await caller.evaluate(`until(() => clients['${alice}'].peer.state === 'closed')`);
    expect(await callee.evaluate(`clients['${bob}'].called.length`)).toBe(0);
    await callee.evaluate(`until(() => stood > 1)`);
    await caller.evaluate(`dial('${alice}', '${bob}')`);
    expect(await caller.evaluate(`talk('${alice}')`)).toBe(`hello from ${alice}`);
  }, 60_000);

  test('is none while nobody takes calls, and one again when somebody does', async () => {
    const { alice, bob, caller, callee } = await pair(1);
    await callee.evaluate(`clients['${bob}'].stop()`);
    await callee.evaluate(`until(() => stood === 2)`);
    await callee.evaluate(`clients['${bob}'].start()`);
    await callee.evaluate(`until(() => stood === 3)`);
    await caller.evaluate(`dial('${alice}', '${bob}')`);
    expect(await caller.evaluate(`talk('${alice}')`)).toBe(`hello from ${alice}`);
    expect(await caller.evaluate(`ways(clients['${alice}'].peer)`)).toEqual(taken);
  }, 60_000);
});
