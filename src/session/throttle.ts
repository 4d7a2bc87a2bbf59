// Rate limits of a worker: per connection, per client and per address, in messages and bytes.
import type { Connection } from './connection.js';
import { debtMs, fullAfterTaking, type Rate } from './rate-limit.js';

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

/** What one scope has used: a bucket of messages and one of bytes. */
export class Usage {
  private messagesFullAt = 0;
  private bytesFullAt = 0;
  /** Nothing is owed, and nobody who comes later finds it: whoever still holds it looks for another. */
  forgotten = false;

  take({ messages, bytes }: Rates, cost: number, size: number, now: number): number {
    this.messagesFullAt = fullAfterTaking(messages, this.messagesFullAt, cost, now);
    this.bytesFullAt = fullAfterTaking(bytes, this.bytesFullAt, size, now);
    return Math.max(debtMs(messages, this.messagesFullAt, now), debtMs(bytes, this.bytesFullAt, now));
  }

  isFull(now: number): boolean {
    return this.messagesFullAt <= now && this.bytesFullAt <= now;
  }
}

/** What a session draws from. It holds them itself: a look-up for each message costs more than the arithmetic. */
export interface Usages {
  readonly connection: Usage;
  client: Usage;
  address: Usage;
}

/** What the throttle needs of a session. */
export interface Throttled {
  usages: Usages | null;
  readonly ref: { readonly client: string };
  readonly connection: Pick<Connection, 'address' | 'pause' | 'close'>;
}

/** The usage of one scope that several connections share, by key; only of who is active. */
class SharedUsages {
  private readonly usages = new Map<string, Usage>();

  of(key: string): Usage {
    let usage = this.usages.get(key);
    if (usage === undefined) this.usages.set(key, (usage = new Usage()));
    return usage;
  }

  prune(now: number): void {
    for (const [key, usage] of this.usages) {
      if (!usage.isFull(now)) continue;
      usage.forgotten = true;
      this.usages.delete(key);
    }
  }
}

export class Throttle {
  private readonly clients = new SharedUsages();
  private readonly addresses = new SharedUsages();

  constructor(
    private readonly rates: ThrottleRates,
    private readonly count: (scope: keyof ThrottleRates) => void,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /**
   * One frame of a session, which counts as `cost` messages: over a rate its connection is read more slowly.
   * @returns false when it is so far over that the connection was closed
   */
  take(session: Throttled, bytes: number, cost = 1, now = this.now()): boolean {
    const { rates } = this;
    const { connection, client, address } = this.usagesOf(session);
    // All of them first: who is cut off for one has used the others too.
    const connectionMs = connection.take(rates.connection, cost, bytes, now);
    const clientMs = client.take(rates.client, cost, bytes, now);
    const addressMs = address.take(rates.address, cost, bytes, now);
    return (
      this.slow(session, 'connection', connectionMs) &&
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

  private usagesOf(session: Throttled): Usages {
    const { ref, connection } = session;
    const usages = (session.usages ??= {
      connection: new Usage(),
      client: this.clients.of(ref.client),
      address: this.addresses.of(connection.address),
    });
    if (usages.client.forgotten) usages.client = this.clients.of(ref.client);
    if (usages.address.forgotten) usages.address = this.addresses.of(connection.address);
    return usages;
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
