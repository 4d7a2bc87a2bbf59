// One Redis master: a connection for commands and one that listens, both of which have to prove that they work.
import { Redis } from 'ioredis';
import { GatewayError } from '../../protocol/errors.js';
import { slotOf } from './partition.js';
import { ReplicaWait } from './redis-replication.js';
import { connectionOptions } from './redis-topology.js';
import { type Address, nameOf, type RedisTarget } from './redis-url.js';

/** A command without reply by then is given up; Redis may still execute it later, ms. */
const COMMAND_TIMEOUT_MS = 2_000;
/** Commands of one worker to one master that may be under way; past it calls are refused at once. */
const PENDING_LIMIT = 20_000;
/** And the bytes that they carry. */
const PENDING_LIMIT_BYTES = 64 * 1024 * 1024;
/** Both connections are asked for a sign of life this often, ms; a dead peer may never say that it is dead. */
export const PROBE_INTERVAL_MS = 1_000;
/** A listener that has heard nothing at all for so many intervals after a probe is deaf. */
const SILENT_INTERVALS = 2;
/** So is one that hears others and not the probe: a slow network takes its time, but not this long. */
const PROBE_INTERVALS = 30;
/** Commands of one tick are written at once; appends come in batches already, and would only wait for another tick. */
const PIPELINING = { enableAutoPipelining: true, autoPipeliningIgnoredCommands: ['sb_append'] };
/** A probe is no event and no batch: both begin with something else. */
const PROBE = Buffer.from('\0probe');

export interface Script {
  name: string;
  lua: string;
}
type Command = (...args: (string | number | Buffer)[]) => Promise<unknown>;

export interface RedisMasterOptions {
  target: RedisTarget;
  address: Address;
  scripts: readonly Script[];
  /** How many replicas must have what was accepted. */
  waitReplicas: number;
  /** Counts failures by kind. */
  count(kind: string): void;
  heard(channel: string, bytes: Buffer): void;
  /** These channels are listened to from now on, for the first time or again. */
  listening(channels: readonly string[]): void;
  /** It is a master, as it says once a second and before it is asked for anything else on a new connection. */
  reigns(reign: string): void;
  /** This may not be a master any more, or not of these slots: somebody should look. */
  doubt(): void;
}

export class RedisMaster {
  readonly name: string;
  /** Why it is not ready. */
  problem = 'it is a replica';
  private readonly data: Redis;
  private readonly subscriber: Redis;
  private readonly replicas: ReplicaWait | null;
  private readonly commands = new Map<string, Command>();
  private readonly prober: NodeJS.Timeout;
  /** Connections that were ended and are not closed yet. */
  private readonly ending = new Set<Redis>();
  private pending = 0;
  private pendingBytes = 0;
  /** It said so itself on the present connection. */
  private isMaster = false;
  /** The cluster it belongs to serves nothing now. */
  private isDown = false;
  private wanted: ReadonlySet<string> = new Set();
  /** Channels that are subscribed to on the present connection. */
  private readonly confirmed = new Set<string>();
  private subscribing: Promise<void> | null = null;
  /** How often each connection was lost: what was asked on one is not answered on the next. */
  private readonly lost = { data: 0, subscriber: 0 };
  /** The probe that was not heard yet, and how many intervals ago it was sent. */
  private probe: { channel: string; intervals: number } | null = null;
  private probes = 0;
  private heardSinceProbe = false;
  private closed = false;

  constructor(private readonly options: RedisMasterOptions) {
    this.name = nameOf(options.address);
    const common = {
      ...connectionOptions(options.target, options.address),
      connectTimeout: COMMAND_TIMEOUT_MS,
      commandTimeout: COMMAND_TIMEOUT_MS,
      // A peer that hangs does not answer a FIN either.
      disconnectTimeout: 50,
      retryStrategy: (attempt: number) =>
        Math.round(Math.random() * Math.min(2_000, 50 * 2 ** Math.min(attempt, 6))) + 20,
    };
    this.data = new Redis({ ...common, ...PIPELINING });
    this.subscriber = new Redis(common);
    this.replicas = options.waitReplicas > 0 ? new ReplicaWait(common, options.waitReplicas) : null;
    for (const { name, lua } of options.scripts) this.data.defineCommand(name, { numberOfKeys: 1, lua });
    for (const connection of [this.data, this.subscriber]) this.watch(connection);
    this.prober = setInterval(() => {
      this.check();
    }, PROBE_INTERVAL_MS);
    this.prober.unref();
  }

  /** The first attempt of both connections; more follow by themselves. */
  async start(): Promise<void> {
    await Promise.allSettled([
      this.data.connect().then(() => this.askRole()),
      this.subscriber.connect(),
      this.replicas?.connect(),
    ]);
  }

  /** Whether calls may be made now; where not they would surely fail. */
  get isReady(): boolean {
    return this.isMaster && !this.isDown && this.data.status === 'ready' && !this.ending.has(this.data);
  }

