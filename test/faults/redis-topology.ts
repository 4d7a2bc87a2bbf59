// Real Redis in the shapes that a gateway meets: one server, a master with replicas and sentinels, a cluster; with verbs to break them.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from '../free-port.js';
import { pause, run, type Running, waitFor } from './processes.js';

/** ioredis waits so long for the end of a socket, also of one that has ended already. */
const DISCONNECT_MS = 50;

export interface RedisOptions {
  /** Append-only file, `everysec`. */
  aof?: boolean;
  host?: string;
  /** What comes before the command, for one on another machine. */
  wrap?: readonly string[];
  args?: readonly string[];
}

/** One redis-server whose port and data survive its death. */
export class RedisNode {
  #running: Running | null = null;
  #client: Redis | null = null;
  readonly #directory = mkdtempSync(join(tmpdir(), 'faults-redis-'));

  private constructor(
    readonly host: string,
    readonly port: number,
    readonly command: readonly string[],
    readonly options: RedisOptions,
  ) {}

  static async start(options: RedisOptions = {}, isCluster = false): Promise<RedisNode> {
    const { aof = false, host = '127.0.0.1', args = [] } = options;
    const port = await freePort();
    const node = new RedisNode(
      host,
      port,
      [
        'redis-server',
        ...['--port', String(port), '--bind', host, '--protected-mode', 'no', '--save', ''],
        ...[
          '--maxmemory-policy',
          'noeviction',
          '--repl-diskless-sync-delay',
          '0',
          '--appendfsync',
          'everysec',
        ],
        ...['--appendonly', aof ? 'yes' : 'no', '--enable-debug-command', 'local'],
        ...(isCluster ? ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000'] : []),
        ...args,
      ],
      options,
    );
    await node.start();
    return node;
  }

  get url(): string {
    return `redis://${this.host}:${this.port}`;
  }

  get address(): string {
    return `${this.host}:${this.port}`;
  }

  /** A connection for the row's own questions. */
  get client(): Redis {
    if (this.#client === null) {
      this.#client = new Redis(this.url, {
        retryStrategy: () => 50,
        maxRetriesPerRequest: 20,
        disconnectTimeout: DISCONNECT_MS,
      });
      this.#client.on('error', () => undefined);
    }
    return this.#client;
  }

  async start(): Promise<void> {
    const { wrap = [] } = this.options;
    this.#running = await run(this.command, /Ready to accept connections/, { cwd: this.#directory, wrap });
  }

  /** -9: what it gave to the kernel stays, what it only had in memory is gone. */
  async kill(): Promise<void> {
    await this.#running?.kill();
  }

  /** Hangs, with its sockets open. */
  stop(): void {
    this.#running?.signal('SIGSTOP');
  }

  cont(): void {
    this.#running?.signal('SIGCONT');
  }

  async close(): Promise<void> {
    this.#client?.disconnect();
    await this.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Where a process runs: an address, and what comes before its command. */
export type Place = Required<Pick<RedisOptions, 'host'>> & Pick<RedisOptions, 'wrap'>;

/** One master, two replicas, three sentinels. */
export class SentinelGroup {
  readonly name = 'main';
  readonly nodes: RedisNode[] = [];
  readonly #sentinels: Running[] = [];
  readonly #directories: string[] = [];
  sentinelPorts: number[] = [];

  static async start(options: RedisOptions = {}): Promise<SentinelGroup> {
    const group = new SentinelGroup();
    try {
      await group.#start(options);
      return group;
    } catch (error) {
      await group.close();
      throw error;
    }
  }

  /** Three sentinels, on any machine, for a master that has its replicas already. */
  static async over(master: RedisNode, replicas: RedisNode[], place: Place): Promise<SentinelGroup> {
    const group = new SentinelGroup(place);
    try {
      await group.#watch(master, replicas.length);
      group.nodes.push(master, ...replicas);
      return group;
    } catch (error) {
      await group.close();
      throw error;
    }
  }

  private constructor(private readonly place: Place = { host: '127.0.0.1' }) {}

  /** For `REDIS_URL`, in the form `redis+sentinel://host:port,host:port/<group>`. */
  get url(): string {
    const { host } = this.place;
    return `redis+sentinel://${this.sentinelPorts.map((port) => `${host}:${port}`).join(',')}/${this.name}`;
  }

  /** The node that the sentinels name, as they see it now. */
  async master(): Promise<RedisNode> {
    return await waitFor('a master that the sentinels agree on', async () => {
      const answer = await this.#ask((sentinel) =>
        sentinel.call('SENTINEL', 'get-master-addr-by-name', this.name),
      );
      const port = Array.isArray(answer) ? Number(answer[1]) : 0;
      return this.nodes.find((node) => node.port === port);
    });
  }

  /** Asked for by an operator; resolves when another node is master. */
  async failover(): Promise<RedisNode> {
    const old = await this.master();
    await waitFor('the sentinels to begin', () =>
      this.#ask((sentinel) => sentinel.call('SENTINEL', 'FAILOVER', this.name)).then(() => true),
    );
    return await this.masterOtherThan(old);
  }

  async masterOtherThan(old: RedisNode): Promise<RedisNode> {
    return await waitFor('another master', async () => {
      const now = await this.master();
      if (now === old) return null;
      const [role] = (await now.client.role()) as [string];
      return role === 'master' ? now : null;
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#sentinels.map((sentinel) => sentinel.kill()));
    await Promise.all(this.nodes.map((node) => node.close()));
    for (const directory of this.#directories) rmSync(directory, { recursive: true, force: true });
  }

  async #start(options: RedisOptions): Promise<void> {
    const master = await RedisNode.start(options);
    this.nodes.push(master);
    const args = [...(options.args ?? []), '--replicaof', '127.0.0.1', String(master.port)];
    const replicas = await Promise.all([1, 2].map(() => RedisNode.start({ ...options, args })));
    this.nodes.push(...replicas);
    await waitFor('both replicas in step', async () =>
      /connected_slaves:2[^]*state=online[^]*state=online/.test(await master.client.info('replication')),
    );
    await this.#watch(master, 2);
  }

  async #watch(master: RedisNode, replicas: number): Promise<void> {
    await Promise.all([0, 1, 2].map(() => this.#startSentinel(master)));
    // A sentinel that does not know its siblings and the replicas cannot fail over.
    await waitFor('sentinels that know each other', async () => {
      const { host } = this.place;
      const ready = await Promise.all(
        this.sentinelPorts.map((port) => knowsAll({ host, port }, this.name, replicas)),
      );
      return ready.every(Boolean);
    });
  }

  async #startSentinel(master: RedisNode): Promise<void> {
    const { host, wrap = [] } = this.place;
    const port = await freePort();
    const directory = mkdtempSync(join(tmpdir(), 'faults-sentinel-'));
    this.#directories.push(directory);
    const path = join(directory, 'sentinel.conf');
    writeFileSync(
      path,
      [
        `port ${port}`,
        `bind ${host}`,
        'protected-mode no',
        `sentinel monitor ${this.name} ${master.host} ${master.port} 2`,
        `sentinel down-after-milliseconds ${this.name} 1000`,
        `sentinel failover-timeout ${this.name} 6000`,
        `sentinel parallel-syncs ${this.name} 2`,
      ].join('\n'),
    );
    this.#sentinels.push(
      await run(['redis-server', path, '--sentinel'], /\+monitor/, { cwd: directory, wrap }),
    );
    this.sentinelPorts = [...this.sentinelPorts, port];
  }

  async #ask<Answer>(question: (sentinel: Redis) => Promise<Answer>): Promise<Answer> {
    return await asking(this.sentinelPorts[0] ?? 0, question, this.place.host);
  }
}

