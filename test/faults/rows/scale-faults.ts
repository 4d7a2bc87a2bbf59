// Crowds: clients that are cut off over and over, ten thousand sessions back at once, rolls and drains that nobody loses anything by.
import { readFileSync } from 'node:fs';
import { LEAN_CLIENT } from '../lean-client.js';
import { pause, waitFor } from '../processes.js';
import { percentile } from '../report.js';
import type { GatewayNode } from '../gateway-node.js';
import type { Outcome, Row } from '../row.js';
import type { Scene } from '../scene.js';

/** The SDK's own: who gives up sooner in a crowd only makes more work. */
const AS_BY_DEFAULT = { backoff: { minMs: 500, maxMs: 30_000 }, connectTimeoutMs: 15_000 };

/** As AnyCable's jitter test: so many messages to all. */
const JITTER_MESSAGES = 120;
const JITTER_PER_SECOND = 2;

/** Writes down how clients came back, after the answers are in. */
async function noteReturns(scene: Scene): Promise<{ fresh: number; p99Ms: number }> {
  const { resumed, fresh, replayed, replaysMs, lagMs, cpuMs } = await scene.load.returns();
  const p99Ms = percentile(replaysMs, 0.99) ?? 0;
  Object.assign(scene.figures, {
    resumed,
    fresh,
    replayed,
    replayP50Ms: percentile(replaysMs, 0.5) ?? 0,
    replayP99Ms: p99Ms,
    replayMaxMs: percentile(replaysMs, 1) ?? 0,
    loadLagMs: lagMs,
    loadCpuMs: cpuMs,
  });
  return { fresh, p99Ms };
}

async function concluded(scene: Scene): Promise<Outcome> {
  // Thousands of final markers take their time on a small machine.
  await scene.load.finish(60_000, 60_000);
  return scene.verdict();
}

/** Everybody is in one room, is cut off every 15 s or so, and away for 2 s; a client that is away sends nothing. */
async function jitter(scene: Scene): Promise<Outcome> {
  const redis = await scene.redis();
  const gateway = await scene.gateway({ env: { REDIS_URL: redis.url } });
  const clients = Math.round((scene.quick ? 200 : 2000) * scene.options.scale);
  await scene.crowd({
    urls: [gateway.url],
    processes: 4,
    clients,
    roomSize: clients,
    roomShare: 1,
    ratePerSecond: JITTER_PER_SECOND,
    ...AS_BY_DEFAULT,
    // So that it is back soon after the 2 s.
    backoff: { minMs: 500, maxMs: 500 },
    cuts: { everyMs: 15_000, awayMs: 2000 },
  });
  scene.tell(`${clients} clients are in the room`);
  await scene.load.talk();
  await scene.calm((JITTER_MESSAGES / JITTER_PER_SECOND) * 1000);
  await scene.load.settle(30_000);
  scene.figures.clients = clients;
  scene.figures.allBackMs = await scene.healed(30_000);
  // What was missed is on its way.
  await pause(3000);
  const { fresh } = await noteReturns(scene);
  const outcome = await concluded(scene);
  const { received, attempted, lostAccepted, gapsTold } = outcome.report;
  // The final markers are attempted too, one for the room and one from each client to another.
  const messages = attempted - 1 - clients;
  const owed = (messages + 1) * clients + clients;
  scene.figures.messages = messages;
  scene.figures.deliveredPercent = Math.round((received / owed) * 10_000) / 100;
  scene.expect(received === owed, `${received} of ${owed} were delivered`);
  scene.expect(lostAccepted === 0 && gapsTold === 0, `${gapsTold} gaps were told`);
  scene.expect(fresh === 0, `${fresh} sessions were lost`);
  return outcome;
}

/** Seconds of workers in which the event loop stood still for longer than a second. */
async function lateSeconds(gateway: GatewayNode): Promise<number> {
  const metric = await gateway.metrics();
  return metric('event_loop_lag_seconds_count') - metric('event_loop_lag_seconds_bucket', { le: '1' });
}

/** User and system time of a process so far, ms; 0 where it is gone. */
function cpuMsOf(pid: number): number {
  try {
    // proc(5): what follows the name in parentheses, in ticks of 10 ms.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return 0;
  }
}

/** CPU time of each process of a gateway, ms. */
async function cpuOf(gateway: GatewayNode): Promise<Map<number, number>> {
  const pids = [gateway.pid, ...(await gateway.workers()).map(({ pid }) => pid)];
  return new Map(pids.map((pid) => [pid, cpuMsOf(pid)]));
}

/**
 * Ten thousand clients of the SDK need more of two cores than the gateway, and measure how long their own loops were busy. So those whose time
 * counts are lean, in one process, and the row says how long that one stood still.
 */
const LEAN = { sdk: LEAN_CLIENT, processes: 1 };
const FULL = { processes: 5, ownAddresses: true };

