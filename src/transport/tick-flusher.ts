// Flushes connections once per tick, so that all frames of a tick leave in one write per socket.

/** What nobody waits for leaves after this time at the latest, ms: a tick of a busy worker, and less than anybody notices. */
const LATE_MS = 2;

export interface Flushable {
  flush(): void;
}

export class TickFlusher {
  private waiting: Flushable[] = [];
  private late: Flushable[] = [];

  /** Flushes at the end of the tick. */
  add(connection: Flushable): void {
    if (this.waiting.length === 0) {
      setImmediate(() => {
        const { waiting } = this;
        this.waiting = [];
        for (const each of waiting) each.flush();
      });
    }
    this.waiting.push(connection);
  }

  /** Flushes some milliseconds later, if the connection has not been flushed until then for something else. */
  addLate(connection: Flushable): void {
    if (this.late.length === 0) {
      setTimeout(() => {
        const { late } = this;
        this.late = [];
        for (const each of late) each.flush();
      }, LATE_MS);
    }
    this.late.push(connection);
  }
}
