// Memory that runs short in a worker: newcomers are sent away, and the worker is replaced before V8 ends it.
import { fileURLToPath } from 'node:url';
import { guest } from '../guest.js';
import { pause, waitFor } from '../processes.js';
import type { GatewayNode } from '../gateway-node.js';
import type { Outcome, Row } from '../row.js';
import type { Scene } from '../scene.js';

const HOOK = fileURLToPath(new URL('../gateway-hook.js', import.meta.url));
/** Small heaps, so that little is a lot. */
const HEAP_MB = 128;
const LEAK_MB = 4;

/** A leak in one of the workers, so much a second, until `enough`. */
async function leak(
  gateway: GatewayNode,
  pid: number,
  everyMs: number,
  enough: () => Promise<boolean>,
): Promise<void> {
  for (let leaked = 0; leaked < 2 * HEAP_MB && !(await enough()); leaked += LEAK_MB) {
    // It may be gone already: replaced.
    if ((await gateway.workers()).every((worker) => worker.pid !== pid)) break;
    process.kill(pid, 'SIGUSR2');
    await pause(everyMs);
  }
  await waitFor('the leak to be noticed', enough);
}

/** Newcomers come until one of them met the worker that is short of memory. */
async function knock(gateway: GatewayNode): Promise<boolean> {
  const clients = await Promise.all([1, 2, 3, 4].map((i) => guest(gateway.url, `newcomer${i}`)));
  await Promise.all(clients.map((client) => client.connect()));
  await Promise.all(clients.map((client) => client.close()));
  return (await gateway.metric('handshakes_total', { outcome: 'overloaded' })) > 0;
}

async function pressure(scene: Scene): Promise<Outcome> {
  const redis = await scene.redis();
  const gateway = await scene.gateway({
    env: {
      REDIS_URL: redis.url,
      WORKER_MAX_OLD_SPACE_MB: String(HEAP_MB),
      NODE_OPTIONS: `--import ${HOOK}`,
      FAULT_LEAK_MB: String(LEAK_MB),
    },
  });
  await scene.crowd({ urls: [gateway.url], clients: 40, ratePerSecond: 100 });
  await scene.load.talk();
  await scene.calm(1500);
  const victim = scene.random.pick(await gateway.readyWorkers());
  // No window: a worker that is replaced moves its clients as a deploy does.
  scene.tell('a worker leaks');
  await leak(gateway, victim.pid, 500, () => knock(gateway));
  const { connected, clients } = await scene.load.counts();
  scene.expect(
    connected === clients,
    `${clients - connected} clients lost their connection while newcomers were shed`,
  );
  scene.tell('newcomers are sent away; it leaks on');
  await leak(gateway, victim.pid, 2500, async () => (await gateway.metric('workers_recycled_total')) > 0);
  await waitFor('another worker in its place', async () => {
    const now = await gateway.workers();
    return now.length === 2 && now.every(({ pid, state }) => state === 'ready' && pid !== victim.pid);
  });
  await scene.healed();
  scene.figures.recycled = await gateway.metric('workers_recycled_total');
  scene.figures.sentAway = await gateway.metric('handshakes_total', { outcome: 'overloaded' });
  const ended = gateway.output.split('"a worker ended"').length - 1;
  scene.expect(ended === 0, `${ended} workers ended by themselves`);
  scene.expect(!gateway.isOver, 'the primary ended');
  scene.expect(await newcomersAreWelcome(gateway), 'newcomers are still sent away');
  await scene.calm(2000);
  const outcome = await scene.judge();
  const { closes, gapsTold } = outcome.report;
  const foreign = Object.keys(closes).filter((code) => code !== 'restart');
  scene.expect(foreign.length === 0, `connections ended with ${JSON.stringify(closes)}`);
  scene.expect((closes.restart ?? 0) > 0, 'nobody was moved');
  scene.expect(gapsTold === 0, `${gapsTold} gaps were told`);
  return outcome;
}

async function newcomersAreWelcome(gateway: GatewayNode): Promise<boolean> {
  const before = await gateway.metric('handshakes_total', { outcome: 'overloaded' });
  await knock(gateway);
  return (await gateway.metric('handshakes_total', { outcome: 'overloaded' })) === before;
}

export const rows: readonly Row[] = [
  { id: 'F41', title: 'a worker leaks until its heap is full', quick: false, run: pressure },
];
