// The masters of one Redis, Sentinel or Cluster as one connection that fails fast and says what it knows of a call.
import { readFileSync, readdirSync } from 'node:fs';
import { GatewayError } from '../../protocol/errors.js';
import { EvictionWatch } from './eviction-watch.js';
import { SLOTS, slotOf } from './partition.js';
import { isReply, PROBE_INTERVAL_MS, RedisMaster, type Script, tagOf } from './redis-master.js';
import { TopologySource, type Topology } from './redis-topology.js';
import { SentinelWatch } from './sentinel-watch.js';
import { type Address, nameOf, parseAddress, parseRedisUrl, type RedisTarget } from './redis-url.js';

/** Without any doubt the topology is asked for this often, ms: a notice of a change can be lost. */
const TOPOLOGY_INTERVAL_MS = 5_000;
/** In doubt it is asked for this often at most, ms; a random part is added, so that workers do not ask in step. */
const TOPOLOGY_PAUSE_MS = 200;
/** Each master is asked this often whether it has thrown keys away, ms; so often at most everything is looked at again. */
const EVICTIONS_INTERVAL_MS = 5_000;
/** A call whose slot is on the move waits this long for its new place, ms. */
const MOVE_TIMEOUT_MS = 2_000;
/** Calls that may wait so; past it they are refused at once. */
const MOVING_LIMIT = 2_000;

export interface RedisConnectionOptions {
  /** As in REDIS_URL. */
  url: string;
  /** How many replicas must have what was accepted; 0: its master is enough. */
  waitReplicas?: number;
  /** How long a change must last before webhooks tell of it, ms; null: there are none. */
  debounceMs?: number | null;
  /** Counts failures by kind. */
  count(kind: string): void;
  /** Channels are heard again after an interruption: what was published meanwhile is lost. */
  reconnected(): void;
  /** A master has thrown keys away, and nobody knows which. */
  evicted(): void;
  /** Calls go to another server than before, or to another run of it: it may not have what was accepted last. */
  succeeded(): void;
}

export class RedisConnection {
  private readonly source: TopologySource;
  private readonly target: RedisTarget;
  private readonly scripts: Script[];
  private readonly masters = new Map<string, RedisMaster>();
  /** The master of each slot; all the same without a cluster. */
  private owners: (RedisMaster | undefined)[] = [];
  /** Names of the last ones, also of slots that nobody owns now. */
  private readonly formerOwners: string[] = [];
  /** By name, which reign of a master accepted what was accepted last; of a new one, that of the one before it. */
  private readonly reigns = new Map<string, string>();
  private readonly listeners = new Map<string, (channel: string, bytes: Buffer) => void>();
  /** Channels that were listened to before: to hear them again means that something was missed. */
  private readonly heardBefore = new Set<string>();
  private readonly poller: NodeJS.Timeout;
  private readonly evictions: EvictionWatch;
  private readonly sentinels: SentinelWatch;
  private refreshing: Promise<void> | null = null;
  private refreshedAt = -Infinity;
  private moving = 0;
  private closed = false;

  private constructor(private readonly options: RedisConnectionOptions) {
    this.scripts = readScripts(options.debounceMs ?? null);
    this.target = parseRedisUrl(options.url);
    this.source = new TopologySource(this.target);
    this.poller = setInterval(() => {
      const isWell = this.owners.length > 0 && [...this.masters.values()].every(({ isReady }) => isReady);
      if (!isWell || performance.now() - this.refreshedAt >= TOPOLOGY_INTERVAL_MS) void this.refresh();
    }, PROBE_INTERVAL_MS);
    this.poller.unref();
    this.sentinels = new SentinelWatch(this.target, () => {
      // A question that is on its way may get the answer of before.
      const running = this.refreshing ?? Promise.resolve();
      void running.then(() => this.refresh());
    });
    this.evictions = new EvictionWatch(EVICTIONS_INTERVAL_MS, {
      masters: () => this.masters.values(),
      evicted: () => {
        options.count('evicted');
        options.evicted();
      },
    });
  }

