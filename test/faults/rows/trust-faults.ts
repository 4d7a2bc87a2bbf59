// Redis that seems well and is not: a listener that hears nothing, a policy that throws accepted messages away, two masters.
import { codeOf } from '../observe.js';
import { guest } from '../guest.js';
import { makeMachines } from '../namespaces.js';
import { pause, waitFor } from '../processes.js';
import type { GatewayNode } from '../gateway-node.js';
import type { RedisNode } from '../redis-topology.js';
import type { Outcome, Row } from '../row.js';
import type { Scene } from '../scene.js';

async function crowd(scene: Scene, urls: string[], ratePerSecond = 200): Promise<void> {
  const share = scene.quick ? 0.5 : 1;
  await scene.crowd({
    urls,
    clients: Math.round(60 * share),
    ratePerSecond: Math.round(ratePerSecond * share),
  });
  await scene.load.talk();
  await scene.calm(1500);
}

async function listenersOf({ client }: RedisNode): Promise<number> {
  const lines = String(await client.call('CLIENT', 'LIST', 'TYPE', 'pubsub'));
  return lines.split('\n').filter((line) => line.includes('addr=')).length;
}

/** A name that leads elsewhere for a moment: the listening connections end up at a server to which nobody publishes. */
async function zombieListeners(scene: Scene): Promise<Outcome> {
  const redis = await scene.redis();
  const detached = await scene.redis();
  const proxy = await scene.proxy([redis]);
  const gateway = await scene.gateway({ env: { REDIS_URL: `redis://127.0.0.1:${proxy.port}` } });
  await crowd(scene, [gateway.url]);
  const listeners = await listenersOf(redis);
  // No window: what is sent meanwhile is accepted, and arrives when the gateway has noticed.
  for (let round = 0; round < (scene.quick ? 1 : 3); round++) {
    const startedAt = performance.now();
    proxy.retarget([detached]);
    await redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await waitFor(
      'all listeners at the wrong server',
      async () => (await listenersOf(detached)) === listeners,
    );
    scene.tell(`${listeners} listeners hear nothing`);
    proxy.retarget([redis]);
    await waitFor('all listeners back', async () => (await listenersOf(redis)) === listeners);
    scene.figures.deafMs = Math.max(
      Number(scene.figures.deafMs ?? 0),
      Math.round(performance.now() - startedAt),
    );
    await scene.calm(2000);
  }
  const probes = await gateway.metric('store_errors_total', { kind: 'probe' });
  scene.figures.probesUnheard = probes;
  scene.expect(probes >= 1, 'no probe noticed it');
  scene.expect(Number(scene.figures.deafMs) < 6000, `listeners were deaf for ${scene.figures.deafMs} ms`);
  const outcome = await scene.judge();
  scene.expect(
    outcome.report.gapsTold === 0,
    `${outcome.report.gapsTold} gaps were told of what the store has`,
  );
  return outcome;
}

/**
 * What evicting does to logs, key by key, so that a seed repeats it: their state or their entries
 * go on their own. Sessions and rooms are records, not logs: a Redis that evicts them is what the refusal is for.
 */
async function eviction(scene: Scene): Promise<Outcome> {
  const redis = await scene.redis();
  const env = { REDIS_URL: redis.url };
  await redis.client.config('SET', 'maxmemory-policy', 'allkeys-lru');
  const refused = await scene.gateway({ env: { ...env, REDIS_REQUIRE_NOEVICTION: 'true' } }).then(
    () => 'it started',
    (error: unknown) => String(error),
  );
  scene.expect(
    /noeviction/.test(refused),
    `REDIS_REQUIRE_NOEVICTION did not keep it from starting: ${refused}`,
  );
  const gateway = await scene.gateway({ env });
  scene.expect(
    /"level":50[^\n]*noeviction|noeviction[^\n]*"level":50/.test(gateway.output),
    'the log has no error about the policy',
  );
  await crowd(scene, [gateway.url], 400);
  let evicted = 0;
  await scene.fault('parts of logs are evicted', async () => {
    for (let round = 0; round < (scene.quick ? 20 : 60); round++) {
      const keys = (await redis.client.keys('sb:*:l:*')).filter((key) => !key.endsWith(':q')).sort();
      evicted += await redis.client.del(scene.random.pick(keys));
      await pause(100);
    }
    await pause(2000);
  });
  scene.figures.keysEvicted = evicted;
  await scene.calm(2500);
  return await scene.judge({ sendersRefill: true });
}

