// Resources of a machine that run out around the gateway: disk and readers of its log, CPU.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { CpuGroup } from '../cgroup.js';
import { guest } from '../guest.js';
import { pause, run, waitFor } from '../processes.js';
import type { GatewayNode, GatewayOptions } from '../gateway-node.js';
import type { Outcome, Row } from '../row.js';
import type { Scene } from '../scene.js';

async function talking(scene: Scene, options: GatewayOptions): Promise<GatewayNode> {
  const redis = await scene.redis();
  const gateway = await scene.gateway({ ...options, env: { REDIS_URL: redis.url, ...options.env } });
  await scene.crowd({ urls: [gateway.url], clients: 40, ratePerSecond: 150 });
  await scene.load.talk();
  await scene.calm(1000);
  return gateway;
}

/** Makes the gateway write: two lines for each that comes and goes, and more than a pipe holds (64 KiB). */
async function visits(scene: Scene, gateway: GatewayNode): Promise<void> {
  const agent = 'a'.repeat(100);
  for (let round = 0; round < (scene.quick ? 8 : 20); round++) {
    await Promise.all(
      Array.from({ length: 25 }, async (_, i) => {
        const client = await guest(gateway.url, `guest${i}`, { agent });
        await client.connect();
        await client.close();
      }),
    );
  }
  await scene.calm(500);
}

async function unharmed(
  scene: Scene,
  gateway: GatewayNode,
  pids: string,
  mustDrop: boolean,
): Promise<Outcome> {
  scene.expect(!gateway.isOver, 'the gateway ended');
  const now = (await gateway.workers()).map(({ pid }) => pid).join();
  scene.expect(now === pids, 'a worker ended');
  scene.figures.residentMb = await gateway.residentMb();
  const dropped = await gateway.metric('log_lines_dropped_total');
  scene.figures.logLinesDropped = dropped;
  if (mustDrop) scene.expect(dropped > 0, 'no log line was dropped');
  const outcome = await scene.judge();
  scene.expect(outcome.report.acceptedShare === 1, 'calls failed');
  scene.expect(Object.keys(outcome.report.closes).length === 0, 'connections ended');
  return outcome;
}

async function pidsOf(gateway: GatewayNode): Promise<string> {
  return (await gateway.workers()).map(({ pid }) => pid).join();
}

/** No window: whatever becomes of the log, the messages go on. */
async function deviceFull(scene: Scene): Promise<Outcome> {
  const gateway = await talking(scene, { logTo: '/dev/full', env: { LOG_LEVEL: 'debug' } });
  const pids = await pidsOf(gateway);
  await visits(scene, gateway);
  return await unharmed(scene, gateway, pids, true);
}

async function diskFull(scene: Scene): Promise<Outcome> {
  const directory = join(scene.directory, 'disk');
  mkdirSync(directory);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', directory], {
    encoding: 'utf8',
  });
  if (mounted.status !== 0) throw new Error(`a small disk cannot be mounted: ${mounted.stderr}`);
  scene.atEnd(() => spawnSync('umount', ['-l', directory]));
  const gateway = await talking(scene, { logTo: join(directory, 'log'), env: { LOG_LEVEL: 'debug' } });
  const pids = await pidsOf(gateway);
  await visits(scene, gateway);
  return await unharmed(scene, gateway, pids, true);
}

async function readerStops(scene: Scene): Promise<Outcome> {
  const pipe = join(scene.directory, 'log');
  const made = spawnSync('mkfifo', [pipe], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`no pipe can be made: ${made.stderr}`);
  const reader = await run(['sh', '-c', 'echo begun; exec cat "$0" >/dev/null', pipe], /begun/);
  scene.atEnd(() => reader.kill());
  const gateway = await talking(scene, { logTo: pipe, env: { LOG_LEVEL: 'debug' } });
  const pids = await pidsOf(gateway);
  reader.signal('SIGSTOP');
  await visits(scene, gateway);
  return await unharmed(scene, gateway, pids, false);
}

/** A fifth of a core for the whole gateway: it is slow, and blames nobody for it. */
async function starve(scene: Scene): Promise<Outcome> {
  const group = new CpuGroup();
  scene.atEnd(async () => {
    await waitFor('the group to be empty', () => {
      group.close();
      return true;
    });
  });
  const gateway = await talking(scene, {
    wrap: group.wrap,
    env: { PING_INTERVAL_MS: '3000', PONG_TIMEOUT_MS: '3000' },
  });
  const pids = await pidsOf(gateway);
  await scene.fault('a fifth of a core', async () => {
    group.limit(0.2);
    await pause(scene.quick ? 8000 : 20_000);
    const { clients, connected } = await scene.load.counts();
    scene.figures.connectedWhileStarved = `${connected}/${clients}`;
    group.limit(null);
    await scene.healed();
    await pause(2000);
  });
  await scene.calm(2000);
  scene.expect((await pidsOf(gateway)) === pids, 'a worker was killed for it');
  const noPong = await gateway.metric('closes_total', { code: 'no_pong' });
  scene.figures.blamedClients = noPong;
  scene.expect(noPong === 0, `${noPong} clients were blamed for the gateway's own lag`);
  return await scene.judge();
}

export const rows: readonly Row[] = [
  { id: 'F38', title: 'disk of the log is full (/dev/full)', quick: false, run: deviceFull },
  { id: 'F38T', title: 'disk of the log is full (tmpfs of 16 KiB)', quick: false, run: diskFull },
  { id: 'F39', title: 'reader of stdout stands still', quick: false, run: readerStops },
  { id: 'F42', title: 'a fifth of a core for the whole gateway', quick: false, run: starve },
];
