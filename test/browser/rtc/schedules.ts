// Seeded random schedules: both sides open channels, add, remove and replace streams and restart ICE, all overlapping.
import type { NegotiationCounts } from '../../../src/client/rtc/rtc.js';
import type { End, EndOptions, Mechanism, Stage } from './scene.js';

interface Played {
  opened: string[];
  sent: { audio: number; video: number };
  failed: string[];
  operations: string[];
}

interface Result {
  heard: string[];
  received: { audio: number; video: number };
  signalingState: string;
  state: string;
  counts: NegotiationCounts;
  errors: string[];
}

export interface Outcome {
  /** What went wrong; empty where all is as it should be. */
  faults: string[];
  /** Nothing was wrong but what Firefox does wrong without us: see firefox-early-video.test.ts. */
  losesEarlyVideo: boolean;
  operations: number;
  rounds: number;
  collisions: number;
  ms: number;
}

/** Longest time that a schedule may take, ms: beyond it is a hang. */
const HANG_MS = 60_000;
/** Longest time for a text there and back over the connection that a schedule left, ms: beyond it that is deaf. */
const LAST_ECHO_MS = 15_000;

/** @param seed the same plays the same operations at the same times, as far as browsers keep time */
export async function playSchedule(
  stage: Stage,
  mechanism: Mechanism,
  seed: number,
  options: EndOptions = {},
): Promise<Outcome> {
  const scene = await stage.scene(mechanism, options, seed);
  const begin = performance.now();
  const outcome: Outcome = {
    faults: [],
    losesEarlyVideo: false,
    operations: 0,
    rounds: 0,
    collisions: 0,
    ms: 0,
  };
  let timer: NodeJS.Timeout | undefined;
  try {
    const hang = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error('hang')), HANG_MS);
    });
    await Promise.race([play(), hang]);
    if (outcome.faults.length > 0) await describeEnds();
  } catch (error) {
    outcome.faults.push(error instanceof Error ? error.message : String(error));
    await describeEnds();
  } finally {
    clearTimeout(timer);
    outcome.ms = performance.now() - begin;
    await scene.close();
  }
  return outcome;

  async function describeEnds(): Promise<void> {
    const look = `const stats = [...(await peer.peer.getStats()).values()].filter(({ type }) => type === 'transport' || type === 'candidate-pair');
      return { pending: [...end.pending], ...peer.counts, state: peer.state, signaling: peer.peer.signalingState, ice: peer.peer.iceConnectionState,
      connection: peer.peer.connectionState, channels: [...end.channels.keys()], errors: end.errors, closes: end.closes, states: end.states,
      sctp: peer.peer.sctp?.state, dtls: peer.peer.sctp?.transport.state, pairs: stats.map((one) => [one.state ?? one.dtlsState, one.dtlsRole, one.nominated]),
      descriptions: [peer.peer.localDescription, peer.peer.remoteDescription].map((one) => [one?.type, ...(one?.sdp.match(/m=\\w+ \\d+|setup:\\w+|a=(send|recv|inact)\\w+|a=mid.*|ice-ufrag:.*/g) ?? [])].join(' ')),
      directions: peer.peer.getTransceivers().map((one) => [one.direction, one.currentDirection]) }`;
    for (const end of [scene.alice, scene.bob])
      outcome.faults.push(await end(look).then(JSON.stringify, String));
  }

  async function play(): Promise<void> {
    const count = 3 + (seed % 6);
    const spreadMs = [0, 50, 200][seed % 3] ?? 0;
    const side = (own: number): string =>
      `return await playSide(key, ${String(seed * 2 + own)}, ${String(count)}, ${String(spreadMs)})`;
    const played = (await Promise.all([scene.alice(side(0)), scene.bob(side(1))])) as [Played, Played];
    const settle = `return await until(async () => {
        await peer.agreed();
        const result = await sideResult(key);
        const expected = keep.expected;
        return ['heard', 'received'].every((name) => JSON.stringify(result[name]) === JSON.stringify(expected[name])) && result;
      }, 15_000).catch(async () => ({ ...(await sideResult(key)), isWrong: true }));`;
    const expected = [played[1], played[0]].map(({ opened, sent }) => ({
      heard: [...opened].sort(),
      received: sent,
    }));
    const ends = [scene.alice, scene.bob] as const;
    const results = (await Promise.all(
      ends.map((end, index) => end(`keep.expected = ${JSON.stringify(expected[index])}; ${settle}`)),
    )) as (Result & { isWrong?: boolean })[];
    results.forEach((result, index) => {
      const name = index === 0 ? 'alice' : 'bob';
      const own = played[index === 0 ? 0 : 1];
      outcome.faults.push(...own.failed.map((fault) => `${name}: ${fault}`));
      outcome.faults.push(...result.errors.map((fault) => `${name}: ${fault}`));
      if (result.isWrong === true)
        outcome.faults.push(
          `${name} has ${JSON.stringify(result)}, wanted ${JSON.stringify(expected[index])}`,
        );
      if (result.signalingState !== 'stable') outcome.faults.push(`${name} ends in ${result.signalingState}`);
      if (result.counts.failures > 0)
        outcome.faults.push(`${name} counts ${String(result.counts.failures)} failures`);
      outcome.operations += own.operations.length;
    });
    const [first] = results;
    outcome.rounds = first?.counts.rounds ?? 0;
    outcome.collisions = Math.max(...results.map(({ counts }) => counts.collisions));
    if (results.some(({ counts }) => counts.rounds > 0)) await playLast(ends);
  }

  /** What was agreed on is connected and carries texts and media, any of which can be lost without a word; also after ICE was restarted there. */
  async function playLast(ends: readonly [End, End]): Promise<void> {
    const limit = `{ timeoutMs: ${String(LAST_ECHO_MS)} }`;
    const look = `await until(() => peer.state === 'connected', ${String(LAST_ECHO_MS)});
      keep.last ??= await peer.createDataChannel('last', {}, ${limit});
      let heard; echo(keep.last, 'last').then((text) => (heard = text));
      await until(() => heard === 'last', ${String(LAST_ECHO_MS)});
      return [await receivedButLost(peer), remoteKinds(peer).filter((kind) => kind === 'video').length]`;
    /** Who lost a video has at least been sent it. */
    const lookAtBoth = async (): Promise<boolean> => {
      const seen = (await Promise.all(ends.map((end) => end(look)))) as [number, number][];
      const isLossy = seen.some(([lost]) => lost > 0);
      if (isLossy)
        for (const [index, [, videos]] of seen.entries())
          if ((await ends[1 - index]?.('return await sentVideos(peer)')) !== videos)
            outcome.faults.push(
              `${index === 0 ? 'bob' : 'alice'} does not send every video that was agreed on`,
            );
      return isLossy;
    };
    const restart = `const ufrag = () => /ice-ufrag:(\\S+)/.exec(peer.peer.localDescription.sdp)[1];
      const before = ufrag(); peer.restartIce(); await until(() => ufrag() !== before); await peer.agreed(${limit})`;
    const wasLossy = await lookAtBoth();
    await Promise.all(ends.filter((_end, index) => seed % 3 !== index).map((end) => end(restart)));
    outcome.losesEarlyVideo = (await lookAtBoth()) || wasLossy;
  }
}
