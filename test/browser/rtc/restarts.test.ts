// How long a channel is silent when ICE of a call that works is restarted between Chromium and Firefox: the table in docs/webrtc.md, no test of the suite.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Stage } from './scene.js';

/** Calls of each row; none, and nothing is measured, unless it is given. */
const CALLS = Number(process.env.RESTARTS ?? 0);
/** What is not back by then is late, ms. */
const LATE_MS = 3_000;
/** How long texts go back and forth after the restart, and how long the last one is waited for at the most, ms. */
const TALK_MS = 2_000;
const WAIT_MS = 50_000;

interface Row {
  /** In alice's page, Chromium, or in bob's, Firefox. */
  restart: 'alice' | 'bob' | 'asked';
  /** Firefox sends a byte of its own so often meanwhile, ms. */
  chatterMs?: number;
}

const ROWS: Record<string, Row> = {
  'Chromium restarts': { restart: 'alice' },
  'Firefox restarts': { restart: 'bob' },
  'Firefox restarts, asked by Chromium over signaling': { restart: 'asked' },
  'Firefox restarts, and sends a byte every 10 ms': { restart: 'bob', chatterMs: 10 },
};

/** Sends texts one after the other, each when the one before has come back; the longest wait, ms. */
const TALK = `(async () => {
  const begin = performance.now();
  let longest = 0;
  for (let at = 0; performance.now() - begin < ${String(TALK_MS)}; at++) {
    const sentAt = performance.now();
    const back = await Promise.race([echo(keep.channel, 'text ' + at), new Promise((resolve) => setTimeout(resolve, ${String(WAIT_MS)}))]);
    longest = Math.max(longest, performance.now() - sentAt);
    if (back === undefined) break;
  }
  return longest;
})()`;

(CALLS > 0 ? describe : describe.skip)('a call between Chromium and Firefox', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.open(['Chromium', 'Firefox']);
  }, 60_000);
  afterAll(() => stage.close());

  test.each(Object.entries(ROWS))(
    '%s',
    async (name, { restart, chatterMs }) => {
      const waits: number[] = [];
      for (let call = 0; call < CALLS; call++) {
        const scene = await stage.scene({ name: 'gateway', loopback: null });
        try {
          await scene.alice(
            `keep.channel = await peer.createDataChannel('talk'); await echo(keep.channel, 'first');`,
          );
          if (chatterMs !== undefined)
            await scene.bob(
              `const own = await peer.createDataChannel('own'); keep.timer = setInterval(() => own.send('.'), ${String(chatterMs)});`,
            );
          if (restart === 'bob') await scene.bob('peer.restartIce()');
          if (restart === 'asked')
            await scene.bob(`keep.stop = client.onMessage('restart', () => peer.restartIce()); return null;`);
          const first =
            restart === 'alice'
              ? 'peer.restartIce();'
              : restart === 'asked'
                ? `client.send('bob', 'restart', null);`
                : '';
          waits.push((await scene.alice(`${first} return await ${TALK};`)) as number);
          // It was one.
          expect(await scene.alice('return peer.counts.rounds')).toBeGreaterThan(1);
          await scene.bob('clearInterval(keep.timer); keep.stop?.();');
        } finally {
          await scene.close();
        }
      }
      const late = waits.filter((ms) => ms > LATE_MS).length;
      const longest = (Math.max(...waits) / 1000).toFixed(1);
      process.stdout.write(
        `${name}: late ${String(late)} of ${String(CALLS)}, the longest wait ${longest} s\n`,
      );
      expect(waits).toHaveLength(CALLS);
    },
    CALLS * (WAIT_MS + 10_000) + 30_000,
  );
});
