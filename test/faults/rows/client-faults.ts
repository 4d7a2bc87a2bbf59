// Faults of clients and of their way to the gateway: stopped, slow, vanished, half closed, moved to another address.
import { pause, waitFor } from '../processes.js';
import type { FaultProxy } from '../fault-proxy.js';
import type { GatewayNode } from '../gateway-node.js';
import type { LoadOptions } from '../load.js';
import type { Outcome, Row } from '../row.js';
import type { Scene } from '../scene.js';

interface Place {
  gateway: GatewayNode;
  /** Every second client comes through it. */
  proxy: FaultProxy;
}

async function populated(
  scene: Scene,
  env: Record<string, string> = {},
  load: Partial<LoadOptions> = {},
): Promise<Place> {
  const redis = await scene.redis();
  const gateway = await scene.gateway({ env: { REDIS_URL: redis.url, ...env } });
  const proxy = await scene.proxy([gateway]);
  await scene.crowd({
    urls: [`ws://127.0.0.1:${proxy.port}`, gateway.url],
    clients: scene.quick ? 30 : 60,
    ratePerSecond: scene.quick ? 100 : 200,
    ...load,
  });
  await scene.load.talk();
  await scene.calm(1500);
  return { gateway, proxy };
}

async function ended(scene: Scene, gateway: GatewayNode): Promise<Outcome> {
  await scene.healed();
  await scene.calm(2500);
  scene.expect(!gateway.isOver, 'the gateway ended');
  const { clients } = await scene.load.counts();
  const open = await waitFor(
    'as many connections as clients',
    async () => ((await gateway.metric('connections')) === clients ? clients : null),
    10_000,
  ).catch(async () => await gateway.metric('connections'));
  scene.expect(open === clients, `${open} connections are open for ${clients} clients`);
  return await scene.judge();
}

/** What is missed here fits into the logs, so that no gap is allowed. */
const ROOMY_LOGS = { LOG_LIMIT_BYTES: '67108864', LOG_LIMIT_ENTRIES: '10000' };

/** One of the processes of clients stands still, with its sockets open. */
async function stopClients(scene: Scene): Promise<Outcome> {
  const { gateway } = await populated(scene, ROOMY_LOGS, {
    processes: 3,
    payloadBytes: 20_000,
    ratePerSecond: 150,
  });
  const before = await gateway.residentMb();
  await scene.fault('stopping a third of the clients', async () => {
    const victim = scene.load.pids[scene.random.below(3)] ?? 0;
    process.kill(victim, 'SIGSTOP');
    await pause(scene.quick ? 6000 : 15_000);
    process.kill(victim, 'SIGCONT');
    await scene.healed();
  });
  // What waits for the stopped ones is bounded by their outboxes, whatever they miss.
  scene.figures.residentGrewMb = (await gateway.residentMb()) - before;
  return await ended(scene, gateway);
}

async function slowReaders(scene: Scene): Promise<Outcome> {
  const { gateway, proxy } = await populated(scene, {}, { payloadBytes: 4000 });
  await scene.fault('500 bytes/s for half of the clients', async () => {
    proxy.set({ mode: 'rate', bytesPerSecond: 500 }, 'down');
    await pause(scene.quick ? 4000 : 15_000);
    proxy.set({ mode: 'pass' });
    await scene.healed();
  });
  return await ended(scene, gateway);
}

const IMPATIENT = { PING_INTERVAL_MS: '1500', PONG_TIMEOUT_MS: '1500' };

async function vanish(scene: Scene): Promise<Outcome> {
  const { gateway, proxy } = await populated(scene, IMPATIENT);
  await scene.fault('half of the clients vanish without a FIN', async () => {
    const startedAt = performance.now();
    proxy.set({ mode: 'blackhole' });
    await waitFor('the gateway to see that u0 is gone', async () =>
      (await gateway.sessionsOf('u0')).every(({ connected }) => !connected),
    );
    const detectionMs = Math.round(performance.now() - startedAt);
    scene.figures.detectionMs = detectionMs;
    // An interval, a time-out, the time to read why it ends, and what the wheel of timers rounds up.
    scene.expect(detectionMs < 6000, `a dead peer was noticed after ${detectionMs} ms only`);
    proxy.reset();
    proxy.set({ mode: 'pass' });
    await scene.healed();
  });
  return await ended(scene, gateway);
}

async function halfClose(scene: Scene): Promise<Outcome> {
  const { gateway, proxy } = await populated(scene);
  await scene.fault('a FIN from half of the clients', async () => {
    proxy.halfClose('up');
    await pause(1000);
    await scene.healed();
  });
  return await ended(scene, gateway);
}

/** The old connection stays, as the gateway sees it, while the client is back on a new one. */
async function rebind(scene: Scene): Promise<Outcome> {
  const { gateway, proxy } = await populated(scene, { PING_INTERVAL_MS: '1500', PONG_TIMEOUT_MS: '10000' });
  for (let round = 0; round < (scene.quick ? 1 : 3); round++) {
    await scene.fault('the address of half of the clients changes', async () => {
      const frozen = proxy.freeze();
      scene.tell(`${frozen} connections are frozen`);
      await waitFor(
        'the clients to notice',
        async () => {
          const { clients, connected } = await scene.load.counts();
          return connected < clients;
        },
        10_000,
      );
      await scene.healed();
      await pause(1000);
    });
    await scene.calm(1500);
  }
  return await ended(scene, gateway);
}

/** No window: a network that cuts and packs bytes as it likes is an ordinary one. */
async function slices(scene: Scene): Promise<Outcome> {
  const { gateway, proxy } = await populated(scene, {}, { payloadBytes: 500 });
  proxy.set({ mode: 'slice', bytes: 7, pauseMs: 0 });
  await scene.calm(scene.quick ? 2000 : 6000);
  proxy.set({ mode: 'latency', ms: 100, jitterMs: 100 });
  await scene.calm(scene.quick ? 2000 : 6000);
  proxy.set({ mode: 'pass' });
  const outcome = await ended(scene, gateway);
  scene.expect(Object.keys(outcome.report.closes).length === 0, 'connections ended');
  return outcome;
}

/** Hard cuts over and over, for everybody who comes through the proxy. */
async function jitter(scene: Scene): Promise<Outcome> {
  const { gateway, proxy } = await populated(scene);
  await scene.fault('cutting connections by chance', async () => {
    for (let round = 0; round < (scene.quick ? 20 : 100); round++) {
      proxy.reset(0.15);
      await pause(150);
    }
    await scene.healed();
  });
  return await ended(scene, gateway);
}

export const rows: readonly Row[] = [
  { id: 'F28', title: 'clients stopped (SIGSTOP), then continued', quick: false, run: stopClients },
  { id: 'F29', title: 'readers at 500 bytes/s', quick: false, run: slowReaders },
  { id: 'F30', title: 'peers vanish without a FIN', quick: true, run: vanish },
  { id: 'F31', title: 'clients half-close', quick: false, run: halfClose },
  { id: 'F32', title: 'clients move to another address', quick: true, run: rebind },
  { id: 'F32J', title: 'connections cut by chance, again and again', quick: false, run: jitter },
  { id: 'F32S', title: 'bytes sliced and delayed on the way', quick: false, run: slices },
];
