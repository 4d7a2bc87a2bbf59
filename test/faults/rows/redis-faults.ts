// Faults of one Redis server: killed, hanging, cut off, full, slow, with its scripts or its data gone.
import { pause, waitFor } from '../processes.js';
import type { FaultProxy } from '../fault-proxy.js';
import type { GatewayNode } from '../gateway-node.js';
import type { RedisNode, RedisOptions } from '../redis-topology.js';
import type { Outcome, Row } from '../row.js';
import type { Scene } from '../scene.js';

interface Place {
  redis: RedisNode;
  proxy: FaultProxy;
  gateway: GatewayNode;
}

/** One node whose way to Redis goes through a proxy, and a crowd that talks. */
async function populated(
  scene: Scene,
  {
    clients = 60,
    ratePerSecond = 200,
    ...redisOptions
  }: RedisOptions & { clients?: number; ratePerSecond?: number } = {},
): Promise<Place> {
  const redis = await scene.redis(redisOptions);
  const proxy = await scene.proxy([redis]);
  const gateway = await scene.gateway({ env: { REDIS_URL: `redis://127.0.0.1:${proxy.port}` } });
  const share = scene.quick ? 0.5 : 1;
  await scene.crowd({
    urls: [gateway.url],
    clients: Math.round(clients * share),
    ratePerSecond: Math.round(ratePerSecond * share),
  });
  await scene.load.talk();
  await scene.calm(1500);
  return { redis, proxy, gateway };
}

async function untilReady(gateway: GatewayNode): Promise<void> {
  await waitFor('the gateway to be ready', async () => (await gateway.readiness()) === 200, 30_000);
}

async function ended(
  scene: Scene,
  gateway: GatewayNode,
  options?: Parameters<Scene['judge']>[0],
): Promise<Outcome> {
  await scene.calm(2500);
  scene.expect(!gateway.isOver, 'the gateway ended');
  return await scene.judge(options);
}

function restart(aof: boolean) {
  return async (scene: Scene): Promise<Outcome> => {
    const { redis, gateway } = await populated(scene, { aof });
    const awayMs = scene.quick ? 1000 : 5000;
    await scene.fault(`killing Redis for ${awayMs} ms`, async () => {
      await redis.kill();
      await pause(awayMs);
      scene.expect((await gateway.readiness()) !== 200, '/readyz said ready without Redis');
      await redis.start();
      await untilReady(gateway);
      // A gateway is ready before each of its clients has heard that its session is gone: until then others do not find it.
      if (!aof) await scene.begunAnew();
      scene.figures.backMs = await scene.healed();
    });
    // Senders that have not heard yet that their sessions are gone refill the new logs.
    const outcome = await ended(scene, gateway, { sendersRefill: !aof });
    if (!aof) scene.expect(outcome.report.gapsTold > 0, 'nobody was told that the state is lost');
    return outcome;
  };
}

async function hang(scene: Scene): Promise<Outcome> {
  const { redis, gateway } = await populated(scene);
  await scene.fault('stopping Redis', async () => {
    redis.stop();
    await pause(scene.quick ? 3000 : 10_000);
    const { clients, connected } = await scene.load.counts();
    scene.figures.keptConnected = `${connected}/${clients}`;
    redis.cont();
    await untilReady(gateway);
    scene.figures.backMs = await scene.healed();
  });
  return await ended(scene, gateway);
}

