// Token buckets for messages and bytes: an honest burst passes, a flood is slowed, a persistent one is cut off.

export interface Rate {
  /** Tokens per second; 0 switches the bucket off. */
  perSecond: number;
  /** Tokens that may be saved up. */
  burst: number;
}

/** A bucket may go into debt: the caller then waits `waitMs()` before it takes more. Monotonic time only. */
export class TokenBucket {
  private tokens: number;
  private refilledAt: number;

  constructor(
    private readonly rate: Rate,
    now: number,
  ) {
    this.tokens = rate.burst;
    this.refilledAt = now;
  }

  /** Takes `count` tokens and returns how long to wait until the debt is paid, ms; 0 when there is none. */
  take(count: number, now: number): number {
    const { perSecond, burst } = this.rate;
    if (perSecond === 0) return 0;
    if (this.tokens < burst) {
      this.tokens = Math.min(burst, this.tokens + ((now - this.refilledAt) * perSecond) / 1000);
    }
    this.refilledAt = now;
    this.tokens -= count;
    return this.tokens >= 0 ? 0 : (-this.tokens * 1000) / perSecond;
  }

  /** True when nothing is saved or owed: a bucket in this state can be forgotten. */
  isFull(now: number): boolean {
    const { perSecond, burst } = this.rate;
    return perSecond === 0 || this.tokens + ((now - this.refilledAt) * perSecond) / 1000 >= burst;
  }
}

/** Buckets by key (a client, an address); full ones are forgotten, so that the map holds only who is active. */
export class BucketMap {
  private readonly buckets = new Map<string, TokenBucket>();

  constructor(private readonly rate: Rate) {}

  take(key: string, count: number, now: number): number {
    if (this.rate.perSecond === 0) return 0;
    let bucket = this.buckets.get(key);
    if (bucket === undefined) this.buckets.set(key, (bucket = new TokenBucket(this.rate, now)));
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
