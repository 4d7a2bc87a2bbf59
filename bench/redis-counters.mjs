// What a Redis server says that it has done.
import { Redis } from 'ioredis';

/** The Redis beside a server under test says its port when it starts. */
export function redisPortOf(output) {
  const port = /^redis on (\d+)$/m.exec(output)?.[1];
  if (port === undefined) throw new Error('no Redis beside this server');
  return Number(port);
}

/** Commands so far, those of scripts counted one by one. */
export async function commandsProcessed(port) {
  const redis = new Redis(port, { lazyConnect: true });
  try {
    await redis.connect();
    const info = await redis.info('stats');
    return Number(/^total_commands_processed:(\d+)/m.exec(info)?.[1]);
  } finally {
    redis.disconnect();
  }
}
