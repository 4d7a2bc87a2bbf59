// Faults of workers and of the primary: killed, hanging, crashing at boot.
import { pause, waitFor } from '../processes.js';
import type { Outcome, Row } from '../row.js';
import type { Scene } from '../scene.js';

/** The SDK's own, ms: an attempt that comes to nothing costs three times what may pass here until a client is back, and cannot hide. */
const CONNECT_TIMEOUT_MS = 15_000;

/** One node of two workers, and a crowd that talks. */
async function populated(scene: Scene, store: 'redis' | 'embedded', clients = 200, ratePerSecond = 500) {
  const env = store === 'redis' ? { REDIS_URL: (await scene.redis()).url } : undefined;
  const gateway = await scene.gateway(env === undefined ? {} : { env });
  const share = scene.quick ? 0.3 : 1;
  await scene.crowd({
    urls: [gateway.url],
    clients: Math.round(clients * share),
    ratePerSecond: Math.round(ratePerSecond * share),
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  });
  await scene.load.talk();
  await scene.calm(1000);
  return gateway;
}

async function killWorkers(scene: Scene, store: 'redis' | 'embedded'): Promise<Outcome> {
  const gateway = await populated(scene, store);
  const rounds = scene.quick ? 2 : 6;
  for (let round = 0; round < rounds; round++) {
    await scene.fault(`killing worker, round ${round}`, async () => {
      await gateway.killWorker(scene.random.below(2));
      await scene.healed();
    });
    await scene.calm(scene.quick ? 2000 : 4000);
  }
  const outcome = await scene.judge();
  const { recoveryP99Ms, gapsTold } = outcome.report;
  scene.expect(recoveryP99Ms !== null && recoveryP99Ms < 5000, `recovery p99 is ${String(recoveryP99Ms)} ms`);
  scene.expect(gapsTold === 0, `${gapsTold} gaps were told although no store lost anything`);
  scene.expect(!gateway.isOver, 'the primary ended');
  return outcome;
}

async function stopWorker(scene: Scene): Promise<Outcome> {
  const gateway = await populated(scene, 'redis', 100, 200);
  const [victim] = await gateway.readyWorkers();
  if (victim === undefined) throw new Error('no worker');
  await scene.fault('stopping a worker', async () => {
    const startedAt = performance.now();
    process.kill(victim.pid, 'SIGSTOP');
    await waitFor('the watchdog', async () =>
      (await gateway.workers()).every(({ pid }) => pid !== victim.pid),
    );
    const detectionMs = Math.round(performance.now() - startedAt);
    scene.figures.detectionMs = detectionMs;
    scene.expect(detectionMs < 8000, `a hung worker was killed after ${detectionMs} ms only`);
    await scene.healed();
  });
  await scene.calm(1000);
  return await scene.judge();
}

async function killPrimary(scene: Scene): Promise<Outcome> {
  const gateway = await populated(scene, 'redis', 100, 200);
  await scene.fault('killing the primary', async () => {
    await gateway.kill();
    await pause(500);
    await gateway.start();
    scene.figures.backMs = await scene.healed();
  });
  await scene.calm(1000);
  return await scene.judge();
}

async function stopPrimary(scene: Scene): Promise<Outcome> {
  const gateway = await populated(scene, 'redis', 100, 200);
  const ms = scene.quick ? 3000 : 10_000;
  // No window: what is connected goes on as if nothing had happened.
  scene.tell('stopping the primary');
  gateway.signal('SIGSTOP');
  await scene.calm(ms);
  const { clients, connected } = await scene.load.counts();
  scene.expect(connected === clients, `${clients - connected} clients lost their connection`);
  gateway.signal('SIGCONT');
  await scene.calm(2000);
  const outcome = await scene.judge();
  scene.expect(outcome.report.recoveryP99Ms === null, 'connections ended while only the primary stood still');
  return outcome;
}

export const rows: readonly Row[] = [
  {
    id: 'F01',
    title: 'worker kill -9 under load (Redis)',
    quick: true,
    run: (scene) => killWorkers(scene, 'redis'),
  },
  {
    id: 'F01E',
    title: 'worker kill -9 under load (embedded store)',
    quick: false,
    run: (scene) => killWorkers(scene, 'embedded'),
  },
  { id: 'F03', title: 'worker stopped: the watchdog replaces it', quick: false, run: stopWorker },
  { id: 'F05', title: 'primary kill -9, restarted by its supervisor', quick: true, run: killPrimary },
  { id: 'F06', title: 'primary stopped for a while', quick: false, run: stopPrimary },
];
