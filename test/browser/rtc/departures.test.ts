// The other side of a call goes away, with a word or without: what this side is told, in which order. Real pages, a real gateway.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DEPARTURES, playDeparture } from './departures.js';
import { Stage } from './scene.js';
import { PAIRS } from './pairs.js';

describe.each(PAIRS)('%s hears of %s', (...pair) => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.open(pair);
  }, 120_000);
  afterAll(() => stage.close(), 60_000);

  test.each(DEPARTURES.filter(({ isPossible }) => isPossible(pair)).map((one) => [one.name, one] as const))(
    '%s',
    (_name, departure) => playDeparture(stage, departure),
    120_000,
  );

  test('a client that is closed says so for its peers', async () => {
    const [alice, bob] = stage.pages;
    await alice.evaluate(`window.closes = []; void 0`);
    await alice.evaluate(
      `client.onPeer((peer) => peer.on('close', (reason) => closes.push(reason.code ?? reason))).then(() => null)`,
    );
    const reason = await bob.evaluate(`(async () => {
      const peer = await client.peer('alice');
      const closed = new Promise((resolve) => peer.on('close', resolve));
      await peer.connect();
      await client.close();
      return (await closed).code;
    })()`);
    expect(reason).toBe('closed');
    // Silence would be noticed by the browser after some seconds, and be no end yet.
    expect(await alice.evaluate(`until(() => closes.length > 0).then(() => closes)`)).toEqual(['remote']);
    await stage.renew('bob');
  }, 60_000);
});
