// Who the masters are and which slots they serve: asked of the sentinels or of the cluster, again and again.
import { Redis, type RedisOptions } from 'ioredis';
import { SLOTS } from './partition.js';
import { type Address, nameOf, type RedisTarget } from './redis-url.js';

/** First and last of a stretch of slots. */
export type SlotRange = readonly [from: number, to: number];

export interface Topology {
  masters: { address: Address; slots: SlotRange[] }[];
}

/** A question about the topology is answered by then, ms: others can be asked. */
const ANSWER_TIMEOUT_MS = 1_000;
/** Nodes of a cluster that are asked at once: their views differ for moments only. */
const NODES_ASKED = 5;
const ALL_SLOTS: SlotRange = [0, SLOTS - 1];

/** What every connection to Redis has in common. */
export function connectionOptions(target: RedisTarget, address: Address): RedisOptions {
  const { username, password, tls, db } = target;
  return {
    ...address,
    // Both kinds of addresses: a host may have only the newer one.
    family: 0,
    db,
    lazyConnect: true,
    disableClientInfo: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    keepAlive: 10_000,
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password }),
    ...(tls ? { tls: {} } : {}),
  };
}

/** Sentinels have a password of their own, or none. */
export function sentinelOptions(target: RedisTarget, address: Address): RedisOptions {
  const { sentinelPassword: password } = target;
  return connectionOptions({ ...target, username: null, password, db: 0 }, address);
}

export class TopologySource {
  /** Nodes of the cluster that were seen last: the ones that REDIS_URL names may be gone by now. */
  private known: Address[] = [];
  /** Why the newest question got no answer. */
  problem = '';

  constructor(private readonly target: RedisTarget) {}

  /**
   * @param masters open connections to masters of a cluster, which can be asked without further ones
   * @returns null where nobody who knows answered
   */
  async resolve(masters: readonly Redis[]): Promise<Topology | null> {
    switch (this.target.kind) {
      case 'single':
        return {
          masters: this.target.addresses.map((address) => ({ address, slots: [ALL_SLOTS] })),
        };
      case 'sentinel':
        return this.askSentinels();
      case 'cluster':
        return this.askCluster(masters);
      default:
        return this.target.kind satisfies never;
    }
  }

  /** Sentinels differ for a while after a failover, and one that was cut off for long: the newest epoch is right. */
  private async askSentinels(): Promise<Topology | null> {
    const { addresses, masterName } = this.target;
    const answers = await Promise.all(
      addresses.map((address) =>
        this.ask(address, async (sentinel) => {
          const [fields, place] = await Promise.all([
            sentinel.call('SENTINEL', 'MASTER', masterName),
            sentinel.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', masterName),
          ]);
          return readSentinel(fields, place);
        }),
      ),
    );
    const newest = answers.filter((answer) => answer !== null).sort((a, b) => b.epoch - a.epoch)[0];
    return newest === undefined ? null : { masters: [{ address: newest.address, slots: [ALL_SLOTS] }] };
  }

  /** A node that is cut off from most others says so; among the rest the newest epoch is right. */
  private async askCluster(masters: readonly Redis[]): Promise<Topology | null> {
    const some = shuffled(masters).slice(0, NODES_ASKED);
    let views = (await Promise.all(some.map((node) => clusterView(node).catch(() => null)))).filter(isView);
    if (!views.some(({ isOk }) => isOk)) {
      const asked = new Set(some.map(({ options }) => `${options.host ?? ''}:${String(options.port)}`));
      const others = [...this.known, ...this.target.addresses].filter((node) => !asked.has(nameOf(node)));
      const answers = await Promise.all(others.map((address) => this.ask(address, clusterView)));
      views = [...views, ...answers.filter(isView)];
    }
    const best = views.sort((a, b) => Number(b.isOk) - Number(a.isOk) || b.epoch - a.epoch)[0];
    if (best === undefined) return null;
    this.known = best.nodes;
    return { masters: best.masters };
  }

