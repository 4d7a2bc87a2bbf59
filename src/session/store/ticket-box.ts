// One-time tickets of the embedded store.

/** Tickets that wait to be used at once; the oldest go first. They live for seconds. */
const TICKETS_LIMIT = 100_000;

export class TicketBox {
  private readonly tickets = new Map<string, { value: string; until: number }>();

  /** @param now monotonic ms */
  constructor(private readonly now: () => number) {}

  keep(id: string, value: string, lifeMs: number): void {
    const now = this.now();
    // In the order of insertion, which is nearly that of their ends.
    for (const [old, { until }] of this.tickets) {
      if (until > now && this.tickets.size < TICKETS_LIMIT) break;
      this.tickets.delete(old);
    }
    this.tickets.set(id, { value, until: now + lifeMs });
  }

  redeem(id: string): string | null {
    const ticket = this.tickets.get(id);
    this.tickets.delete(id);
    return ticket === undefined || ticket.until <= this.now() ? null : ticket.value;
  }
}
