// Which clients are online, as Redis keeps them: a sorted set in each partition.
import { type ClientId, isClientId } from '../../protocol/ids.js';
import { PARTITIONS, partitionOf } from './partition.js';
import type { RedisConnection } from './redis-connection.js';
import type { Page } from './store.js';

/** Partitions that a page of clients asks at once. */
const PARTITIONS_PER_STEP = 32;

export class RedisPresences {
  /** @param base what the keys of a partition begin with */
  constructor(
    private readonly redis: Pick<RedisConnection, 'hasMember' | 'lexRange'>,
    private readonly base: (partition: number) => string,
  ) {}

  has(client: ClientId): Promise<boolean> {
    return this.redis.hasMember(`${this.base(partitionOf(client))}online`, client);
  }

  /** Partition by partition, in each by id; the cursor is `<partition>:<last id>`. */
  async page(query: { prefix: string; cursor: string | null; limit: number }): Promise<Page<ClientId>> {
    const { prefix, cursor, limit } = query;
    const rows: { partition: number; client: ClientId }[] = [];
    let [partition, after] = parseCursor(cursor);
    while (partition < PARTITIONS && rows.length <= limit) {
      const step = Math.min(PARTITIONS_PER_STEP, PARTITIONS - partition);
      const pages = await Promise.all(
        Array.from({ length: step }, (_, i) =>
          this.onlineIn(partition + i, prefix, i === 0 ? after : null, limit + 1),
        ),
      );
      for (const [i, clients] of pages.entries()) {
        for (const client of clients) rows.push({ partition: partition + i, client });
      }
      partition += step;
      after = null;
    }
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    const more = rows.length > limit && last !== undefined;
    return {
      rows: page.map(({ client }) => client),
      cursor: more ? `${String(last.partition)}:${last.client}` : null,
    };
  }

  private async onlineIn(
    partition: number,
    prefix: string,
    after: string | null,
    limit: number,
  ): Promise<ClientId[]> {
    // Names are ASCII: nothing sorts behind the prefix followed by 0xff, and nothing before it has the prefix.
    // A cursor made up by a client may lie before the prefix: names there must not even count.
    const from = after !== null && after >= prefix ? `(${after}` : prefix === '' ? '-' : `[${prefix}`;
    const to = prefix === '' ? '+' : `[${prefix}\u{7f}`;
    const names = await this.redis.lexRange(`${this.base(partition)}online`, from, to, limit);
    return names.filter(isClientId).filter((name) => name.startsWith(prefix));
  }
}

/** A cursor of ours; anything else begins at the beginning. */
function parseCursor(cursor: string | null): [number, string | null] {
  const match = /^(\d{1,3}):(.+)$/.exec(cursor ?? '');
  const partition = Number(match?.[1] ?? 0);
  const after = match?.[2];
  return partition < PARTITIONS && isClientId(after) ? [partition, after] : [0, null];
}
