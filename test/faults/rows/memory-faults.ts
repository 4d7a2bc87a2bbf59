// Memory that runs short in the workers: newcomers are sent away, workers are replaced before V8 ends them.
import type { Client } from '../../../src/client/index.js';
import { guest } from '../guest.js';
import { pause, waitFor } from '../processes.js';
import type { Outcome, Row } from '../row.js';
import type { Scene } from '../scene.js';

/** Small heaps, so that little is a lot. */
const HEAP_MB = '64';
/** As many as ROOMS_PER_SESSION_LIMIT allows: a worker keeps something for each, on its heap. */
const ROOMS_OF_EACH = 100;
const GREEDY_LIMIT = 3000;

/** Sessions that take memory, one after the other, until `enough`. */
async function fill(url: string, greedy: Client[], enough: () => Promise<boolean>): Promise<void> {
  while (greedy.length < GREEDY_LIMIT && !(await enough())) {
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const name = `greedy${greedy.length}`;
        const client = await guest(url, name, { connectTimeoutMs: 5000 });
        greedy.push(client);
        // Who is sent away comes again by itself; nobody waits for it here.
        await Promise.race([client.connect().catch(() => undefined), pause(1000)]);
        if (client.state !== 'connected') return;
        const joins = Array.from({ length: ROOMS_OF_EACH }, (_, i) =>
          client
            .room(`${name}-${i}-${'x'.repeat(80)}`)
            .join()
            .catch(() => undefined),
        );
        await Promise.race([Promise.all(joins), pause(2000)]);
      }),
    );
  }
}

async function pressure(scene: Scene): Promise<Outcome> {
  const redis = await scene.redis();
  const gateway = await scene.gateway({
    env: { REDIS_URL: redis.url, WORKER_MAX_OLD_SPACE_MB: HEAP_MB, WATCHDOG_TIMEOUT_MS: '15000' },
  });
  await scene.crowd({ urls: [gateway.url], clients: 40, ratePerSecond: 100 });
  await scene.load.talk();
  await scene.calm(1500);
  const greedy: Client[] = [];
  scene.atEnd(() => Promise.race([Promise.all(greedy.map((client) => client.close())), pause(2000)]));
  await scene.fault('sessions with many rooms', async () => {
    const recycled = async (): Promise<boolean> => (await gateway.metric('workers_recycled_total')) > 0;
    await fill(gateway.url, greedy, recycled);
    scene.figures.greedySessions = greedy.length;
    await waitFor('a worker to be replaced', recycled, 20_000).catch((error: unknown) =>
      scene.failures.push(String(error)),
    );
    // The need goes away; what else was to be replaced is.
    await Promise.race([Promise.all(greedy.splice(0).map((client) => client.close())), pause(5000)]);
    await scene.healed(60_000);
    await pause(3000);
  });
  scene.figures.recycled = await gateway.metric('workers_recycled_total');
  scene.figures.shed = await gateway.metric('handshakes_total', { outcome: 'overloaded' });
  const ended = gateway.output.split('"a worker ended"').length - 1;
  scene.figures.workersThatEnded = ended;
  scene.expect(ended === 0, `${ended} workers ended by themselves`);
  scene.expect(!gateway.isOver, 'the primary ended');
  scene.expect(Number(scene.figures.shed) > 0, 'nobody was sent away');
  await scene.calm(2500);
  const outcome = await scene.judge();
  const foreign = Object.keys(outcome.report.closes).filter(
    (code) => code !== 'restart' && code !== 'overloaded',
  );
  scene.expect(foreign.length === 0, `connections ended with ${JSON.stringify(outcome.report.closes)}`);
  return outcome;
}

export const rows: readonly Row[] = [
  { id: 'F41', title: 'heaps of the workers run full', quick: false, run: pressure },
];