/** Three masters with a replica each. */
export class RedisCluster {
  readonly nodes: RedisNode[] = [];

  static async start(options: RedisOptions = {}): Promise<RedisCluster> {
    const cluster = new RedisCluster();
    try {
      await cluster.#start(options);
      return cluster;
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  /** For `REDIS_URL`, in the form `redis+cluster://host:port,host:port`. */
  get url(): string {
    return `redis+cluster://${this.nodes.map(({ address }) => address).join(',')}`;
  }

  async masters(): Promise<RedisNode[]> {
    const roles = await Promise.all(
      this.nodes.map(async (node) => ({ node, role: await roleOf(node).catch(() => 'away') })),
    );
    return roles.filter(({ role }) => role === 'master').map(({ node }) => node);
  }

  /** The present master of a slot, by what the living nodes say. */
  async ownerOf(slot: number): Promise<RedisNode> {
    return await waitFor(`an owner of slot ${slot}`, async () => {
      const table = (await this.#anyone().then(({ client }) => client.cluster('SLOTS'))) as [
        number,
        number,
        [string, number],
      ][];
      const port = table.find(([from, to]) => slot >= from && slot <= to)?.[2][1];
      return this.nodes.find((node) => node.port === port);
    });
  }

  /** Moves slots, with their keys, from their owner to another master, while both serve. */
  async migrate(slots: readonly number[], to: RedisNode): Promise<void> {
    const toId = await to.client.cluster('MYID');
    for (const slot of slots) {
      const from = await this.ownerOf(slot);
      if (from === to) continue;
      const fromId = await from.client.cluster('MYID');
      await to.client.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId);
      await from.client.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId);
      for (;;) {
        const keys = (await from.client.call('CLUSTER', 'GETKEYSINSLOT', slot, 100)) as string[];
        if (keys.length === 0) break;
        await from.client.call('MIGRATE', to.host, to.port, '', 0, 5000, 'KEYS', ...keys);
      }
      for (const node of await this.masters())
        await node.client.call('CLUSTER', 'SETSLOT', slot, 'NODE', toId);
    }
  }