  /** One question over a connection of its own; null where it is not answered. */
  private async ask<Answer>(
    address: Address,
    question: (redis: Redis) => Promise<Answer>,
  ): Promise<Answer | null> {
    const optionsOf = this.target.kind === 'sentinel' ? sentinelOptions : connectionOptions;
    const redis = new Redis({
      ...optionsOf(this.target, address),
      connectTimeout: ANSWER_TIMEOUT_MS,
      commandTimeout: ANSWER_TIMEOUT_MS,
      disconnectTimeout: 50,
      enableReadyCheck: false,
      retryStrategy: () => null,
    });
    let reason = '';
    redis.on('error', (error: Error) => {
      reason = error.message;
    });
    try {
      await redis.connect();
      return await question(redis);
    } catch (error) {
      if (reason === '') reason = error instanceof Error ? error.message : String(error);
      this.problem = `${nameOf(address)}: ${reason}`;
      return null;
    } finally {
      redis.disconnect();
    }
  }
}

interface ClusterView {
  isOk: boolean;
  epoch: number;
  masters: Topology['masters'];
  /** All that the slots are on, replicas as well. */
  nodes: Address[];
}

function isView(view: ClusterView | null): view is ClusterView {
  return view !== null && view.masters.length > 0;
}

async function clusterView(node: Redis): Promise<ClusterView> {
  const [info, rows] = await Promise.all([node.cluster('INFO'), node.cluster('SLOTS')]);
  return readSlots(info, rows, node.options.host ?? '');
}

/** What CLUSTER INFO and CLUSTER SLOTS say. */
export function readSlots(info: string, rows: unknown, askedHost: string): ClusterView {
  const masters = new Map<string, { address: Address; slots: SlotRange[] }>();
  const nodes = new Map<string, Address>();
  for (const row of Array.isArray(rows) ? (rows as unknown[]) : []) {
    const [from, to, ...places] = Array.isArray(row) ? (row as unknown[]) : [];
    const addresses = places.map((place) => readPlace(place, askedHost)).filter((place) => place !== null);
    for (const address of addresses) nodes.set(nameOf(address), address);
    const [address] = addresses;
    if (typeof from !== 'number' || typeof to !== 'number' || address === undefined) continue;
    const name = nameOf(address);
    const master = masters.get(name);
    if (master === undefined) masters.set(name, { address, slots: [[from, to]] });
    else master.slots.push([from, to]);
  }
  return {
    isOk: info.includes('cluster_state:ok'),
    epoch: Number(/cluster_current_epoch:(\d+)/.exec(info)?.[1] ?? 0),
    masters: [...masters.values()],
    nodes: [...nodes.values()],
  };
}

/** A node that does not know its own name leaves it out: it is the one that was asked. */
function readPlace(place: unknown, askedHost: string): Address | null {
  const [host, port] = Array.isArray(place) ? (place as unknown[]) : [];
  if (typeof port !== 'number' || host === '?') return null;
  return { host: typeof host === 'string' && host !== '' ? host : askedHost, port };
}

/**
 * Of SENTINEL MASTER the epoch. Its address is the old one until all replicas follow the new master, which takes writes all the
 * time: SENTINEL GET-MASTER-ADDR-BY-NAME names that as soon as it is one.
 */
export function readSentinel(reply: unknown, place: unknown): { address: Address; epoch: number } | null {
  const list = Array.isArray(reply) ? (reply as unknown[]).map(String) : [];
  const epoch = Number(list[list.indexOf('config-epoch') + 1] ?? 0);
  const [host, port] = Array.isArray(place) ? (place as unknown[]).map(String) : [];
  if (host === undefined || host === '' || !(Number(port) > 0)) return null;
  return { address: { host, port: Number(port) }, epoch: Number.isNaN(epoch) ? 0 : epoch };
}

function shuffled<Item>(items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}
