// Sees when a Redis throws keys away: nothing says so to those who need them, only a count among its figures.
import type { RedisMaster } from './redis-master.js';

export interface EvictionWatchOptions {
  masters: () => Iterable<Master>;
  /** At least one key has gone since the masters were asked last. */
  evicted: () => void;
}

type Master = Pick<RedisMaster, 'name' | 'call'>;

export class EvictionWatch {
  /** Keys that each master has thrown away, by its name. */
  private counts = new Map<string, number>();
  private readonly timer: NodeJS.Timeout;

  constructor(
    intervalMs: number,
    private readonly options: EvictionWatchOptions,
  ) {
    this.timer = setInterval(() => void this.look(), intervalMs);
    this.timer.unref();
  }

  close(): void {
    clearInterval(this.timer);
  }

  /** Also to be called once at the beginning: what rises is told from then on. */
  async look(): Promise<void> {
    const masters = [...this.options.masters()];
    const counts = await Promise.all(
      masters.map(async (master) => [master.name, await countOf(master)] as const),
    );
    let hasRisen = false;
    const known = new Map<string, number>();
    for (const [name, count] of counts) {
      const before = this.counts.get(name);
      // What a master threw away before we knew it nobody here has missed; one that starts again counts from 0.
      if (before !== undefined && count !== null && count > before) hasRisen = true;
      const newest = count ?? before;
      if (newest !== undefined) known.set(name, newest);
    }
    this.counts = known;
    if (hasRisen) this.options.evicted();
  }
}

/** Null where it does not say. */
async function countOf(master: Master): Promise<number | null> {
  const info = await master.call((data) => data.info('stats')).catch(() => '');
  const [, count] = /^evicted_keys:(\d+)/m.exec(info) ?? [];
  return count === undefined ? null : Number(count);
}