/** Below it a master that has lost its replica stops to accept, s: Redis' own default is 10. */
const REPLICA_LAG_S = 2;

/** What a client beside the crowd was told is accepted, over so many ms. */
async function accepted(
  url: string,
  ms: number,
): Promise<{ accepted: number; refusals: Record<string, number> }> {
  const client = await guest(url, 'witness', { acceptTimeoutMs: 1000 });
  const refusals: Record<string, number> = {};
  let count = 0;
  const until = performance.now() + ms;
  const once = async (): Promise<void> => {
    await client.connect();
    await client.send('witness', 'm', 0);
  };
  while (performance.now() < until) {
    await Promise.race([once(), pause(2000).then(() => Promise.reject(new Error('no answer')))]).then(
      () => count++,
      (error: unknown) => (refusals[codeOf(error)] = (refusals[codeOf(error)] ?? 0) + 1),
    );
    await pause(100);
  }
  await Promise.race([client.close(), pause(1000)]);
  return { accepted: count, refusals };
}

/** Old master and gateway A on one machine, replica, sentinels and gateway B on the other. */
async function splitBrain(scene: Scene): Promise<Outcome> {
  const machines = makeMachines(['a', 'b']);
  scene.atEnd(() => machines.close());
  const strict = ['--min-replicas-to-write', '1', '--min-replicas-max-lag', String(REPLICA_LAG_S)];
  const on = (machine: string) => ({ host: machines.addressOf(machine), wrap: machines.wrap(machine) });
  const old = await scene.redis({ ...on('a'), args: strict });
  // Two of them: the one that takes over needs a replica of its own to accept anything.
  const heirs = await Promise.all(
    [1, 2].map(() =>
      scene.redis({ ...on('b'), args: [...strict, '--replicaof', old.host, String(old.port)] }),
    ),
  );
  await waitFor('both replicas in step', async () =>
    /state=online[^]*state=online/.test(await old.client.info('replication')),
  );
  const sentinels = await scene.sentinelsOf(old, heirs, on('b'));
  const env = { REDIS_URL: sentinels.url };
  const [a, b] = await Promise.all([scene.gateway({ ...on('a'), env }), scene.gateway({ ...on('b'), env })]);
  const front = await scene.proxy([a, b]);
  await crowd(scene, [`ws://127.0.0.1:${front.port}`]);
  await scene.fault('the machines do not hear each other', async () => {
    machines.partition('a', 'b');
    await waitFor('a heir to be master', async () => {
      const roles = await Promise.all(heirs.map(({ client }) => client.role()));
      return roles.some(([role]) => role === 'master');
    });
    await waitFor('the old master to refuse', async () => {
      const answer: unknown = await old.client.set('x', 1, 'EX', 1).catch((error: unknown) => error);
      return answer instanceof Error && answer.message.includes('NOREPLICAS');
    });
    const [minority, majority] = await Promise.all([witnessOf(a), witnessOf(b)]);
    scene.figures.acceptedOnMinority = minority.accepted;
    scene.figures.acceptedOnMajority = majority.accepted;
    scene.expect(minority.accepted === 0, `${minority.accepted} were accepted on the minority's side`);
    scene.expect(
      majority.accepted > 0,
      `none was accepted on the majority's side: ${JSON.stringify(majority.refusals)}`,
    );
    machines.heal();
    await waitFor('the old master to follow', async () => (await old.client.role())[0] === 'slave', 30_000);
    await waitFor(
      'both to be ready',
      async () => (await a.readiness()) === 200 && (await b.readiness()) === 200,
      30_000,
    );
    await scene.healed();
    await pause(3000);
  });
  await scene.calm(2500);
  return await scene.judge();
}

function witnessOf(gateway: GatewayNode): Promise<{ accepted: number; refusals: Record<string, number> }> {
  return accepted(gateway.url, 5000);
}

export const rows: readonly Row[] = [
  { id: 'F12', title: 'listeners attached to a detached Redis', quick: false, run: zombieListeners },
  { id: 'F18', isLossy: true, title: 'Redis evicts (allkeys-lru)', quick: false, run: eviction },
  {
    id: 'F25',
    isLossy: true,
    title: 'split brain with min-replicas-to-write 1',
    quick: false,
    run: splitBrain,
  },
];
