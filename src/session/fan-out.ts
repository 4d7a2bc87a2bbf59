// The budget of fan-out: what messages become, their bytes once for each who gets them, charged to the client that sends.
import type { Connection } from './connection.js';
import { BucketMap, type Rate } from './rate-limit.js';

/** A receiver counts for so many bytes at least: handing over a small message costs about as much as one of this size. */
const RECEIVER_LEAST_BYTES = 256;
/** A client that owes more than this is refused further fan-out: being read more slowly has not been enough, ms. */
const DEBT_LIMIT_MS = 10_000;
/** Shorter waits are not worth a pause, ms. */
const PAUSE_FROM_MS = 5;

/** What the budget needs of a session. */
export interface Spender {
  readonly ref: { readonly client: string };
  readonly connection: Pick<Connection, 'pause'>;
}

export class FanOut {
  /** Of all sessions of a client on this worker. */
  private readonly clients: BucketMap;

  /** @param count called each time a connection was slowed */
  constructor(
    rate: Rate,
    private readonly count: () => void,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.clients = new BucketMap(rate);
  }

  /** Whether the client may fan out one more message now; where not, it is also read more slowly. */
  allows(session: Spender): boolean {
    return this.take(session, 0) <= DEBT_LIMIT_MS;
  }

  /** A message of so many bytes goes to so many receivers, which for a room is known only once it is on its way. */
  charge(session: Spender, receivers: number, bytes: number): void {
    this.take(session, receivers * Math.max(bytes, RECEIVER_LEAST_BYTES));
  }

  /** Forgets the clients that owe nothing. */
  prune(): void {
    this.clients.prune(this.now());
  }

  /** @returns how long it takes to pay what is owed, ms */
  private take({ ref, connection }: Spender, bytes: number): number {
    const waitMs = this.clients.take(ref.client, bytes, this.now());
    if (waitMs >= PAUSE_FROM_MS) {
      this.count();
      connection.pause(Math.min(waitMs, DEBT_LIMIT_MS));
    }
    return waitMs;
  }
}
