// Revocations of the embedded store: numbered, so that a worker asks only for those it does not know.
import type { Revocation } from './store.js';

/** Revocations that are kept at once; a client's newest replaces its older one. */
const REVOCATIONS_LIMIT = 100_000;

export class RevocationList {
  private readonly list = new Map<string, Revocation & { number: number }>();
  private last = 0;

  /** @param now wall clock, ms: revocations end when tokens do */
  constructor(private readonly now: () => number = () => Date.now()) {}

  add(revocation: Revocation): void {
    const key = revocation.kind + revocation.id;
    this.list.delete(key);
    this.list.set(key, { ...revocation, number: ++this.last });
    const oldest = this.list.keys().next();
    if (this.list.size > REVOCATIONS_LIMIT && oldest.done !== true) this.list.delete(oldest.value);
  }

  since(number: number): { revocations: Revocation[]; number: number } {
    const now = this.now();
    const revocations: Revocation[] = [];
    for (const [key, { number: own, ...revocation }] of this.list) {
      if (revocation.untilMs <= now) this.list.delete(key);
      else if (own > number) revocations.push(revocation);
    }
    return { revocations, number: this.last };
  }
}
