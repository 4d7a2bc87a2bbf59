// Corks sockets and uncorks them once per tick, so that all frames of a tick leave in one write per socket.
import type { Duplex } from 'node:stream';

export class TickFlusher {
  private sockets: Duplex[] = [];
  private flags: { value: boolean }[] = [];

  /** Corks until the end of the tick, when it sets `corked.value` to false again. */
  cork(socket: Duplex, corked: { value: boolean }): void {
    socket.cork();
    if (this.sockets.length === 0) {
      setImmediate(() => {
        this.flush();
      });
    }
    this.sockets.push(socket);
    this.flags.push(corked);
  }

  private flush(): void {
    const { sockets, flags } = this;
    this.sockets = [];
    this.flags = [];
    for (const flag of flags) flag.value = false;
    for (const socket of sockets) socket.uncork();
  }
}
