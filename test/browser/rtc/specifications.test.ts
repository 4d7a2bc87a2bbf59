// Every specification of a peer, over every mechanism, in real browsers. The whole matrix: npm run test:browser.
import { afterAll, beforeAll, describe, test } from '@jest/globals';
import { type ClientChoice, MECHANISMS, Stage } from './scene.js';
import { SPECIFICATIONS } from './specifications.js';
import { isFull, PAIRS } from './pairs.js';

/** In the short form each specification is played over the worst line and over the gateway. */
const SHORT = ['loopback with loss, duplication and reordering', 'gateway, MessagePack'];

describe.each(PAIRS)('%s and %s', (...pair) => {
  // Both ends of a loopback are in one page: a mixed pair has none.
  const mechanisms = MECHANISMS.filter(
    ({ name, loopback }) => (isFull || SHORT.includes(name)) && (loopback === null || pair[0] === pair[1]),
  );
  /** One at a time; those that follow each other with clients of the same choice share it. */
  let stage: Stage | undefined;
  let choice: ClientChoice | undefined;
  afterAll(async () => stage?.close(), 60_000);

  describe.each(mechanisms.map((mechanism) => [mechanism.name, mechanism] as const))(
    'over %s',
    (_name, mechanism) => {
      beforeAll(async () => {
        if (stage !== undefined && mechanism.client === choice) return;
        await stage?.close();
        choice = mechanism.client;
        stage = await Stage.open(pair, {}, { client: choice ?? {} });
      }, 120_000);

      test.each(SPECIFICATIONS.map((specification) => [specification.name, specification] as const))(
        '%s',
        async (_title, { options, play }) => {
          if (stage === undefined) throw new Error('no stage');
          const scene = await stage.scene(mechanism, options);
          try {
            await play(scene);
          } finally {
            await scene.close();
          }
        },
        60_000,
      );
    },
  );
});
