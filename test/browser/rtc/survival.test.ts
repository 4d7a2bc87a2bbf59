// Negotiations that lose their gateway half-way, or signals: a worker killed, a client cut off for 10 s, a node drained. Real pages, real gateways.
import { afterEach, describe, expect, test } from '@jest/globals';
import { FaultProxy } from '../../faults/fault-proxy.js';
import { type GatewayProcess, startGateway } from '../../gateway-process.js';
import { startRedis } from '../../redis-server.js';
import { type Mechanism, type Scene, Stage } from './scene.js';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Slow enough that a fault falls between a signal and its answer. */
const SLOWLY: Mechanism = { name: 'gateway', loopback: null, delayMs: [250, 350] };
const CUT_MS = 10_000;

interface Setting {
  stage: Stage;
  /** What each client connects through. */
  proxies: Record<'alice' | 'bob', FaultProxy>;
  /** The second node, where there is one. */
  other: GatewayProcess | null;
}

async function set(nodes: 1 | 2): Promise<Setting> {
  const env: Record<string, string> = {};
  if (nodes === 2) {
    const redis = await startRedis();
    closers.push(() => redis.stop());
    env.REDIS_URL = redis.url;
  }
  const proxies = { alice: await FaultProxy.start([]), bob: await FaultProxy.start([]) };
  const stage = await Stage.open(['Chromium', 'Chromium'], env, {
    urlOf: ({ port }, client) => {
      proxies[client].retarget([{ host: '127.0.0.1', port }]);
      return `ws://127.0.0.1:${String(proxies[client].port)}`;
    },
  });
  closers.push(() => stage.close(), ...Object.values(proxies).map((proxy) => () => proxy.close()));
  if (nodes === 1) return { stage, proxies, other: null };
  const ORIGINS = `http://127.0.0.1:${String(stage.gateway.port)}`;
  const other = await startGateway({ ...env, ORIGINS });
  closers.push(() => other.stop());
  return { stage, proxies, other };
}

interface Fault {
  nodes: 1 | 2;
  /** Of volatile signals: a client hears nothing of it, and no connection ends. */
  loss?: number;
  strike(setting: Setting): Promise<unknown>;
}

/** What becomes of the gateway that alice talks to. */
const FAULTS: Record<string, Fault> = {
  'its worker is killed': {
    nodes: 1,
    strike: async ({ stage: { gateway } }) => {
      const [place] = await gateway.locate('alice');
      const worker = (await gateway.workers()).find(({ id }) => id === place?.worker);
      if (worker === undefined) throw new Error('no worker has alice');
      process.kill(worker.pid, 'SIGKILL');
    },
  },
  'it is cut off for 10 s': {
    nodes: 1,
    strike: async ({ proxies: { alice: proxy } }) => {
      await proxy.door('refuse');
      proxy.reset();
      await new Promise((resolve) => setTimeout(resolve, CUT_MS));
      await proxy.door('open');
    },
  },
  'its node is drained': {
    nodes: 2,
    strike: async ({ stage: { gateway }, proxies, other }) => {
      for (const proxy of Object.values(proxies))
        proxy.retarget([{ host: '127.0.0.1', port: other?.port ?? 0 }]);
      gateway.process.kill('SIGTERM');
      return Promise.resolve();
    },
  },
  'it loses half of what is volatile': { nodes: 1, loss: 0.5, strike: () => Promise.resolve() },
};

/** When it strikes: `run` resolves in the page of that client at the moment that is meant. */
const MOMENTS: Record<string, { client: 'alice' | 'bob'; begins: 'alice' | 'bob'; run: string }> = {
  'after its offer': { begins: 'alice', client: 'alice', run: 'await until(() => peer.counts.sent > 0)' },
  'while the answer to it is on its way': {
    begins: 'alice',
    client: 'bob',
    run: 'await until(() => peer.counts.rounds > 0)',
  },
  "after the other side's offer": {
    begins: 'bob',
    client: 'bob',
    run: 'await until(() => peer.counts.sent > 0)',
  },
};

/** Notes every description that is set on the connection, and every candidate that is added. */
const NOTE = `keep.applied = [];
  for (const name of ['setRemoteDescription', 'addIceCandidate']) {
    const apply = peer.peer[name].bind(peer.peer);
    peer.peer[name] = (what) => (keep.applied.push(JSON.stringify(what)), apply(what));
  }
  keep.states = [];
  client.on('state', (state) => keep.states.push(state));
  return client.sessionId;`;
/** After 10 s without a gateway a client may wait 16 s, or 30, until it tries again: more than an operation waits by default. */
const WORK = `const patience = { timeoutMs: 80_000 };
  await Promise.all([
    peer.createDataChannel('c', {}, patience).then((channel) => echo(channel, 'hello')),
    peer.addStream(await audio(), patience),
    peer.createDataChannel('d', {}, patience).then((channel) => echo(channel, 'hello')),
  ]);
  await received(peer, 'audio');
  await peer.agreed(patience);`;
const FOUND = `return {
    session: client.sessionId,
    isSame: new Set(keep.applied).size === keep.applied.length,
    applied: keep.applied.length > 0,
    failures: peer.counts.failures,
    errors: end.errors.filter((text) => !text.startsWith('ice')),
    channels: [...end.channels.keys()].sort(),
    receiving: remoteKinds(peer),
    state: peer.state,
  };`;

async function play(scene: Scene, setting: Setting, fault: string, moment: string): Promise<void> {
  const { alice, bob } = scene;
  const sessions = [await alice(NOTE), await bob(NOTE)];
  const { begins, client, run } = MOMENTS[moment] ?? { begins: 'alice', client: 'alice', run: '' };
  const [first, second] = begins === 'alice' ? [alice, bob] : [bob, alice];
  const working = [first(WORK)];
  await scene[client](run);
  const struck = FAULTS[fault]?.strike(setting);
  // Both sides want something while the way between them is gone.
  working.push(second(WORK));
  await Promise.all([struck, ...working]);
  const ends = [await alice(FOUND), await bob(FOUND)];
  expect(ends).toEqual(
    sessions.map((session) => ({
      session,
      isSame: true,
      applied: true,
      failures: 0,
      errors: [],
      channels: ['c', 'd'],
      receiving: ['audio'],
      state: 'connected',
    })),
  );
  // The fault was one.
  if (FAULTS[fault]?.loss === undefined) expect(await alice('return keep.states')).toContain('connected');
  else expect(await alice('return lostSignals')).not.toBe(0);
}

/** In the short form each fault strikes at one moment. */
const isFull = process.env.TEST_BROWSER === 'full';
const momentsOf = (fault: string): string[] => {
  const moments = Object.keys(MOMENTS);
  const one = Object.keys(FAULTS).indexOf(fault) % moments.length;
  return isFull ? moments : moments.slice(one, one + 1);
};

describe.each(Object.keys(FAULTS))(
  'a negotiation ends well, and nothing is applied twice, when %s',
  (fault) => {
    test.each(momentsOf(fault))(
      '%s',
      async (moment) => {
        const setting = await set(FAULTS[fault]?.nodes ?? 1);
        const scene = await setting.stage.scene({ ...SLOWLY, loss: FAULTS[fault]?.loss ?? 0 });
        try {
          await play(scene, setting, fault, moment);
        } finally {
          await scene.close();
        }
      },
      120_000,
    );
  },
);