  /** For questions about the topology; null while it has no connection. */
  get connection(): Redis | null {
    return this.data.status === 'ready' && !this.ending.has(this.data) ? this.data : null;
  }

  isListeningTo(channel: string): boolean {
    return this.confirmed.has(channel);
  }

  get listensTo(): number {
    return this.confirmed.size;
  }

  /** @throws GatewayError `unavailable` where nothing was asked, else what the client library throws */
  async call<Result>(command: (data: Redis) => Promise<Result>, bytes = 0): Promise<Result> {
    if (!this.isReady || this.pending >= PENDING_LIMIT || this.pendingBytes + bytes > PENDING_LIMIT_BYTES)
      throw new GatewayError('unavailable');
    this.pending++;
    this.pendingBytes += bytes;
    try {
      return await command(this.data);
    } catch (error) {
      this.learn(error);
      throw error;
    } finally {
      this.pending--;
      this.pendingBytes -= bytes;
    }
  }

  script(name: string, args: (string | number | Buffer)[]): Promise<unknown> {
    let bytes = 0;
    for (const arg of args) if (typeof arg !== 'number') bytes += arg.length;
    return this.call(() => this.command(name)(...args), bytes);
  }

  publish(channel: string, bytes: Buffer): Promise<number> {
    const isCluster = this.options.target.kind === 'cluster';
    return this.call(
      async (data) =>
        Number(await (isCluster ? data.spublish(channel, bytes) : data.publish(channel, bytes))),
      bytes.length,
    );
  }

  /**
   * Resolves when enough replicas have what this master has accepted.
   * @throws GatewayError `unknown_outcome` where they have not in time: the master has it, and may be lost
   */
  async replicated(base: string): Promise<void> {
    if (this.replicas === null) return;
    const lost = this.lost.data;
    try {
      await this.replicas.wait(base);
      // Between the write and the question another server may have taken this address over.
      if (lost === this.lost.data) return;
    } catch {
      // As if it had not been answered.
    }
    this.options.count('replicas');
    throw new GatewayError('unknown_outcome');
  }

  /** Listens to these channels, and to no others, as soon as it can and until told otherwise. */
  async listen(channels: ReadonlySet<string>): Promise<void> {
    this.wanted = channels;
    for (const channel of this.confirmed) if (!channels.has(channel)) this.confirmed.delete(channel);
    await this.subscribe();
  }

  /** Closes both connections; to listen to what another master publishes now would be wrong at once. */
  close(): void {
    this.closed = true;
    clearInterval(this.prober);
    this.confirmed.clear();
    this.data.disconnect();
    this.subscriber.disconnect();
    this.replicas?.close();
  }

  private watch(connection: Redis): void {
    connection.on('error', (error: Error) => {
      this.problem = error.message;
      this.options.count('connection');
      // A server that takes a channel away (its slot moved) says so unasked, which the client library takes for the
      // answer to something: what it says from now on cannot be trusted.
      if (error.message.startsWith('Command queue state error')) this.hangUp(connection);
    });
    connection.on('close', () => {
      this.ending.delete(connection);
      if (connection === this.data) {
        this.isMaster = false;
        this.lost.data++;
      } else {
        this.confirmed.clear();
        this.lost.subscriber++;
      }
      this.doubt();
    });
    connection.on('ready', () => {
      if (connection === this.subscriber) void this.subscribe();
      else void this.askRole();
    });
    if (connection !== this.subscriber) return;
    const event = this.options.target.kind === 'cluster' ? 'smessageBuffer' : 'messageBuffer';
    connection.on(event, (channel: Buffer, bytes: Buffer) => {
      this.heard(channel.toString('utf8'), bytes);
    });
  }

  private heard(channel: string, bytes: Buffer): void {
    this.heardSinceProbe = true;
    if (bytes.equals(PROBE)) {
      if (this.probe?.channel === channel) this.probe = null;
      return;
    }
    // Nothing may come before it was told that something is missing: after a failover the same place can be another entry.
    if (this.confirmed.has(channel)) this.options.heard(channel, bytes);
  }

  private command(name: string): Command {
    let command = this.commands.get(name);
    if (command === undefined) {
      const method: unknown = Reflect.get(this.data, name);
      if (typeof method !== 'function') throw new TypeError(`there is no script ${name}`);
      // defineCommand adds methods that its types cannot know.
      this.commands.set(name, (command = (method as Command).bind(this.data)));
    }
    return command;
  }

  /** A replica takes connections and questions like a master; only it says what it is. */
  private async askRole(): Promise<void> {
    try {
      const info = await this.data.info('replication');
      if (this.closed) return;
      this.isMaster = info.includes('role:master');
      // Redis makes a new one whenever a process begins as a master or becomes one.
      const [, reign] = /^master_replid:(\S+)/m.exec(info) ?? [];
      if (this.isMaster && reign !== undefined) this.options.reigns(reign);
    } catch (error) {
      this.isMaster = false;
      this.learn(error);
    }
    if (!this.isMaster) this.doubt();
  }

