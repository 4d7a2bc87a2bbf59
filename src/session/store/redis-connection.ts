// Connections to Redis that fail fast and say what they know: surely not done, or perhaps done.
import { readFileSync, readdirSync } from 'node:fs';
import { Redis, type RedisOptions } from 'ioredis';
import { GatewayError } from '../../protocol/errors.js';

/** A command without reply by then is given up; Redis may still execute it later, ms. */
const COMMAND_TIMEOUT_MS = 2_000;
/** Commands of one worker that may be under way; past it calls are refused at once. */
const PENDING_LIMIT = 20_000;
/** Both connections are asked for a sign of life this often, ms; a dead peer may never say that it is dead. */
const PROBE_INTERVAL_MS = 1_000;

type Command = (...args: (string | number | Buffer)[]) => Promise<unknown>;

export interface RedisConnectionOptions {
  url: string;
  /** Counts failures by kind. */
  count(kind: string): void;
  /** The subscriber came back after an interruption: what was published meanwhile is lost. */
  reconnected(): void;
}

/** Options of every connection: ioredis' own would resend writes whose reply was lost, and wait for ever. */
function optionsOf(): RedisOptions {
  return {
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    connectTimeout: 2_000,
    commandTimeout: COMMAND_TIMEOUT_MS,
    // A peer that hangs does not answer a FIN either.
    disconnectTimeout: 50,
    autoResubscribe: false,
    keepAlive: 10_000,
    retryStrategy: (attempt) =>
      Math.round(Math.random() * Math.min(2_000, 50 * 2 ** Math.min(attempt, 6))) + 20,
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 1 : false),
  };
}

/** Commands of one tick are written at once; appends come in batches already, and would only wait for another tick. */
const PIPELINING = { enableAutoPipelining: true, autoPipeliningIgnoredCommands: ['sb_append'] };

export class RedisConnection {
  private readonly data: Redis;
  private readonly subscriber: Redis;
  private readonly scripts = new Map<string, Command>();
  private readonly listeners = new Map<string, (channel: string, bytes: Buffer) => void>();
  private readonly prober: NodeJS.Timeout;
  private pending = 0;
  /** What a connection failed of last; what its commands say then is only that it is closed. */
  private trouble: string | null = null;
  /** Connections that were ended and are not closed yet. */
  private readonly ending = new Set<Redis>();
  /** Whether every channel is subscribed to on the present connection. */
  private listening = true;

  private constructor(private readonly options: RedisConnectionOptions) {
    this.data = new Redis(options.url, { ...optionsOf(), ...PIPELINING });
    this.subscriber = new Redis(options.url, optionsOf());
    for (const connection of [this.data, this.subscriber]) {
      connection.on('error', ({ message }: Error) => {
        // The text alone: the error of a refused login carries the password.
        this.trouble = message;
        options.count('connection');
      });
      connection.on('close', () => {
        this.ending.delete(connection);
      });
    }
    this.subscriber.on('close', () => {
      this.listening = this.listeners.size === 0;
    });
    this.subscriber.on('ready', () => {
      if (!this.listening) void this.resubscribe();
    });
    this.subscriber.on('messageBuffer', (name: Buffer, bytes: Buffer) => {
      const channel = name.toString('utf8');
      this.listeners.get(channel)?.(channel, bytes);
    });
    this.defineScripts();
    this.prober = setInterval(() => {
      this.probe();
    }, PROBE_INTERVAL_MS);
    this.prober.unref();
  }

  /** @throws GatewayError `unavailable` where Redis cannot be reached at the start */
  static async open(options: RedisConnectionOptions): Promise<RedisConnection> {
    const connection = new RedisConnection(options);
    try {
      await Promise.all([connection.data.connect(), connection.subscriber.connect()]);
    } catch (cause) {
      await connection.close();
      const reason = connection.trouble ?? (cause instanceof Error ? cause.message : String(cause));
      throw new GatewayError('unavailable', `no connection to Redis: ${reason}`);
    }
    return connection;
  }

  get ready(): boolean {
    return (
      this.data.status === 'ready' &&
      this.subscriber.status === 'ready' &&
      this.listening &&
      this.ending.size === 0
    );
  }

  /** Whether one script may touch several partitions: all are on one server. */
  readonly spansPartitions: boolean = true;

  /** The setting that decides whether Redis may throw away what it has accepted. */
  async evictionPolicy(): Promise<string> {
    const [, policy] = (await this.run(() => this.data.config('GET', 'maxmemory-policy'))) as string[];
    return policy ?? 'unknown';
  }

