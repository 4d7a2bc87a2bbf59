// Whether Redis may throw away what it has accepted: told at the start, and refused where the settings say so.
import type { Logger } from 'pino';
import type { RedisConnection } from './redis-connection.js';

export interface EvictionOptions {
  log: Pick<Logger, 'warn' | 'error'>;
  /** Do not start where Redis may evict what it has accepted. */
  requireNoEviction?: boolean;
}

/** @throws EvictionError where it is refused */
export async function refuseEviction(
  redis: Pick<RedisConnection, 'evictionPolicies'>,
  options: EvictionOptions,
): Promise<void> {
  const policies = await redis.evictionPolicies();
  const evicting = policies.filter((policy) => policy !== 'noeviction' && policy !== 'unknown');
  const text =
    'Redis may evict accepted messages and sessions when its memory is full: ' +
    'CONFIG SET maxmemory-policy noeviction on every node, and in its configuration file';
  if (evicting.length > 0 && options.requireNoEviction === true) throw new EvictionError(text);
  if (evicting.length > 0) options.log.error({ policies: evicting }, text);
  else if (policies.includes('unknown'))
    options.log.warn({ policies }, 'Redis does not tell its maxmemory-policy, which must be noeviction');
}

/** REDIS_REQUIRE_NOEVICTION forbids to start with this Redis. */
export class EvictionError extends Error {
  override readonly name = 'EvictionError';
}
