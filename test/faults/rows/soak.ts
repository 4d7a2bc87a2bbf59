// The soak: hours of ordinary life in little, with churn and faults by chance, after which nothing has grown.
import { readdirSync } from 'node:fs';
import { guest } from '../guest.js';
import { pause, waitFor } from '../processes.js';
import type { GatewayNode } from '../gateway-node.js';
import type { RedisNode } from '../redis-topology.js';
import type { Outcome, Row } from '../row.js';
import type { Scene } from '../scene.js';

const CLIENTS = 60;
const RATE_PER_SECOND = 60;
/** Of the clients, each minute. */
const CHURN_SHARE = 0.1;
const SAMPLE_EVERY_MS = 5_000;
/** Between two faults, at least, and by chance up to as much again. */
const FAULT_EVERY_MS = 15_000;
/** Short, so that the end of the soak can see what they leave behind: how long keys stay after everybody has left. */
const SHORT_LIVES = {
  RESUME_WINDOW_MS: '10000',
  LOG_TTL_MS: '10000',
  OFFLINE_TTL_MS: '10000',
  PRESENCE_GRACE_MS: '1000',
};
/** Growth from the second quarter to the last that is noise: garbage that was not collected yet. */
const GROWTH_LIMIT = 0.2;

/** A visitor's inbox and room: their logs' places are known for an hour after the last entry, which no soak of ours sees the end of. */
const LOGS_PER_VISIT = 2;

interface Sample {
  residentMb: number;
  descriptors: number;
  /** Without those that visitors leave behind. */
  keys: number;
}

function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

async function sample(gateway: GatewayNode, redis: RedisNode, visits: number): Promise<Sample> {
  const pids = [gateway.pid, ...(await gateway.workers()).map(({ pid }) => pid)];
  return {
    residentMb: await gateway.residentMb(),
    descriptors: pids.reduce((sum, pid) => sum + descriptorsOf(pid), 0),
    keys: (await redis.client.dbsize()) - LOGS_PER_VISIT * visits,
  };
}

/** Comes, speaks in a room of its own and to itself, and goes. */
async function visit(url: string, number: number): Promise<void> {
  const client = await guest(url, `visitor${number}`);
  try {
    await client.connect();
    const room = client.room(`visit${number}`);
    await room.join();
    await room.publish('m', number);
    await client.send(`visitor${number}`, 'm', number);
    await room.leave();
  } finally {
    await client.close();
  }
}

const FAULTS = {
  'a worker is killed': async (scene: Scene, gateway: GatewayNode) => {
    await gateway.killWorker(scene.random.below(2));
  },
  'Pub/Sub is cut': async (_scene: Scene, _gateway: GatewayNode, redis: RedisNode) => {
    await redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  },
  'some clients stand still': async (scene: Scene) => {
    const pid = scene.random.pick(scene.load.pids);
    process.kill(pid, 'SIGSTOP');
    await pause(4000);
    process.kill(pid, 'SIGCONT');
  },
};

async function timesToLive({ client }: RedisNode): Promise<{ total: number; eternal: number }> {
  const keys = await client.keys('*');
  const ttls = await Promise.all(keys.map((key) => client.pttl(key)));
  return { total: keys.length, eternal: ttls.filter((ttl) => ttl === -1).length };
}

/** Repeats `act` until the soak is over; a round that fails is one of the row's failures. */
async function during(until: number, everyMs: () => number, act: () => Promise<unknown>): Promise<void> {
  for (;;) {
    await pause(Math.max(0, Math.min(everyMs(), until - performance.now())));
    if (performance.now() >= until) return;
    await act();
  }
}

function mean(samples: readonly Sample[], name: keyof Sample): number {
  return samples.reduce((sum, each) => sum + each[name], 0) / Math.max(1, samples.length);
}

function expectFlat(scene: Scene, samples: readonly Sample[]): void {
  const quarter = Math.floor(samples.length / 4);
  const [early, late] = [samples.slice(quarter, 2 * quarter), samples.slice(-quarter)];
  for (const name of ['residentMb', 'descriptors', 'keys'] as const) {
    const [before, after] = [Math.round(mean(early, name)), Math.round(mean(late, name))];
    scene.figures[name] = `${before}>${after}`;
    scene.expect(after <= before * (1 + GROWTH_LIMIT) + 5, `${name} grew from ${before} to ${after}`);
  }
}

async function soak(scene: Scene): Promise<Outcome> {
  const redis = await scene.redis();
  const gateway = await scene.gateway({ env: { REDIS_URL: redis.url, ...SHORT_LIVES } });
  await waitFor('the workers to be known', async () => (await redis.client.dbsize()) > 0);
  const baseline = await redis.client.dbsize();
  await scene.crowd({ urls: [gateway.url], processes: 3, clients: CLIENTS, ratePerSecond: RATE_PER_SECOND });
  await scene.load.talk();
  const until = performance.now() + scene.options.minutes * 60_000;
  const samples: Sample[] = [];
  const names = Object.keys(FAULTS) as (keyof typeof FAULTS)[];
  let [visits, faults, refusedVisits] = [0, 0, 0];
  await Promise.all([
    during(
      until,
      () => FAULT_EVERY_MS * (1 + scene.random.next()),
      async () => {
        const name = scene.random.pick(names);
        faults++;
        await scene.fault(name, async () => {
          await FAULTS[name](scene, gateway, redis);
          await scene.healed();
        });
      },
    ),
    during(
      until,
      () => 60_000 / (CLIENTS * CHURN_SHARE),
      async () => {
        // What a fault does to a visitor is seen by the crowd.
        await visit(gateway.url, visits++).catch(() => refusedVisits++);
      },
    ),
    during(
      until,
      () => SAMPLE_EVERY_MS,
      async () => {
        // While a worker is being replaced there is nothing to compare.
        const one = await sample(gateway, redis, visits).catch(() => null);
        if (one !== null && (await gateway.readyWorkers()).length === 2) samples.push(one);
      },
    ),
  ]);
  Object.assign(scene.figures, { minutes: scene.options.minutes, faults, visits, refusedVisits });
  await scene.healed();
  await scene.calm(3000);
  expectFlat(scene, samples);
  const outcome = await scene.judge();
  const { gapsTold } = outcome.report;
  scene.expect(gapsTold === 0, `${gapsTold} gaps were told although the store lost nothing`);
  await scene.load.kill();
  // What is left when everybody has gone has a time to go, all of it: nothing stays for ever.
  await pause(5 * Number(SHORT_LIVES.RESUME_WINDOW_MS));
  const { total, eternal } = await timesToLive(redis);
  scene.figures.keysLeft = `${baseline}>${total}`;
  scene.expect(eternal === 0, `${eternal} keys stay for ever`);
  return outcome;
}

export const rows: readonly Row[] = [
  { id: 'F52', title: 'soak with churn and faults by chance', quick: false, run: soak },
];