async function cutSubscribers(scene: Scene): Promise<Outcome> {
  const { redis, gateway } = await populated(scene, { ratePerSecond: 400 });
  // No window: only the fast path is cut, and what is accepted goes on being accepted.
  let killed = 0;
  for (let round = 0; round < (scene.quick ? 3 : 8); round++) {
    killed += Number(await redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub'));
    await scene.calm(1000 + scene.random.below(1500));
  }
  scene.figures.connectionsCut = killed;
  scene.expect(killed > 0, 'there was no subscriber to cut');
  return await ended(scene, gateway);
}

async function fill(scene: Scene): Promise<Outcome> {
  const { redis, gateway } = await populated(scene);
  await scene.fault('maxmemory 1', async () => {
    await redis.client.config('SET', 'maxmemory', '1');
    await pause(scene.quick ? 2000 : 5000);
    await redis.client.config('SET', 'maxmemory', '0');
    await untilReady(gateway);
    await scene.healed();
  });
  return await ended(scene, gateway);
}

async function flushScripts(scene: Scene): Promise<Outcome> {
  const { redis, gateway } = await populated(scene, { ratePerSecond: 400 });
  for (let round = 0; round < (scene.quick ? 5 : 20); round++) {
    await redis.client.script('FLUSH');
    await scene.calm(300);
  }
  const outcome = await ended(scene, gateway);
  scene.expect(outcome.report.acceptedShare === 1, 'calls failed although Redis was there');
  return outcome;
}

async function slow(scene: Scene): Promise<Outcome> {
  const { proxy, gateway } = await populated(scene, { clients: 40, ratePerSecond: 60 });
  // No window for latency: a slow store is slow, not away.
  scene.tell('latency 200 ms ± 100');
  proxy.set({ mode: 'latency', ms: 100, jitterMs: 50 });
  await scene.calm(scene.quick ? 3000 : 10_000);
  proxy.set({ mode: 'pass' });
  await scene.fault('64 kB/s', async () => {
    proxy.set({ mode: 'rate', bytesPerSecond: 64_000 });
    await pause(scene.quick ? 3000 : 10_000);
    proxy.set({ mode: 'pass' });
    await untilReady(gateway);
    await scene.healed();
  });
  return await ended(scene, gateway);
}

/** Replies lost after the command was executed: the caller cannot know, and must not do it twice. */
async function loseReplies(scene: Scene): Promise<Outcome> {
  const { proxy, gateway } = await populated(scene);
  await scene.fault('cutting Redis off after a command, before its reply', async () => {
    for (let round = 0; round < (scene.quick ? 4 : 15); round++) {
      proxy.dropReplyAfter('evalsha');
      await pause(200 + scene.random.below(200));
    }
    scene.tell('replies cannot come back at all');
    proxy.set({ mode: 'blackhole' }, 'down');
    await pause(scene.quick ? 2500 : 5000);
    proxy.reset();
    proxy.set({ mode: 'pass' });
    await untilReady(gateway);
    await scene.healed();
  });
  scene.figures.repliesDropped = proxy.cuts;
  return await ended(scene, gateway);
}

/** Acknowledged writes that never reached the replica which is master afterwards. */
async function lossyFailover(scene: Scene): Promise<Outcome> {
  const { redis: old, proxy, gateway } = await populated(scene);
  const heir = await scene.redis({ args: ['--replicaof', old.host, String(old.port)] });
  await waitFor('the replica in step', async () =>
    (await heir.client.info('replication')).includes('master_link_status:up'),
  );
  await scene.calm(1000);
  await scene.fault('the replica no longer follows, then takes over', async () => {
    await heir.client.call('REPLICAOF', 'NO', 'ONE');
    await pause(1500);
    proxy.retarget([heir]);
    proxy.reset();
    await untilReady(gateway);
    await scene.healed();
  });
  return await ended(scene, gateway);
}

async function corruptData(scene: Scene): Promise<Outcome> {
  const { redis, gateway } = await populated(scene);
  const before = (await gateway.workers()).map(({ pid }) => pid);
  let spoilt = 0;
  await scene.fault('writing rubbish into the store', async () => {
    const keys = (await redis.client.keys('sb:*')).sort();
    for (let i = 0; i < Math.min(40, keys.length); i++) {
      spoilt += await spoil(redis, scene.random.pick(keys), scene.random.below(1000));
      await pause(20);
    }
    await scene.healed();
    await pause(2000);
  });
  scene.figures.keysSpoilt = spoilt;
  const after = (await gateway.workers()).map(({ pid }) => pid);
  scene.expect(before.join() === after.join(), 'a worker died of it');
  // A log with a strange entry in it begins anew, and one that does not know a sender any more asks it for all that it has.
  return await ended(scene, gateway, { sendersRefill: true });
}

/** What an older version or an operator's hand could leave: values of the right type that make no sense. */
async function spoil({ client }: RedisNode, key: string, chance: number): Promise<number> {
  const rubbish = `\u0000rubbish-${chance}`;
  const type = await client.type(key);
  if (type === 'stream') await client.xadd(key, '*', 'x', rubbish).catch(() => null);
  else if (type === 'hash') {
    const fields = await client.hkeys(key);
    const field = fields[chance % Math.max(1, fields.length)];
    if (field !== undefined) await client.hset(key, field, rubbish);
  } else if (type === 'zset') await client.zadd(key, chance, rubbish);
  else if (type === 'set') await client.sadd(key, rubbish);
  else return 0;
  return 1;
}

/** Sentinels, or a cluster: the gateway is told of all of them and finds its way. */
async function populatedGroup(scene: Scene, url: string): Promise<GatewayNode> {
  const gateway = await scene.gateway({ env: { REDIS_URL: url } });
  await scene.crowd({
    urls: [gateway.url],
    clients: scene.quick ? 30 : 60,
    ratePerSecond: scene.quick ? 100 : 200,
  });
  await scene.load.talk();
  await scene.calm(1500);
  return gateway;
}

/** Longer than the sentinels take to promote a replica, ms. */
const PAUSE_MS = 5_000;

/** @param pauseMs writes are held back on the old master for so long, as docs/operations.md says; 0: they are not */
async function sentinelFailover(scene: Scene, pauseMs: number): Promise<Outcome> {
  const group = await scene.sentinels();
  const gateway = await populatedGroup(scene, group.url);
  await scene.fault('SENTINEL FAILOVER', async () => {
    const startedAt = performance.now();
    if (pauseMs > 0) await (await group.master()).client.call('CLIENT', 'PAUSE', pauseMs, 'WRITE');
    const master = await group.failover();
    const promotedAt = performance.now();
    // What the demoted master takes until then is lost with it.
    await waitFor('the gateway to follow', async () =>
      (await master.client.info('commandstats')).includes('evalsha:'),
    );
    scene.figures.followedMs = Math.round(performance.now() - promotedAt);
    await untilReady(gateway);
    const failoverMs = Math.round(performance.now() - startedAt);
    scene.figures.failoverMs = failoverMs;
    scene.expect(failoverMs < 10_000, `the gateway was back after ${failoverMs} ms only`);
    await scene.healed();
  });
  return await ended(scene, gateway);
}

async function sentinelMasterDies(scene: Scene): Promise<Outcome> {
  const group = await scene.sentinels();
  const gateway = await populatedGroup(scene, group.url);
  await scene.fault('killing the master', async () => {
    const master = await group.master();
    await master.kill();
    await group.masterOtherThan(master);
    await untilReady(gateway);
    await scene.healed();
  });
  return await ended(scene, gateway);
}

async function clusterFaults(scene: Scene): Promise<Outcome> {
  const cluster = await scene.cluster();
  const gateway = await populatedGroup(scene, cluster.url);
  const [first, second] = await cluster.masters();
  if (first === undefined || second === undefined) throw new Error('no masters');
  await scene.fault('moving slots', async () => {
    const slots = Array.from({ length: scene.quick ? 50 : 500 }, (_, i) => i * 10);
    await cluster.migrate(slots, second);
    await scene.healed();
  });
  await scene.calm(1500);
  await scene.fault('killing a master', async () => {
    await first.kill();
    await cluster.waitUntilOk();
    await untilReady(gateway);
    await scene.healed();
  });
  return await ended(scene, gateway);
}

async function clusterDown(scene: Scene): Promise<Outcome> {
  const cluster = await scene.cluster();
  const gateway = await populatedGroup(scene, cluster.url);
  const stopped = (await cluster.masters()).slice(0, 2);
  await scene.fault('stopping two of three masters', async () => {
    // Their replicas cannot win an election without a majority of masters.
    for (const node of stopped) node.stop();
    await pause(scene.quick ? 4000 : 10_000);
    for (const node of stopped) node.cont();
    await cluster.waitUntilOk();
    await untilReady(gateway);
    await scene.healed();
  });
  return await ended(scene, gateway);
}

export const rows: readonly Row[] = [
  { id: 'F07', isLossy: true, title: 'Redis kill -9, back empty', quick: true, run: restart(false) },
  { id: 'F08', title: 'Redis stopped for 10 s', quick: true, run: hang },
  {
    id: 'F09',
    isLossy: true,
    title: 'Redis kill -9, back with its append-only file',
    quick: false,
    run: restart(true),
  },
  {
    id: 'F10',
    isLossy: true,
    title: 'Sentinel failover, asked for',
    quick: false,
    run: (scene) => sentinelFailover(scene, 0),
  },
  {
    id: 'F10P',
    title: 'the same, writes paused before it',
    quick: false,
    run: (scene) => sentinelFailover(scene, PAUSE_MS),
  },
  {
    id: 'F10K',
    isLossy: true,
    title: 'Sentinel failover, the master was killed',
    quick: false,
    run: sentinelMasterDies,
  },
  {
    id: 'F14',
    isLossy: true,
    title: 'Redis Cluster: slots move, a master dies',
    quick: false,
    run: clusterFaults,
  },
  { id: 'F15', title: 'Redis Cluster: two of three masters stand still', quick: false, run: clusterDown },
  {
    id: 'F11',
    isLossy: true,
    title: 'failover that loses acknowledged writes',
    quick: true,
    run: lossyFailover,
  },
  { id: 'F13', title: 'Pub/Sub connections cut again and again', quick: true, run: cutSubscribers },
  { id: 'F16', title: 'Redis slow: latency, then 64 kB/s', quick: false, run: slow },
  { id: 'F17', title: 'Redis full (maxmemory, noeviction)', quick: false, run: fill },
  { id: 'F24', title: 'Redis hears the gateway, its replies are lost', quick: true, run: loseReplies },
  { id: 'F50', isLossy: true, title: 'rubbish in Redis', quick: false, run: corruptData },
  { id: 'F51', title: 'SCRIPT FLUSH under load', quick: false, run: flushScripts },
];
