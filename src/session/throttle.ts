// Rate limits of a worker: per connection, per client and per address, in messages and bytes.
import type { Connection } from './connection.js';
import { BucketMap, type Rate, TokenBucket } from './rate-limit.js';

/** Messages and bytes per second of one scope. */
export interface Rates {
  messages: Rate;
  bytes: Rate;
}
export interface ThrottleRates {
  connection: Rates;
  /** All sessions of a client on this worker. */
  client: Rates;
  /** All connections from an address to this worker. */
  address: Rates;
}

/** A debt that takes longer than this to pay is no burst: the connection ends, ms. */
const DEBT_LIMIT_MS = 10_000;
/** Shorter waits are not worth a pause, ms. */
const PAUSE_FROM_MS = 5;

export interface Buckets {
  messages: TokenBucket;
  bytes: TokenBucket;
}

/** What the throttle needs of a session. */
export interface Throttled {
  buckets: Buckets | null;
  readonly ref: { readonly client: string };
  readonly connection: Pick<Connection, 'address' | 'pause' | 'close'>;
}

/** The buckets of one scope that several connections share. */
class Shared {
  private readonly messages: BucketMap;
  private readonly bytes: BucketMap;

  constructor(rates: Rates) {
    this.messages = new BucketMap(rates.messages);
    this.bytes = new BucketMap(rates.bytes);
  }

  take(key: string, messages: number, bytes: number, now: number): number {
    return Math.max(this.messages.take(key, messages, now), this.bytes.take(key, bytes, now));
  }

  prune(now: number): void {
    this.messages.prune(now);
    this.bytes.prune(now);
  }
}

export class Throttle {
  private readonly clients: Shared;
  private readonly addresses: Shared;

  constructor(
    private readonly rates: ThrottleRates,
    private readonly count: (scope: keyof ThrottleRates) => void,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.clients = new Shared(rates.client);
    this.addresses = new Shared(rates.address);
  }

  /**
   * One frame of a session, which counts as `cost` messages: over a rate its connection is read more slowly.
   * @returns false when it is so far over that the connection was closed
   */
  take(session: Throttled, bytes: number, cost = 1, now = this.now()): boolean {
    const { messages, bytes: byteRate } = this.rates.connection;
    const own = (session.buckets ??= {
      messages: new TokenBucket(messages, now),
      bytes: new TokenBucket(byteRate, now),
    });
    const ownMs = Math.max(own.messages.take(cost, now), own.bytes.take(bytes, now));
    const clientMs = this.clients.take(session.ref.client, cost, bytes, now);
    const addressMs = this.addresses.take(session.connection.address, cost, bytes, now);
    return (
      this.slow(session, 'connection', ownMs) &&
      this.slow(session, 'client', clientMs) &&
      this.slow(session, 'address', addressMs)
    );
  }

  /** Forgets the clients and addresses that have been quiet. */
  prune(): void {
    const now = this.now();
    this.clients.prune(now);
    this.addresses.prune(now);
  }

  private slow(session: Throttled, scope: keyof ThrottleRates, waitMs: number): boolean {
    if (waitMs < PAUSE_FROM_MS) return true;
    this.count(scope);
    if (waitMs > DEBT_LIMIT_MS) {
      session.connection.close('rate_limited');
      return false;
    }
    session.connection.pause(waitMs);
    return true;
  }
}
