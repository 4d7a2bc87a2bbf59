// Faults of a gateway's own machine: workers that crash at boot, event loops that stand still, clocks that lie, descriptors that run out.
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pause, waitFor } from '../processes.js';
import type { GatewayNode } from '../gateway-node.js';
import type { Outcome, Row } from '../row.js';
import type { Scene } from '../scene.js';

const HOOK = fileURLToPath(new URL('../gateway-hook.js', import.meta.url));

function hooked(env: Record<string, string>): Record<string, string> {
  return { NODE_OPTIONS: `--import ${HOOK}`, ...env };
}

async function talking(scene: Scene, urls: string[], clients = 40, ratePerSecond = 150): Promise<void> {
  const share = scene.quick ? 0.7 : 1;
  await scene.crowd({
    urls,
    clients: Math.round(clients * share),
    ratePerSecond: Math.round(ratePerSecond * share),
  });
  await scene.load.talk();
  await scene.calm(1500);
}

/** Workers die, and their successors die at boot for a while. */
async function crashLoop(scene: Scene): Promise<Outcome> {
  const redis = await scene.redis();
  const file = join(scene.directory, 'crash');
  const gateway = await scene.gateway({ env: hooked({ REDIS_URL: redis.url, FAULT_CRASH_FILE: file }) });
  await talking(scene, [gateway.url]);
  await scene.fault('workers crash at boot', async () => {
    writeFileSync(file, 'yes');
    for (const { pid } of await gateway.readyWorkers()) process.kill(pid, 'SIGKILL');
    await pause(scene.quick ? 4000 : 20_000);
    const deaths = gateway.output.split('"a worker ended"').length - 1;
    scene.figures.deaths = deaths;
    // Two workers, each with waits that double from 100 ms or so: a loop without back-off would make hundreds.
    scene.expect(deaths < 40, `${deaths} workers were forked for nothing`);
    scene.expect(!gateway.isOver, 'the primary gave up');
    writeFileSync(file, '');
    await waitFor('both workers', async () => (await gateway.readyWorkers()).length === 2, 60_000);
    await scene.healed(60_000);
  });
  await scene.calm(2000);
  return await scene.judge();
}

/** Shorter than the watchdog: nobody is killed, nobody is thought dead for it. */
async function blockLoops(scene: Scene): Promise<Outcome> {
  const redis = await scene.redis();
  const gateway = await scene.gateway({
    env: hooked({
      REDIS_URL: redis.url,
      FAULT_BLOCK_MS: '2000',
      // Clients believe in a connection for two intervals of silence; the worker's own lag must not count against them.
      PING_INTERVAL_MS: '2000',
      PONG_TIMEOUT_MS: '1000',
    }),
  });
  await talking(scene, [gateway.url]);
  const before = (await gateway.workers()).map(({ pid }) => pid).join();
  for (let round = 0; round < (scene.quick ? 2 : 5); round++) {
    await scene.fault('a worker stands still for 2 s', async () => {
      const worker = scene.random.pick(await gateway.readyWorkers());
      process.kill(worker.pid, 'SIGUSR2');
      await pause(2500);
      await scene.healed();
    });
    await scene.calm(1000);
  }
  scene.expect(
    (await gateway.workers()).map(({ pid }) => pid).join() === before,
    'a worker was killed for it',
  );
  const outcome = await scene.judge();
  scene.expect(
    (outcome.report.closes.no_pong ?? 0) === 0,
    'clients were thought dead because the worker stood still',
  );
  return outcome;
}

