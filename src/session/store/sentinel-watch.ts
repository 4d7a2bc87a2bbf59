// Hears of a failover from the sentinels as soon as they know: the demoted master goes on taking writes that will be lost.
import { Redis } from 'ioredis';
import { sentinelOptions } from './redis-topology.js';
import type { RedisTarget } from './redis-url.js';

/** A sentinel that is away is tried this often, ms. */
const RETRY_MS = 2_000;
/** The first says that a replica is master now, the second that the others follow it; a notice may be lost, so both. */
const CHANNELS = ['+promoted-slave', '+switch-master'];

export class SentinelWatch {
  private readonly connections: Redis[];

  /**
   * Without sentinels nothing is watched.
   * @param changed another server is the master, as one sentinel says; told once by each of them for each step
   */
  constructor(target: RedisTarget, changed: () => void) {
    const sentinels = target.kind === 'sentinel' ? target.addresses : [];
    this.connections = sentinels.map((address) => {
      const redis = new Redis({
        ...sentinelOptions(target, address),
        enableReadyCheck: false,
        retryStrategy: () => RETRY_MS,
      });
      // Who asks for the topology counts what it cannot reach.
      redis.on('error', () => undefined);
      redis.on('ready', () => {
        redis.subscribe(...CHANNELS).catch(() => undefined);
      });
      redis.on('message', (_channel: string, text: string) => {
        if (text.split(' ').includes(target.masterName)) changed();
      });
      redis.connect().catch(() => undefined);
      return redis;
    });
  }

  close(): void {
    for (const connection of this.connections) connection.disconnect();
  }
}
