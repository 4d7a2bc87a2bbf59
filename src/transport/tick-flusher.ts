// Flushes connections once per tick, so that all frames of a tick leave in one write per socket.

export interface Flushable {
  flush(): void;
}

export class TickFlusher {
  private waiting: Flushable[] = [];

  /** Flushes at the end of the tick. */
  add(connection: Flushable): void {
    if (this.waiting.length === 0) {
      setImmediate(() => {
        this.flush();
      });
    }
    this.waiting.push(connection);
  }

  private flush(): void {
    const { waiting } = this;
    this.waiting = [];
    for (const connection of waiting) connection.flush();
  }
}
