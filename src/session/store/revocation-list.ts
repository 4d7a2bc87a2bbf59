// Revocations of the embedded store: numbered, so that a worker asks only for those it does not know.
import { GatewayError } from '../../protocol/errors.js';
import type { Revocation } from './store.js';

/** Revocations that are kept at once, some 300 bytes each; further ones are refused, since to forget one would let a token in again. */
export const REVOCATIONS_LIMIT = 100_000;
/** Told at once: all of them would be more than a link carries in one message. */
export const REVOCATIONS_PAGE = 1_000;

/** What two revocations of one token or client say together: never less than either, whichever came last. */
export function combined(older: Revocation | undefined, newer: Revocation): Revocation {
  if (older === undefined) return newer;
  return {
    ...newer,
    beforeMs: Math.max(older.beforeMs, newer.beforeMs),
    untilMs: Math.max(older.untilMs, newer.untilMs),
  };
}

export class RevocationList {
  /** In the order of their numbers. */
  private readonly list = new Map<string, Revocation & { number: number }>();
  private last = 0;

  /** @param now wall clock, ms: revocations end when tokens do */
  constructor(private readonly now: () => number = () => Date.now()) {}

  /** @throws GatewayError `limit` */
  add(revocation: Revocation): void {
    const key = revocation.kind + revocation.id;
    const older = this.list.get(key);
    if (older === undefined && this.list.size >= REVOCATIONS_LIMIT) {
      this.prune();
      if (this.list.size >= REVOCATIONS_LIMIT) throw new GatewayError('limit');
    }
    this.list.delete(key);
    this.list.set(key, { ...combined(older, revocation), number: ++this.last });
  }

  since(number: number): { revocations: Revocation[]; number: number } {
    this.prune();
    const revocations: Revocation[] = [];
    for (const { number: own, ...revocation } of this.list.values()) {
      if (own <= number) continue;
      revocations.push(revocation);
      if (revocations.length === REVOCATIONS_PAGE) return { revocations, number: own };
    }
    return { revocations, number: this.last };
  }

  private prune(): void {
    const now = this.now();
    for (const [key, { untilMs }] of this.list) if (untilMs <= now) this.list.delete(key);
  }
}