  async waitUntilOk(timeoutMs = 20_000): Promise<void> {
    await waitFor(
      'a cluster that serves all slots',
      async () => {
        const masters = await this.masters();
        const states = await Promise.all(masters.map(({ client }) => client.cluster('INFO')));
        return masters.length >= 3 && states.every((text) => text.includes('cluster_state:ok'));
      },
      timeoutMs,
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.close()));
  }

  async #anyone(): Promise<RedisNode> {
    const [master] = await this.masters();
    if (master === undefined) throw new Error('no master lives');
    return master;
  }

  async #start(options: RedisOptions): Promise<void> {
    this.nodes.push(...(await Promise.all(Array.from({ length: 6 }, () => RedisNode.start(options, true)))));
    const masters = this.nodes.slice(0, 3);
    const share = Math.ceil(16_384 / masters.length);
    // By hand: `redis-cli --cluster create` takes seconds to look at its own work.
    await Promise.all(
      masters.map(({ client }, i) =>
        client.call('CLUSTER', 'ADDSLOTSRANGE', i * share, Math.min(16_383, (i + 1) * share - 1)),
      ),
    );
    await Promise.all(this.nodes.map(({ client }, i) => client.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1)));
    const first = this.nodes[0];
    for (const { client } of this.nodes.slice(1))
      await client.call('CLUSTER', 'MEET', '127.0.0.1', first?.port ?? 0);
    await waitFor('nodes that know each other', async () => {
      const tables = await Promise.all(this.nodes.map(({ client }) => client.call('CLUSTER', 'NODES')));
      return tables.every((text) => String(text).trim().split('\n').length === this.nodes.length);
    });
    const ids = await Promise.all(masters.map(({ client }) => client.cluster('MYID')));
    await Promise.all(
      this.nodes.slice(3).map(({ client }, i) => client.call('CLUSTER', 'REPLICATE', ids[i] ?? '')),
    );
    await this.waitUntilOk();
    await waitFor('three replicas in step', async () => {
      const infos = await Promise.all(masters.map(({ client }) => client.info('replication')));
      return infos.every((text) => text.includes('state=online'));
    });
    await pause(100);
  }
}

async function roleOf({ port, host }: RedisNode): Promise<string> {
  return await asking(port, async (redis) => ((await redis.role()) as [string])[0], host);
}

async function knowsAll(
  { host, port }: { host: string; port: number },
  name: string,
  replicas: number,
): Promise<boolean> {
  return await asking(
    port,
    async (sentinel) => {
      const fields = (await sentinel.call('SENTINEL', 'master', name)) as string[];
      const value = (field: string): string | undefined => fields[fields.indexOf(field) + 1];
      return value('num-other-sentinels') === '2' && value('num-slaves') === String(replicas);
    },
    host,
  );
}

/** A connection for one question: it must not wait for a server that is away. */
async function asking<Answer>(
  port: number,
  question: (redis: Redis) => Promise<Answer>,
  host = '127.0.0.1',
): Promise<Answer> {
  const redis = new Redis(port, host, {
    lazyConnect: true,
    retryStrategy: () => null,
    commandTimeout: 1000,
    connectTimeout: 1000,
    disconnectTimeout: DISCONNECT_MS,
  });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}