async function resumeStorm(scene: Scene, kind: typeof LEAN | typeof FULL): Promise<Outcome> {
  const redis = await scene.redis();
  const gateway = await scene.gateway({ env: { REDIS_URL: redis.url } });
  const clients = Math.round((scene.quick ? 500 : 10_000) * scene.options.scale);
  await scene.crowd({
    ...kind,
    urls: [gateway.url],
    clients,
    roomSize: 10,
    roomShare: 0.5,
    ratePerSecond: 200,
    ...AS_BY_DEFAULT,
  });
  scene.tell(`${clients} sessions`);
  await scene.load.talk();
  await scene.calm(3000);
  const lateBefore = await lateSeconds(gateway);
  const cpuBefore = await cpuOf(gateway);
  await scene.fault('killing a worker', async () => {
    const [victim] = await gateway.readyWorkers();
    if (victim === undefined) throw new Error('no worker');
    process.kill(victim.pid, 'SIGKILL');
    await waitFor('clients to notice', async () => {
      const { connected } = await scene.load.counts();
      return connected < clients;
    });
    scene.figures.allBackMs = await scene.healed(120_000);
  });
  const cpu = [...(await cpuOf(gateway))].map(([pid, ms]) => ms - (cpuBefore.get(pid) ?? 0));
  scene.figures.gatewayCpuMs = cpu.reduce((sum, ms) => sum + ms, 0);
  await scene.calm(3000);
  scene.figures.clients = clients;
  scene.figures.secondsOfLagAbove1s = (await lateSeconds(gateway)) - lateBefore;
  await scene.load.settle(60_000);
  const { fresh, p99Ms } = await noteReturns(scene);
  const outcome = await concluded(scene);
  scene.expect(fresh === 0, `${fresh} sessions were lost`);
  if (kind === LEAN) scene.expect(p99Ms < 2000, `the replay took ${p99Ms} ms at p99`);
  scene.expect(scene.figures.secondsOfLagAbove1s === 0, 'an event loop stood still for more than a second');
  return outcome;
}

function expectDrained(scene: Scene, { report }: Outcome): void {
  const { closes, gapsTold, recoveryMaxMs, acceptedShare } = report;
  scene.figures.closes = JSON.stringify(closes);
  scene.figures.slowestBackMs = recoveryMaxMs ?? 0;
  const foreign = Object.keys(closes).filter((code) => code !== 'restart');
  scene.expect(foreign.length === 0 && (closes.restart ?? 0) > 0, `codes are ${JSON.stringify(closes)}`);
  scene.expect((recoveryMaxMs ?? 0) < 10_000, `a client was away for ${String(recoveryMaxMs)} ms`);
  scene.expect(gapsTold === 0, `${gapsTold} gaps were told`);
  scene.expect(acceptedShare === 1, 'calls failed');
}

async function talking(scene: Scene, url: string): Promise<void> {
  await scene.crowd({
    urls: [url],
    processes: 4,
    clients: Math.round((scene.quick ? 200 : 1000) * scene.options.scale),
    ratePerSecond: scene.quick ? 200 : 300,
    ...AS_BY_DEFAULT,
  });
  await scene.load.talk();
  await scene.calm(3000);
}

/** No window: a rolling restart is no fault. */
async function rollingRestart(scene: Scene): Promise<Outcome> {
  const redis = await scene.redis();
  const gateway = await scene.gateway({ env: { REDIS_URL: redis.url } });
  await talking(scene, gateway.url);
  const before = (await gateway.readyWorkers()).map(({ pid }) => pid);
  const startedAt = performance.now();
  gateway.signal('SIGHUP');
  await waitFor(
    'all workers replaced',
    async () => {
      const now = await gateway.workers();
      const isNew = now.every(({ pid, state }) => state === 'ready' && !before.includes(pid));
      return now.length === before.length && isNew;
    },
    60_000,
  );
  scene.figures.rollMs = Math.round(performance.now() - startedAt);
  await scene.healed(30_000);
  await scene.calm(2000);
  await scene.load.settle(30_000);
  await noteReturns(scene);
  const outcome = await concluded(scene);
  expectDrained(scene, outcome);
  return outcome;
}

async function nodeDrain(scene: Scene): Promise<Outcome> {
  const redis = await scene.redis();
  const env = { REDIS_URL: redis.url };
  const [a, b] = await Promise.all([scene.gateway({ env }), scene.gateway({ env })]);
  const front = await scene.proxy([a, b]);
  await talking(scene, `ws://127.0.0.1:${front.port}`);
  front.retarget([b]);
  const startedAt = performance.now();
  a.signal('SIGTERM');
  const code = await a.exited;
  scene.figures.drainMs = Math.round(performance.now() - startedAt);
  scene.expect(code === 0, `the drained node ended with ${String(code)}`);
  await scene.healed(30_000);
  await scene.calm(2000);
  await scene.load.settle(30_000);
  await noteReturns(scene);
  const outcome = await concluded(scene);
  expectDrained(scene, outcome);
  return outcome;
}

export const rows: readonly Row[] = [
  {
    id: 'J01',
    title: 'jitter: 2,000 clients cut off every 15 s, 120 messages to all',
    quick: false,
    run: jitter,
  },
  {
    id: 'S01',
    title: 'resume storm: 10,000 sessions, a worker dies',
    quick: false,
    run: (scene) => resumeStorm(scene, LEAN),
  },
  {
    id: 'S01K',
    title: 'the same with clients of the SDK, whose own work is most of it',
    quick: false,
    run: (scene) => resumeStorm(scene, FULL),
  },
  { id: 'R01', title: 'rolling restart (SIGHUP), 1,000 clients', quick: false, run: rollingRestart },
  { id: 'R02', title: 'drain of a node (SIGTERM), 1,000 clients', quick: false, run: nodeDrain },
];
