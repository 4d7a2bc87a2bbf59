// Rate limits of a worker: per connection, per client and per address, in messages and bytes.
import type { Connection } from './connection.js';
import { BucketMap, type Rate, TokenBucket } from './rate-limit.js';

export interface ThrottleRates {
  messages: Rate;
  bytes: Rate;
  clientMessages: Rate;
  addressMessages: Rate;
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

export class Throttle {
  private readonly clients: BucketMap;
  private readonly addresses: BucketMap;

  constructor(
    private readonly rates: ThrottleRates,
    private readonly count: (scope: string) => void,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.clients = new BucketMap(rates.clientMessages);
    this.addresses = new BucketMap(rates.addressMessages);
  }

  /** One message of a session: over a rate its connection is read more slowly, far over it is closed. */
  take(session: Throttled, bytes: number): void {
    const now = this.now();
    const buckets = (session.buckets ??= {
      messages: new TokenBucket(this.rates.messages, now),
      bytes: new TokenBucket(this.rates.bytes, now),
    });
    this.slow(session, 'messages', buckets.messages.take(1, now));
    this.slow(session, 'bytes', buckets.bytes.take(bytes, now));
    this.slow(session, 'client', this.clients.take(session.ref.client, 1, now));
    this.slow(session, 'address', this.addresses.take(session.connection.address, 1, now));
  }

  prune(): void {
    this.clients.prune(this.now());
    this.addresses.prune(this.now());
  }

  private slow(session: Throttled, scope: string, waitMs: number): void {
    if (waitMs < PAUSE_FROM_MS) return;
    this.count(scope);
    if (waitMs > DEBT_LIMIT_MS) session.connection.close('rate_limited');
    else session.connection.pause(waitMs);
  }
}