  /** @throws GatewayError `unavailable` where too few masters can be reached at the start */
  static async open(options: RedisConnectionOptions): Promise<RedisConnection> {
    const connection = new RedisConnection(options);
    const topology = await connection.source.resolve([]);
    const starting = topology === null ? [] : connection.apply(topology);
    await Promise.all(starting);
    if (connection.ready) {
      await connection.evictions.look();
      return connection;
    }
    await connection.close();
    const master = [...connection.masters.values()].find(({ isReady }) => !isReady);
    const reason = master?.problem ?? connection.source.problem;
    throw new GatewayError('unavailable', `no connection to Redis: ${reason}`);
  }

  /** Whether it serves now: all of one Redis, most of a cluster, whose other part refuses its own calls only. */
  get ready(): boolean {
    if (this.listeners.size === 0) {
      let slots = 0;
      for (const owner of this.owners) if (owner?.isReady === true) slots++;
      return slots * 2 > SLOTS;
    }
    let heard = 0;
    for (const master of this.masters.values()) if (master.isReady) heard += master.listensTo;
    return heard * 2 > this.listeners.size;
  }

  /** How scripts publish: in a cluster to the master of the channel's slot alone. */
  get publishCommand(): 'PUBLISH' | 'SPUBLISH' {
    return this.target.kind === 'cluster' ? 'SPUBLISH' : 'PUBLISH';
  }

  /** Whether one script may touch several partitions: all are on one server. */
  get spansPartitions(): boolean {
    return this.target.kind !== 'cluster';
  }

  /** Whether a call for this key or channel has a chance now. */
  reaches(key: string): boolean {
    return this.ownerOf(key)?.isReady === true;
  }

  /** The setting of each master that decides whether it may throw away what it has accepted. */
  async evictionPolicies(): Promise<string[]> {
    return Promise.all(
      [...this.masters.values()].map(async (master) => {
        // CONFIG is forbidden in many hosted services, INFO in none.
        const info = await master.call((data) => data.info('memory')).catch(() => '');
        return /maxmemory_policy:(\S+)/.exec(info)?.[1] ?? 'unknown';
      }),
    );
  }

  /** Runs a script of ./scripts; strings come back as strings. */
  script(name: string, base: string, ...args: (string | number | Buffer)[]): Promise<unknown> {
    return this.run(base, (master) => master.script(`sb_${name}`, [base, ...args]));
  }

  /** The same with strings as bytes. */
  scriptBuffer(name: string, base: string, ...args: (string | number | Buffer)[]): Promise<unknown> {
    return this.run(base, (master) => master.script(`sb_${name}Buffer`, [base, ...args]));
  }

  /**
   * Resolves when as many replicas as are demanded have what was accepted before.
   * @throws GatewayError `unknown_outcome` where they have not: it may be lost with its master
   */
  async replicated(base: string): Promise<void> {
    await this.ownerOf(base)?.replicated(base);
  }

  /** Resolves with the number of connections that Redis passed it to. */
  publish(channel: string, bytes: Buffer): Promise<number> {
    return this.run(channel, (master) => master.publish(channel, bytes));
  }

  /** A lock that ends by itself; false when somebody else has it. */
  async lock(key: string, ms: number): Promise<boolean> {
    const reply = await this.run(key, (master) => master.call((data) => data.set(key, '1', 'PX', ms, 'NX')));
    return reply === 'OK';
  }

  lexRange(key: string, from: string, to: string, limit: number): Promise<string[]> {
    return this.run(key, (master) =>
      master.call((data) => data.zrangebylex(key, from, to, 'LIMIT', 0, limit)),
    );
  }

  /** Whether a sorted set has the member. */
  async hasMember(key: string, member: string): Promise<boolean> {
    return (await this.run(key, (master) => master.call((data) => data.zscore(key, member)))) !== null;
  }

  strike(key: string, task: string): Promise<unknown> {
    return this.run(key, (master) => master.call((data) => data.zrem(key, task)));
  }

