// Connections to Redis that fail fast and say what they know: surely not done, or perhaps done.
import { readFileSync, readdirSync } from 'node:fs';
import { Redis, type RedisOptions } from 'ioredis';
import { GatewayError } from '../../protocol/errors.js';

/** A command without reply by then is given up; Redis may still execute it later, ms. */
const COMMAND_TIMEOUT_MS = 2_000;
/** Commands of one worker that may be under way; past it calls are refused at once. */
const PENDING_LIMIT = 20_000;
/** After a time-out calls are refused until a probe succeeds; a probe is sent this often, ms. */
const PROBE_INTERVAL_MS = 250;

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
    keepAlive: 10_000,
    retryStrategy: (attempt) =>
      Math.round(Math.random() * Math.min(2_000, 50 * 2 ** Math.min(attempt, 6))) + 20,
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 1 : false),
  };
}

export class RedisConnection {
  private readonly data: Redis;
  private readonly subscriber: Redis;
  private readonly scripts = new Map<string, Command>();
  private readonly listeners: ((channel: string, bytes: Buffer) => void)[] = [];
  private readonly prober: NodeJS.Timeout;
  private pending = 0;
  private suspect = false;
  private subscribed = false;
  private cut = false;

  private constructor(private readonly options: RedisConnectionOptions) {
    this.data = new Redis(options.url, {
      ...optionsOf(),
      commandTimeout: COMMAND_TIMEOUT_MS,
      enableAutoPipelining: true,
    });
    this.subscriber = new Redis(options.url, { ...optionsOf(), autoResubscribe: true });
    for (const connection of [this.data, this.subscriber]) {
      connection.on('error', () => {
        options.count('connection');
      });
    }
    this.subscriber.on('close', () => {
      this.cut = this.subscribed;
    });
    this.subscriber.on('ready', () => {
      if (!this.cut) return;
      this.cut = false;
      options.reconnected();
    });
    this.subscriber.on('messageBuffer', (channel: Buffer, bytes: Buffer) => {
      const name = channel.toString('utf8');
      for (const listener of this.listeners) listener(name, bytes);
    });
    this.defineScripts();
    this.prober = setInterval(() => void this.probe(), PROBE_INTERVAL_MS);
    this.prober.unref();
  }

  /** @throws GatewayError `unavailable` where Redis cannot be reached at the start */
  static async open(options: RedisConnectionOptions): Promise<RedisConnection> {
    const connection = new RedisConnection(options);
    try {
      await Promise.all([connection.data.connect(), connection.subscriber.connect()]);
    } catch (cause) {
      await connection.close();
      throw new GatewayError('unavailable', 'Redis cannot be reached', { cause });
    }
    return connection;
  }

  get ready(): boolean {
    return this.data.status === 'ready' && this.subscriber.status === 'ready' && !this.suspect;
  }

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
    this.listeners.push((channel, bytes) => {
      if (wanted.has(channel)) listener(channel, bytes);
    });
    const wanted = new Set(channels);
    await this.subscriber.subscribe(...channels);
    this.subscribed = true;
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
    if (message === 'Command timed out') this.suspect = true;
    return new GatewayError('unknown_outcome', undefined, { cause });
  }

  private async probe(): Promise<void> {
    if (!this.suspect || this.data.status !== 'ready') return;
    try {
      await this.data.ping();
      this.suspect = false;
    } catch {
      // Still hanging: the next probe asks again.
    }
  }
}
