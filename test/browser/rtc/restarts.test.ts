// ICE of a call that works is restarted between Chromium and Firefox: what is sent comes through, and how long it takes.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Mechanism, type Scene, Stage } from './scene.js';

const isFull = process.env.TEST_BROWSER === 'full';
/** Calls of each row that are measured, for docs/webrtc.md; none unless it is given. */
const CALLS = Number(process.env.RESTARTS ?? 0);
/** How long the signals of those are on their way, ms. */
const DELAY_MS = Number(process.env.RESTARTS_DELAY_MS ?? 0);
/** What is not back by then is late, ms. */
const LATE_MS = 3_000;
/** How long texts go back and forth after the restart, and how long the last one is waited for at the most, ms. */
const TALK_MS = 2_000;
const WAIT_MS = 10_000;

/** Alice's page is Chromium, bob's Firefox. */
const ROWS = [
  ['Chromium', 'alice'],
  ['Firefox', 'bob'],
] as const;

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

/** Whether a way was found since the last restart: Firefox reports no pair before. Its states hide that behind the pair of before. */
const HAS_PAIR = `async () => {
  const transport = [...(await peer.peer.getStats()).values()].find(({ type }) => type === 'transport');
  return transport.selectedCandidatePairId !== undefined;
}`;

(isFull ? describe : describe.skip)('a call between Chromium and Firefox', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.open(['Chromium', 'Firefox']);
  }, 60_000);
  afterAll(() => stage.close());

  const call = async (way: Partial<Mechanism>, seed = 1): Promise<Scene> => {
    const scene = await stage.scene({ name: 'gateway', loopback: null, ...way }, {}, seed);
    await scene.alice(
      `keep.channel = await peer.createDataChannel('talk'); await echo(keep.channel, 'first');`,
    );
    return scene;
  };

  /** Far from the gateway and near each other, checks overtake the signals that tell where they come from. */
  const WAYS: Partial<Mechanism>[] = [
    { name: 'take long', delayMs: [100, 100] },
    { name: 'take a random time', delayMs: [0, 200] },
    // Chromium's are there after the answer, and before those of Firefox, unless it waits for these.
    { name: 'have candidates behind the answer', delayMs: [25, 25], candidatesMs: 100 },
  ];

  test.each(ROWS.flatMap(([browser, side]) => WAYS.map((way) => ({ ...way, browser, side, way }))))(
    'goes on after ICE restarts by $browser, when signals $name',
    async ({ side, way }) => {
      for (let seed = 1; seed <= 2; seed++) {
        const scene = await call(way, seed);
        try {
          for (let round = 2; round <= 3; round++) {
            await scene[side]('peer.restartIce()');
            for (const end of [scene.alice, scene.bob]) await end(`${rounds(round)}; return null;`);
            expect(await scene.alice(`return await ${again}`)).toBe('again');
            // By its new addresses: of those of before Firefox takes nothing in.
            expect(await scene.bob(`return await until(${HAS_PAIR})`)).toBe(true);
          }
          for (const end of [scene.alice, scene.bob]) expect(await end('return end.errors')).toEqual([]);
        } finally {
          await scene.close();
        }
      }
    },
    180_000,
  );

  const again = `Promise.race([echo(keep.channel, 'again'), new Promise((resolve) => setTimeout(resolve, 15_000, 'nothing'))])`;
  const rounds = (count: number): string => `await until(() => peer.counts.rounds === ${String(count)})`;

  test('goes on after Firefox restarts ICE while it is being checked after a restart by Chromium', async () => {
    for (let seed = 1; seed <= 4; seed++) {
      const scene = await call({ delayMs: [50, 80] }, seed);
      try {
        await Promise.all([
          scene.alice(
            `peer.restartIce(); ${rounds(2)}; await until(() => peer.peer.remoteDescription.sdp.includes('a=candidate')); keep.channel.send('now'); ${rounds(3)}`,
          ),
          scene.bob(
            `const [channel] = [...end.channels.values()]; await new Promise((resolve) => channel.addEventListener('message', ({ data }) => data === 'now' && resolve())); peer.restartIce(); ${rounds(3)}`,
          ),
        ]);
        expect(await scene.alice(`return await ${again}`)).toBe('again');
        // It never comes back from a failure.
        expect(await scene.bob('return peer.peer.sctp.transport.state')).toBe('connected');
      } finally {
        await scene.close();
      }
    }
  }, 180_000);

  test('goes on after Chromium restarts ICE as it answers a restart by Firefox', async () => {
    for (let seed = 1; seed <= 4; seed++) {
      const scene = await call({ delayMs: [50, 80] }, seed);
      try {
        await Promise.all([
          scene.alice(`const { peer: connection } = peer;
            const set = connection.setLocalDescription.bind(connection);
            connection.setLocalDescription = (...args) => {
              connection.setLocalDescription = set;
              const done = set(...args);
              peer.restartIce();
              return done;
            };
            ${rounds(2)}; await peer.agreed()`),
          scene.bob(`peer.restartIce(); ${rounds(2)}; await peer.agreed()`),
        ]);
        expect(await scene.alice(`return await ${again}`)).toBe('again');
        // The other side's is as good: it is not dropped for one more.
        expect(await scene.alice('return peer.counts.rounds')).toBe(2);
        expect(await scene.bob('return peer.peer.sctp.transport.state')).toBe('connected');
      } finally {
        await scene.close();
      }
    }
  }, 180_000);

  (CALLS > 0 ? test : test.skip).each(ROWS)(
    'restarted by %s, measured',
    async (browser, side) => {
      const waits: number[] = [];
      for (let at = 0; at < CALLS; at++) {
        const scene = await call(DELAY_MS > 0 ? { delayMs: [DELAY_MS / 2, DELAY_MS / 2] } : {});
        try {
          await scene[side]('peer.restartIce()');
          waits.push((await scene.alice(`return await ${TALK};`)) as number);
          // It was one.
          expect(await scene.alice('return peer.counts.rounds')).toBeGreaterThan(1);
        } finally {
          await scene.close();
        }
      }
      const late = waits.filter((ms) => ms > LATE_MS).length;
      const [median = 0, longest = 0] = [waits.length >> 1, waits.length - 1].map(
        (at) => waits.toSorted((a, b) => a - b)[at],
      );
      process.stdout.write(
        `restarted by ${browser}: late ${String(late)} of ${String(CALLS)}, the longest wait of a call ${median.toFixed(0)} ms in the median, ${longest.toFixed(0)} at most\n`,
      );
      expect(waits).toHaveLength(CALLS);
    },
    CALLS * (WAIT_MS + 10_000) + 30_000,
  );
});