  /**
   * Listens to channels from now on, also after interruptions and wherever they move.
   * @throws GatewayError `unavailable` where most of them cannot be heard now
   */
  async subscribe(channels: string[], listener: (channel: string, bytes: Buffer) => void): Promise<void> {
    for (const channel of channels) this.listeners.set(channel, listener);
    await this.assign();
    if (!this.ready) throw new GatewayError('unavailable', 'Redis does not let this worker subscribe');
  }

  close(): Promise<void> {
    this.closed = true;
    clearInterval(this.poller);
    this.evictions.close();
    this.sentinels.close();
    for (const master of this.masters.values()) master.close();
    return Promise.resolve();
  }

  private ownerOf(key: string): RedisMaster | undefined {
    return this.owners[this.target.kind === 'cluster' ? slotOf(tagOf(key)) : 0];
  }

  private async run<Result>(key: string, command: (master: RedisMaster) => Promise<Result>): Promise<Result> {
    const master = this.ownerOf(key);
    if (master === undefined) throw new GatewayError('unavailable');
    try {
      return await command(master);
    } catch (error) {
      return this.again(error, master, key, command);
    }
  }

  /** After a failure: at another master where this one says so, surely without having done anything. */
  private async again<Result>(
    cause: unknown,
    refusing: RedisMaster,
    key: string,
    command: (master: RedisMaster) => Promise<Result>,
  ): Promise<Result> {
    const deadline = performance.now() + MOVE_TIMEOUT_MS;
    let [error, master] = [cause, refusing];
    for (let redirects = 0; isRedirect(error) && performance.now() < deadline; redirects++) {
      if (this.moving >= MOVING_LIMIT) break;
      this.moving++;
      try {
        await this.redirect(error.message, master, redirects);
      } finally {
        this.moving--;
      }
      master = this.ownerOf(key) ?? master;
      // A master that was not known before may still be connecting.
      if (!master.isReady) continue;
      try {
        return await command(master);
      } catch (newer) {
        error = newer;
      }
    }
    throw this.explain(error);
  }

  /**
   * MOVED names the new master. ASK says that the slot is on the way: keys that exist are still here, and a script must
   * see all keys of its partition or none, so that it waits until the move is over.
   */
  private async redirect(message: string, from: RedisMaster, redirects: number): Promise<void> {
    const [kind, slot, place = ''] = message.split(' ');
    if (kind !== 'MOVED') {
      await pause(20 + Math.random() * 80);
      return;
    }
    const address = parseAddress(place);
    const host = address?.host === '' ? from.name.slice(0, from.name.lastIndexOf(':')) : address?.host;
    const master = this.masters.get(`${host ?? ''}:${String(address?.port)}`);
    const refreshed = this.refresh();
    if (master !== undefined && redirects === 0) this.owners[Number(slot)] = master;
    else await refreshed;
  }

  /** An error reply means that Redis refused; a lost connection or a time-out that nobody knows. */
  private explain(cause: unknown): GatewayError {
    if (cause instanceof GatewayError) return cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    if (isReply(cause)) {
      this.options.count('reply');
      return new GatewayError('unavailable', undefined, { cause });
    }
    if (message.includes("isn't writeable")) return new GatewayError('unavailable', undefined, { cause });
    this.options.count('unknown_outcome');
    return new GatewayError('unknown_outcome', undefined, { cause });
  }

  /** Asks who the masters are, one question at a time and not too often; resolves when the answer is in force. */
  private refresh(): Promise<void> {
    this.refreshing ??= this.refreshNow().finally(() => {
      this.refreshing = null;
    });
    return this.refreshing;
  }

  private async refreshNow(): Promise<void> {
    const since = performance.now() - this.refreshedAt;
    await pause(Math.max(0, TOPOLOGY_PAUSE_MS * (1 + Math.random()) - since));
    if (this.closed) return;
    const connections = [...this.masters.values()].map(({ connection }) => connection);
    const topology = await this.source.resolve(connections.filter((connection) => connection !== null));
    this.refreshedAt = performance.now();
    // Who does not answer says nothing: the masters that are known stay.
    if (topology === null) this.options.count('topology');
    else void this.apply(topology);
  }