  /** Runs a script of ./scripts; strings come back as strings. */
  script(name: string, base: string, ...args: (string | number | Buffer)[]): Promise<unknown> {
    return this.run(() => this.command(name)(base, ...args));
  }

  /** The same with strings as bytes. */
  scriptBuffer(name: string, base: string, ...args: (string | number | Buffer)[]): Promise<unknown> {
    return this.run(() => this.command(`${name}Buffer`)(base, ...args));
  }

  publish(channel: string, bytes: Buffer): Promise<unknown> {
    return this.run(() => this.data.publish(channel, bytes));
  }

  /** A lock that ends by itself; false when somebody else has it. */
  async lock(key: string, ms: number): Promise<boolean> {
    return (await this.run(() => this.data.set(key, '1', 'PX', ms, 'NX'))) === 'OK';
  }

  lexRange(key: string, from: string, to: string, limit: number): Promise<string[]> {
    return this.run(() => this.data.zrangebylex(key, from, to, 'LIMIT', 0, limit));
  }

  /** Whether a sorted set has the member. */
  async hasMember(key: string, member: string): Promise<boolean> {
    return (await this.run(() => this.data.zscore(key, member))) !== null;
  }

  strike(key: string, task: string): Promise<unknown> {
    return this.run(() => this.data.zrem(key, task));
  }

  async subscribe(channels: string[], listener: (channel: string, bytes: Buffer) => void): Promise<void> {
    for (const channel of channels) this.listeners.set(channel, listener);
    await this.subscriber.subscribe(...channels);
  }

  close(): Promise<void> {
    clearInterval(this.prober);
    this.data.disconnect();
    this.subscriber.disconnect();
    return Promise.resolve();
  }

  private defineScripts(): void {
    const directory = new URL('./scripts/', import.meta.url);
    const prelude = readFileSync(new URL('prelude.lua', directory), 'utf8');
    for (const file of readdirSync(directory)) {
      if (file === 'prelude.lua' || !file.endsWith('.lua')) continue;
      const name = file.slice(0, -'.lua'.length);
      const lua = `${prelude}\n${readFileSync(new URL(file, directory), 'utf8')}`;
      this.data.defineCommand(`sb_${name}`, { numberOfKeys: 1, lua });
    }
  }

  private command(name: string): Command {
    let command = this.scripts.get(name);
    if (command === undefined) {
      const method: unknown = Reflect.get(this.data, `sb_${name}`);
      if (typeof method !== 'function') throw new TypeError(`there is no script ${name}`);
      // defineCommand adds methods that its types cannot know.
      this.scripts.set(name, (command = (method as Command).bind(this.data)));
    }
    return command;
  }

  private async run<Result>(command: () => Promise<Result>): Promise<Result> {
    if (!this.ready || this.pending >= PENDING_LIMIT) throw new GatewayError('unavailable');
    this.pending++;
    try {
      return await command();
    } catch (error) {
      throw this.explain(error);
    } finally {
      this.pending--;
    }
  }

  /** An error reply means that Redis refused; a lost connection or a time-out that nobody knows. */
  private explain(cause: unknown): GatewayError {
    const message = cause instanceof Error ? cause.message : String(cause);
    if (cause instanceof Error && cause.name === 'ReplyError') {
      this.options.count('reply');
      return new GatewayError('unavailable', undefined, { cause });
    }
    if (message.includes("isn't writeable")) return new GatewayError('unavailable', undefined, { cause });
    this.options.count('unknown_outcome');
    if (message === 'Command timed out') this.hangUp(this.data);
    return new GatewayError('unknown_outcome', undefined, { cause });
  }

  private probe(): void {
    for (const connection of [this.data, this.subscriber]) {
      if (connection.status !== 'ready') continue;
      connection.ping().catch(() => {
        this.hangUp(connection);
      });
    }
  }

  /** Only once every channel is heard again is it time to ask what was missed. */
  private async resubscribe(): Promise<void> {
    try {
      await this.subscriber.subscribe(...this.listeners.keys());
    } catch {
      this.hangUp(this.subscriber);
      return;
    }
    this.listening = true;
    this.options.reconnected();
  }

  /** Ends a connection that hangs; a new one is made. */
  private hangUp(connection: Redis): void {
    if (connection.status !== 'ready' || this.ending.has(connection)) return;
    this.ending.add(connection);
    connection.disconnect(true);
  }
}
