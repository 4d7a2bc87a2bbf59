// What tests ask a Redis behind the store's back, whether it is one server or a cluster.
import { Cluster, Redis } from 'ioredis';
import { parseRedisUrl } from '../../../src/session/store/redis-url.js';

export interface RedisAdmin {
  keys(pattern: string): Promise<string[]>;
  pttl(key: string): Promise<number>;
  remove(keys: string[]): Promise<void>;
  timeMs(): Promise<number>;
  /** For each master that listens to some of them: one of these channels. */
  channels(pattern: string): Promise<string[]>;
  publish(channel: string, text: string): Promise<unknown>;
  close(): void;
}

export function connectAdmin(url: string): RedisAdmin {
  const { kind, addresses, masterName } = parseRedisUrl(url);
  const cluster =
    kind === 'cluster'
      ? new Cluster(addresses, { clusterRetryStrategy: () => 50, slotsRefreshInterval: 500 })
      : null;
  const sentinels = kind === 'sentinel' ? { sentinels: addresses, name: masterName } : {};
  const single =
    kind === 'single'
      ? new Redis(url, { retryStrategy: () => 50 })
      : kind === 'sentinel'
        ? new Redis({ ...sentinels, retryStrategy: () => 50 })
        : null;
  const any = cluster ?? single ?? new Redis();
  any.on('error', () => undefined);
  const masters = (): Redis[] => (single === null ? (cluster?.nodes('master') ?? []) : [single]);
  return {
    keys: async (pattern) => {
      // The first command finds the nodes.
      await any.exists('x');
      return (await Promise.all(masters().map((master) => master.keys(pattern)))).flat();
    },
    pttl: (key) => any.pttl(key),
    remove: async (keys) => {
      await Promise.all(keys.map((key) => any.del(key)));
    },
    timeMs: async () => {
      const [seconds = 0, micros = 0] = (await any.time()).map(Number);
      return seconds * 1000 + micros / 1000;
    },
    channels: async (pattern) => {
      await any.exists('x');
      const kindOf = cluster === null ? 'CHANNELS' : 'SHARDCHANNELS';
      const found = await Promise.all(masters().map((master) => master.call('PUBSUB', kindOf, pattern)));
      return found.map((list) => (Array.isArray(list) ? String(list[0] ?? '') : '')).filter(Boolean);
    },
    publish: (channel, text) => (cluster === null ? any.publish(channel, text) : any.spublish(channel, text)),
    close: () => {
      any.disconnect();
    },
  };
}
