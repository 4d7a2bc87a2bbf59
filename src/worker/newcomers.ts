// Connections that were let in a moment ago and have not said hello: what they are going to ask for is still to come.

/** Who has said nothing for so long is not about to, ms: it must not keep others from coming in. */
const EXPECTED_MS = 1_000;

export class Newcomers {
  /** In the order in which they came, with the time until which they are expected to speak. */
  private readonly expected = new Map<object, number>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  get size(): number {
    const now = this.now();
    for (const [visit, until] of this.expected) {
      if (until > now) break;
      this.expected.delete(visit);
    }
    return this.expected.size;
  }

  enter(visit: object): void {
    this.expected.set(visit, this.now() + EXPECTED_MS);
  }

  /** It has said hello, or is gone. */
  leave(visit: object): void {
    this.expected.delete(visit);
  }
}