  private check(): void {
    // The name of the host may lead elsewhere next time: to the new master.
    if (!this.isMaster) this.hangUp(this.data);
    else if (this.data.status === 'ready') void this.askRole();
    void this.subscribe();
    this.checkListening();
  }

  /** Publishes to itself, to one channel after the other: a subscription can be lost without any error. */
  private checkListening(): void {
    const { probe } = this;
    if (!this.isReady && !this.isDown) {
      // What is not published is not heard.
      this.probe = null;
    } else if (probe === null) {
      this.sendProbe();
    } else {
      probe.intervals++;
      const patience = this.heardSinceProbe ? PROBE_INTERVALS : SILENT_INTERVALS;
      if (probe.intervals < patience) return;
      this.probe = null;
      this.options.count('probe');
      this.hangUp(this.subscriber);
      this.doubt();
    }
  }

  private sendProbe(): void {
    const channels = [...this.confirmed];
    const channel = channels[this.probes++ % Math.max(1, channels.length)];
    if (channel === undefined) return;
    const probe = { channel, intervals: 0 };
    this.probe = probe;
    this.heardSinceProbe = false;
    const isCluster = this.options.target.kind === 'cluster';
    const published = isCluster ? this.data.spublish(channel, PROBE) : this.data.publish(channel, PROBE);
    published.then(
      () => {
        this.isDown = false;
      },
      (error: unknown) => {
        if (this.probe === probe) this.probe = null;
        this.learn(error);
      },
    );
  }

  private async subscribe(): Promise<void> {
    while (this.subscriber.status === 'ready' && !this.ending.has(this.subscriber)) {
      if (this.subscribing !== null) {
        await this.subscribing.catch(() => undefined);
        continue;
      }
      const missing = [...this.wanted].filter((channel) => !this.confirmed.has(channel));
      if (missing.length === 0) return;
      this.subscribing = this.subscribeTo(missing);
      try {
        await this.subscribing;
      } catch (error) {
        // A refusal is tried again with the next sign of life, when somebody may have looked who is responsible.
        if (!isReply(error)) this.hangUp(this.subscriber);
        this.options.count('subscribe');
        this.doubt();
        return;
      } finally {
        this.subscribing = null;
      }
    }
  }

  private async subscribeTo(channels: string[]): Promise<void> {
    const isCluster = this.options.target.kind === 'cluster';
    const groups = isCluster ? [...bySlot(channels)] : [channels];
    const lost = this.lost.subscriber;
    const results = await Promise.allSettled(
      groups.map((group) =>
        isCluster ? this.subscriber.ssubscribe(...group) : this.subscriber.subscribe(...group),
      ),
    );
    // Answered on a connection that is no more.
    if (lost !== this.lost.subscriber) return;
    const done = groups.filter((_, i) => results[i]?.status === 'fulfilled').flat();
    for (const channel of done) if (this.wanted.has(channel)) this.confirmed.add(channel);
    if (done.length > 0) this.options.listening(done);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  /** What an error says about this master. */
  private learn(error: unknown): void {
    const message = error instanceof Error ? error.message : '';
    if (message === 'Command timed out') {
      this.hangUp(this.data);
    } else if (isReply(error)) {
      if (message.startsWith('CLUSTERDOWN The cluster')) this.isDown = true;
      else if (message.startsWith('READONLY')) this.hangUp(this.data);
      else if (!/^(CLUSTERDOWN|MOVED|LOADING|MASTERDOWN)/.test(message)) return;
      this.doubt();
    }
  }

  private doubt(): void {
    if (!this.closed) this.options.doubt();
  }

  /** Ends a connection that hangs, or that leads to the wrong place; a new one is made. */
  private hangUp(connection: Redis): void {
    if (this.closed || connection.status !== 'ready' || this.ending.has(connection)) return;
    this.ending.add(connection);
    connection.disconnect(true);
  }
}

/** Redis answered, and refused. */
export function isReply(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

/** What is between the braces of a key or channel, which decides its slot; without braces all of it. */
export function tagOf(key: string): string {
  const open = key.indexOf('{');
  const close = key.indexOf('}', open + 1);
  return open >= 0 && close > open + 1 ? key.slice(open + 1, close) : key;
}

/** One command subscribes to channels of one slot. */
function bySlot(channels: string[]): Iterable<string[]> {
  const groups = new Map<number, string[]>();
  for (const channel of channels) {
    const slot = slotOf(tagOf(channel));
    const group = groups.get(slot);
    if (group === undefined) groups.set(slot, [channel]);
    else group.push(channel);
  }
  return groups.values();
}
