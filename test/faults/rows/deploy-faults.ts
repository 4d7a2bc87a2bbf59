// What an operator does on purpose, and what a crowd does afterwards: deploys, rolling restarts, everybody back at once.
import { pause, waitFor } from '../processes.js';
import type { Outcome, Row } from '../row.js';
import type { Scene } from '../scene.js';

async function twoNodes(scene: Scene) {
  const redis = await scene.redis();
  const env = { REDIS_URL: redis.url };
  const [a, b] = await Promise.all([scene.gateway({ env }), scene.gateway({ env })]);
  const front = await scene.proxy([a, b]);
  return { redis, env, a, b, front, url: `ws://127.0.0.1:${front.port}` };
}

function expectOnlyDrainCodes(scene: Scene, { closes }: Outcome['report']): void {
  const foreign = Object.keys(closes).filter((code) => code !== 'restart');
  scene.expect(
    foreign.length === 0,
    `connections ended with ${JSON.stringify(closes)}, not only with restart`,
  );
  scene.expect((closes.restart ?? 0) > 0, 'no connection was told of the restart');
}

/** No window: a deploy is no fault, every call is accepted. */
async function deploy(scene: Scene): Promise<Outcome> {
  const { a, b, front, env, url } = await twoNodes(scene);
  const share = scene.quick ? 0.4 : 1;
  await scene.crowd({
    urls: [url],
    clients: Math.round(150 * share),
    ratePerSecond: Math.round(300 * share),
  });
  await scene.load.talk();
  await scene.calm(1500);
  const next = await scene.gateway({ env });
  front.retarget([b, next]);
  scene.tell('SIGTERM, and another one a second later');
  const startedAt = performance.now();
  a.signal('SIGTERM');
  await pause(1000);
  if (!a.isOver) a.signal('SIGTERM');
  const code = await a.exited;
  scene.figures.drainMs = Math.round(performance.now() - startedAt);
  scene.expect(code === 0, `the old gateway ended with ${String(code)}`);
  await scene.healed(15_000);
  await scene.calm(1500);
  const outcome = await scene.judge();
  expectOnlyDrainCodes(scene, outcome.report);
  const { recoveryP99Ms, gapsTold } = outcome.report;
  scene.expect((recoveryP99Ms ?? 0) < 10_000, `clients were away for ${String(recoveryP99Ms)} ms`);
  scene.expect(gapsTold === 0, `${gapsTold} gaps were told`);
  return outcome;
}

function roll(store: 'redis' | 'embedded') {
  return async (scene: Scene): Promise<Outcome> => {
    const env = store === 'redis' ? { REDIS_URL: (await scene.redis()).url } : {};
    const gateway = await scene.gateway({ env });
    const share = scene.quick ? 0.4 : 1;
    await scene.crowd({
      urls: [gateway.url],
      clients: Math.round(150 * share),
      ratePerSecond: Math.round(300 * share),
    });
    await scene.load.talk();
    await scene.calm(1500);
    const before = (await gateway.readyWorkers()).map(({ pid }) => pid);
    gateway.signal('SIGHUP');
    await waitFor('all workers replaced', async () => {
      const now = await gateway.workers();
      return (
        now.length === before.length &&
        now.every(({ pid, state }) => state === 'ready' && !before.includes(pid))
      );
    });
    await scene.healed(15_000);
    await scene.calm(1500);
    const outcome = await scene.judge();
    expectOnlyDrainCodes(scene, outcome.report);
    const { recoveryP99Ms } = outcome.report;
    scene.expect((recoveryP99Ms ?? 0) < 10_000, `clients were away for ${String(recoveryP99Ms)} ms`);
    return outcome;
  };
}

/** Everybody at once: both workers die, as with a bug that a message triggers. */
async function storm(scene: Scene): Promise<Outcome> {
  const redis = await scene.redis();
  const gateway = await scene.gateway({ env: { REDIS_URL: redis.url } });
  const clients = Math.round((scene.quick ? 300 : 2000) * scene.options.scale);
  await scene.crowd({ urls: [gateway.url], clients, ratePerSecond: 200, processes: 3, roomSize: 10 });
  await scene.load.talk();
  await scene.calm(1500);
  await scene.fault(`killing both workers of ${clients} clients`, async () => {
    for (const { pid } of await gateway.readyWorkers()) process.kill(pid, 'SIGKILL');
    await waitFor('two workers', async () => (await gateway.readyWorkers()).length === 2);
    scene.figures.allBackMs = await scene.healed(60_000);
  });
  await scene.calm(3000);
  return await scene.judge();
}

export const rows: readonly Row[] = [
  { id: 'F19', title: 'reconnect storm after all workers died', quick: false, run: storm },
  { id: 'F20', title: 'deploy: SIGTERM twice, another node takes over', quick: true, run: deploy },
  { id: 'F20H', title: 'rolling restart by SIGHUP (Redis)', quick: false, run: roll('redis') },
  { id: 'F20E', title: 'rolling restart by SIGHUP (embedded store)', quick: true, run: roll('embedded') },
];
