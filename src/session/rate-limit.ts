// Token buckets for messages and bytes: an honest burst passes, a flood is slowed, a persistent one is cut off.

export interface Rate {
  /** Tokens per second; 0 switches the bucket off. */
  perSecond: number;
  /** Tokens that may be saved up. */
  burst: number;
}

/** Parts of a millisecond that count: sums of fractions are off by less than one of them, and must not pass for a debt. */
const PARTS_PER_MS = 1e6;

/**
 * What a bucket holds, as one number (GCRA, ITU-T I.371): when it is full again, monotonic ms. A bucket that was never
 * used is full since 0.
 * @returns the same after `count` tokens were taken
 */
export function fullAfterTaking({ perSecond }: Rate, fullAt: number, count: number, now: number): number {
  return perSecond === 0 ? 0 : Math.max(fullAt, now) + (count * 1000) / perSecond;
}

/** How long to wait until a bucket's debt is paid, ms; 0 when there is none. */
export function debtMs({ perSecond, burst }: Rate, fullAt: number, now: number): number {
  if (perSecond === 0) return 0;
  const owed = fullAt - now - (burst * 1000) / perSecond;
  return owed <= 0 ? 0 : Math.round(owed * PARTS_PER_MS) / PARTS_PER_MS;
}

/** A bucket may go into debt: the caller then waits as long as it is told before it takes more. Monotonic time only. */
export class TokenBucket {
  private fullAt = 0;

  constructor(private readonly rate: Rate) {}

  /** Takes `count` tokens and returns how long to wait until the debt is paid, ms; 0 when there is none. */
  take(count: number, now: number): number {
    this.fullAt = fullAfterTaking(this.rate, this.fullAt, count, now);
    return debtMs(this.rate, this.fullAt, now);
  }

  /** True when nothing is saved or owed: a bucket in this state can be forgotten. */
  isFull(now: number): boolean {
    return this.fullAt <= now;
  }
}

/** Buckets by key (a client, an address); full ones are forgotten, so that the map holds only who is active. */
export class BucketMap {
  private readonly buckets = new Map<string, TokenBucket>();

  constructor(private readonly rate: Rate) {}

  take(key: string, count: number, now: number): number {
    if (this.rate.perSecond === 0) return 0;
    let bucket = this.buckets.get(key);
    if (bucket === undefined) this.buckets.set(key, (bucket = new TokenBucket(this.rate)));
    return bucket.take(count, now);
  }

  /** Forgets the buckets that are full again. */
  prune(now: number): void {
    for (const [key, bucket] of this.buckets) if (bucket.isFull(now)) this.buckets.delete(key);
  }

  get size(): number {
    return this.buckets.size;
  }
}
