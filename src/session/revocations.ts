// Tokens and clients that are not welcome any more, as this worker knows them: asked for, so that no lost notice hides one.
import type { ClientId } from '../protocol/ids.js';
import type { Identity } from './authenticator.js';
import { combined } from './store/revocation-list.js';
import type { Revocation, Store } from './store/store.js';

/** How often the store is asked for new ones, ms: a revoked token ends within this time and one answer of the store. */
export const REVOCATIONS_POLL_MS = 2_000;

export class Revocations {
  private readonly clients = new Map<ClientId, Revocation>();
  private readonly tokens = new Map<string, Revocation>();
  private number = 0;

  constructor(
    private readonly store: Pick<Store, 'revocations'>,
    private readonly now: () => number = () => Date.now(),
  ) {}

  /**
   * Asks for those that came since the last time.
   * @returns whether any are in force: also those who were on their way in when it came must be looked at, the next time
   */
  async poll(): Promise<boolean> {
    for (;;) {
      const { revocations, number } = await this.store.revocations(this.number);
      // A store that counts from the beginning has lost what it had; what is known here stays.
      const isAnew = number < this.number;
      this.number = isAnew ? 0 : number;
      if (isAnew) continue;
      if (revocations.length === 0) break;
      for (const revocation of revocations) this.add(revocation);
    }
    this.prune();
    return this.clients.size + this.tokens.size > 0;
  }

  /** A token that does not say when it was issued is as old as it can be. */
  isRevoked({ client, tokenId, issuedAtMs }: Identity): boolean {
    if (tokenId !== null && this.isIn(this.tokens.get(tokenId))) return true;
    const revocation = this.clients.get(client);
    return this.isIn(revocation) && (issuedAtMs ?? 0) <= (revocation?.beforeMs ?? 0);
  }

  private add(revocation: Revocation): void {
    const { id } = revocation;
    if (revocation.kind === 'client')
      this.clients.set(id as ClientId, combined(this.clients.get(id as ClientId), revocation));
    else this.tokens.set(id, combined(this.tokens.get(id), revocation));
  }

  private isIn(revocation: Revocation | undefined): boolean {
    return revocation !== undefined && revocation.untilMs > this.now();
  }

  private prune(): void {
    for (const known of [this.clients, this.tokens] as Map<string, Revocation>[]) {
      for (const [id, revocation] of known) if (!this.isIn(revocation)) known.delete(id);
    }
  }
}
