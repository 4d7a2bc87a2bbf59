// Waits until replicas have what a master accepted, for all calls of a moment with one question.
import { Redis, type RedisOptions } from 'ioredis';

/** Replicas that have not confirmed by then count as missing, ms; in one data centre they need one or two. */
const REPLICAS_TIMEOUT_MS = 200;
/** The key that is written for the question goes by itself, ms. */
const KEY_TTL_MS = 60_000;

/**
 * WAIT holds up the connection that asks, so it has one of its own. It counts what that connection wrote: a write there
 * comes after every write that any connection was answered before.
 */
export class ReplicaWait {
  private readonly connection: Redis;
  private running: Promise<void> = Promise.resolve();
  private next: Promise<void> | null = null;

  constructor(
    options: RedisOptions,
    private readonly replicas: number,
  ) {
    this.connection = new Redis(options);
    // The next question fails, and says so.
    this.connection.on('error', () => undefined);
  }

  connect(): Promise<void> {
    return this.connection.connect();
  }

  /**
   * Resolves when enough replicas have everything that this master answered before the call.
   * @param base beginning of keys that the master is responsible for
   * @throws Error where they have not in time, or nobody knows
   */
  wait(base: string): Promise<void> {
    // A question that is under way may be older than the write: the next one is for all who come meanwhile.
    this.next ??= this.running
      .catch(() => undefined)
      .then(() => {
        this.running = this.ask(`${base}replicated`);
        this.next = null;
        return this.running;
      });
    return this.next;
  }

  close(): void {
    this.connection.disconnect();
  }

  private async ask(key: string): Promise<void> {
    const [, confirmed] = await Promise.all([
      this.connection.set(key, '1', 'PX', KEY_TTL_MS),
      this.connection.wait(this.replicas, REPLICAS_TIMEOUT_MS),
    ]);
    if (confirmed < this.replicas) throw new Error(`${String(confirmed)} replicas confirmed`);
  }
}
