// The claims of the embedded store: which clients are in a pair, or being asked into one, each for a while.
import type { ClientId, PairId } from '../../protocol/ids.js';

export class PairClaims {
  private readonly claims = new Map<ClientId, { pair: PairId; until: number }>();

  /** @param now monotonic ms */
  constructor(private readonly now: () => number) {}

  get size(): number {
    return this.claims.size;
  }

  get(client: ClientId): PairId | null {
    const claim = this.claims.get(client);
    return claim === undefined || claim.until <= this.now() ? null : claim.pair;
  }

  claim(client: ClientId, pair: PairId, leaseMs: number): boolean {
    const held = this.get(client);
    if (held !== null && held !== pair) return false;
    this.claims.set(client, { pair, until: this.now() + leaseMs });
    return true;
  }

  hold(client: ClientId, pair: PairId, leaseMs: number): boolean {
    return this.get(client) === pair && this.claim(client, pair, leaseMs);
  }

  free(client: ClientId, pair: PairId): void {
    if (this.claims.get(client)?.pair === pair) this.claims.delete(client);
  }

  /** Forgets what has lapsed. */
  expire(): void {
    const now = this.now();
    for (const [client, { until }] of this.claims) if (until <= now) this.claims.delete(client);
  }
}
