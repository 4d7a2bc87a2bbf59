// Ways that are no WebSocket, behind a balancer that buffers and forgets: event streams, and polls that every machine may get.
import { startBalancer } from '../balancer.js';
import type { Outcome, Row } from '../row.js';
import type { Scene } from '../scene.js';

/**
 * Of the median, ms: what a proxy holds back comes with the next comment that keeps the stream alive, 7.5 s later on average. How
 * late the last ones are says more about the machine, and is only printed.
 */
const DELAY_LIMIT_MS = 5_000;

async function bufferingProxy(scene: Scene): Promise<Outcome> {
  const gateway = await scene.gateway();
  const balancer = await startBalancer(scene, 'nginx', [gateway], null);
  // Few words: what fills a buffer comes through any.
  await scene.crowd({ urls: [balancer.url], clients: 40, ratePerSecond: 20, transports: ['sse'] });
  await scene.load.talk();
  await scene.calm(scene.quick ? 5_000 : 20_000);
  const delaysMs = await scene.load.delaysMs();
  const outcome = await scene.judge();
  noteDelays(scene, delaysMs);
  return outcome;
}

async function wanderingPolls(scene: Scene): Promise<Outcome> {
  const redis = await scene.redis();
  const env = { REDIS_URL: redis.url };
  const gateways = [await scene.gateway({ env }), await scene.gateway({ env })];
  const balancer = await startBalancer(scene, 'nginx', gateways, null);
  await scene.crowd({ urls: [balancer.url], clients: 40, ratePerSecond: 40, transports: ['poll'] });
  await scene.load.talk();
  await scene.calm(scene.quick ? 5_000 : 20_000);
  const delaysMs = await scene.load.delaysMs();
  const outcome = await scene.judge();
  noteDelays(scene, delaysMs);
  // Otherwise nothing was tried.
  const ways = [...balancer.polledAt().values()];
  const wandered = ways.filter((gateways) => gateways.size > 1).length;
  scene.figures.wandered = wandered;
  scene.expect(wandered >= 40, `only ${wandered} of ${ways.length} connections polled at both nodes`);
  const cuts = Object.values(outcome.report.closes).reduce((sum, count) => sum + count, 0);
  scene.expect(cuts === 0, `${cuts} connections ended`);
  return outcome;
}

function noteDelays(scene: Scene, delaysMs: readonly number[]): void {
  const sorted = delaysMs.toSorted((a, b) => a - b);
  const p50 = sorted[Math.floor(sorted.length / 2)] ?? Infinity;
  scene.figures.delayP50Ms = p50;
  scene.figures.delayP99Ms = sorted[Math.floor(sorted.length * 0.99)] ?? Infinity;
  scene.expect(p50 < DELAY_LIMIT_MS, `messages came ${p50} ms late (median)`);
}

export const rows: readonly Row[] = [
  { id: 'F45', title: 'event streams through nginx that buffers', quick: true, run: bufferingProxy },
  { id: 'F46', title: 'polls that wander between two nodes', quick: true, run: wanderingPolls },
];
