// The other side of a call goes away, with a word or without: what this side is told, in which order. Real pages, a real gateway.
import { afterAll, beforeAll, describe, test } from '@jest/globals';
import { DEPARTURES, playDeparture } from './departures.js';
import { Stage } from './scene.js';

const PAIRS: [string, string][] =
  process.env.TEST_BROWSER === 'full'
    ? [
        ['Chromium', 'Chromium'],
        ['Firefox', 'Firefox'],
        ['Chromium', 'Firefox'],
        ['Firefox', 'Chromium'],
      ]
    : [['Chromium', 'Chromium']];

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
});