/** No window: nothing that is shared between machines may depend on their wall clocks. */
function skewedClocks(offsetsMs: readonly number[]) {
  return async (scene: Scene): Promise<Outcome> => {
    const redis = await scene.redis();
    const file = join(scene.directory, 'clock');
    writeFileSync(file, '0');
    const [a, b] = await Promise.all([
      scene.gateway({ env: { REDIS_URL: redis.url } }),
      scene.gateway({ env: hooked({ REDIS_URL: redis.url, FAULT_CLOCK_FILE: file }) }),
    ]);
    await talking(scene, [a.url, b.url]);
    for (const offsetMs of offsetsMs) {
      scene.tell(`the clock of b is ${offsetMs / 1000} s away`);
      writeFileSync(file, String(offsetMs));
      await scene.calm(scene.quick ? 2500 : 8000);
    }
    const outcome = await scene.judge();
    const { closes } = outcome.report;
    scene.expect(Object.keys(closes).length === 0, `connections ended: ${JSON.stringify(closes)}`);
    return outcome;
  };
}

/** Sockets of strangers take all that the limit of descriptors leaves. */
async function exhaustDescriptors(scene: Scene): Promise<Outcome> {
  const redis = await scene.redis();
  const gateway = await scene.gateway({
    wrap: ['prlimit', '--nofile=256:256'],
    env: { REDIS_URL: redis.url },
  });
  await talking(scene, [gateway.url]);
  const pids = (await gateway.workers()).map(({ pid }) => pid).join();
  const strangers = await flood(gateway, 1000);
  scene.tell(`${strangers.length} strangers`);
  await scene.calm(scene.quick ? 3000 : 10_000);
  for (const socket of strangers) socket.destroy();
  await waitFor('the gateway to answer again', async () => (await gateway.readiness()) === 200).catch(
    (error: unknown) => {
      throw new Error(gateway.output.slice(-3000), { cause: error });
    },
  );
  scene.expect((await gateway.workers()).map(({ pid }) => pid).join() === pids, 'a worker died');
  await scene.calm(1000);
  const outcome = await scene.judge();
  const { closes } = outcome.report;
  scene.expect(Object.keys(closes).length === 0, `connections ended: ${JSON.stringify(closes)}`);
  return outcome;
}

/** Connections that say half of a request and then nothing. */
async function flood({ host, port }: GatewayNode, count: number): Promise<Socket[]> {
  const sockets = Array.from({ length: count }, () => {
    const socket = connect({ host, port });
    socket.on('error', () => undefined);
    // Who does not read does not see the end.
    socket.resume();
    socket.write('GET /v1/connect HTTP/1.1\r\nHost: x\r\n');
    return socket;
  });
  await pause(500);
  return sockets;
}

/** Slow requests by the hundred: who means well is served all the same. */
async function slowloris(scene: Scene): Promise<Outcome> {
  const gateway = await scene.gateway({ env: { HEADERS_TIMEOUT_MS: '3000' } });
  await talking(scene, [gateway.url]);
  const strangers = await flood(gateway, 500);
  let closed = 0;
  for (const socket of strangers) socket.once('close', () => closed++);
  await waitFor('the strangers to be sent away', () => closed === strangers.length, 15_000).catch(() => {
    scene.expect(false, `${strangers.length - closed} slow requests still hold a socket`);
  });
  for (const socket of strangers) socket.destroy();
  const outcome = await scene.judge();
  scene.expect(Object.keys(outcome.report.closes).length === 0, 'connections of others ended');
  return outcome;
}

export const rows: readonly Row[] = [
  { id: 'F02', title: 'workers crash at boot, in a loop', quick: false, run: crashLoop },
  { id: 'F04', title: 'event loop of a worker blocked for 2 s', quick: false, run: blockLoops },
  {
    id: 'F36',
    title: 'clock of one node wrong by +10 min and -20 s',
    quick: false,
    run: skewedClocks([600_000, -20_000]),
  },
  {
    id: 'F37',
    title: 'clock jumps back by 10 min while running',
    quick: false,
    run: skewedClocks([0, -600_000, -600_000]),
  },
  { id: 'F40', title: 'file descriptors run out', quick: false, run: exhaustDescriptors },
  { id: 'F43', title: '500 slow requests', quick: false, run: slowloris },
];