  /** @returns what new masters need to start */
  private apply({ masters }: Topology): Promise<void>[] {
    if (this.closed) return [];
    const starting: Promise<void>[] = [];
    const owners: (RedisMaster | undefined)[] = Array<undefined>(SLOTS).fill(undefined);
    for (const { address, slots } of masters) {
      const name = nameOf(address);
      let master = this.masters.get(name);
      if (master === undefined) {
        master = this.createMaster(address);
        this.masters.set(name, master);
        starting.push(master.start());
      }
      for (const [from, to] of slots) owners.fill(master, from, to + 1);
    }
    this.inherit(owners);
    this.owners = owners;
    const used = new Set(owners);
    for (const [name, master] of this.masters) {
      if (used.has(master)) continue;
      this.masters.delete(name);
      // What is under way there may still be answered, or not: it is nobody's truth any more.
      master.close();
    }
    void this.assign();
    return starting;
  }

  /** Slots of a master that is none any more go to others. Slots that move between two masters lose nothing. */
  private inherit(owners: readonly (RedisMaster | undefined)[]): void {
    const remaining = new Set(owners.map((owner) => owner?.name));
    const reigns = new Map(this.reigns);
    for (const [slot, heir] of owners.entries()) {
      if (heir === undefined) continue;
      const former = this.formerOwners[slot];
      this.formerOwners[slot] = heir.name;
      if (former === undefined || remaining.has(former)) continue;
      const reign = reigns.get(former);
      if (reign !== undefined) this.reigns.set(heir.name, reign);
    }
  }

  /** After a failover, or a restart. The first replica of a master begins a new reign too, which does no harm. */
  private noteReign(name: string, reign: string): void {
    const before = this.reigns.get(name);
    this.reigns.set(name, reign);
    if (before !== undefined && before !== reign) this.options.succeeded();
  }

  private createMaster(address: Address): RedisMaster {
    return new RedisMaster({
      target: this.target,
      address,
      scripts: this.scripts,
      waitReplicas: this.options.waitReplicas ?? 0,
      count: (kind) => {
        this.options.count(kind);
      },
      heard: (channel, bytes) => this.listeners.get(channel)?.(channel, bytes),
      listening: (channels) => {
        this.noteListening(channels);
      },
      reigns: (reign) => {
        this.noteReign(nameOf(address), reign);
      },
      doubt: () => void this.refresh(),
    });
  }

  /** Each master listens to the channels of its slots. */
  private async assign(): Promise<void> {
    const channels = new Map<RedisMaster, Set<string>>();
    for (const master of this.masters.values()) channels.set(master, new Set());
    for (const channel of this.listeners.keys()) {
      const owner = this.ownerOf(channel);
      if (owner !== undefined) channels.get(owner)?.add(channel);
    }
    await Promise.all([...channels].map(([master, wanted]) => master.listen(wanted)));
  }

  /** Only once a channel is heard again is it time to ask what was missed; and before anything is heard on it. */
  private noteListening(channels: readonly string[]): void {
    let missed = false;
    for (const channel of channels) {
      if (this.heardBefore.has(channel)) missed = true;
      else this.heardBefore.add(channel);
    }
    if (missed && !this.closed) this.options.reconnected();
  }
}

function readScripts(debounceMs: number | null): Script[] {
  const directory = new URL('./scripts/', import.meta.url);
  // A constant of the text, so that nothing is sent with each call.
  const debounce = `local debounce = ${debounceMs === null ? 'nil' : String(debounceMs)}`;
  const prelude = `${debounce}\n${readFileSync(new URL('prelude.lua', directory), 'utf8')}`;
  return readdirSync(directory)
    .filter((file) => file !== 'prelude.lua' && file.endsWith('.lua'))
    .map((file) => ({
      name: `sb_${file.slice(0, -'.lua'.length)}`,
      lua: `${prelude}\n${readFileSync(new URL(file, directory), 'utf8')}`,
    }));
}

function isRedirect(error: unknown): error is Error {
  return isReply(error) && /^(MOVED|ASK|TRYAGAIN) /.test(error.message);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
