// The public port as this worker has it open: it can rest from accepting while others do, and says how many connections it holds.
import { type ListenOptions, Server } from 'node:net';

/** The number is told again after this time where it has not changed, ms: a worker that says nothing may hang. */
const TELL_AGAIN_MS = 1_000;

export interface ListenerOptions {
  options: ListenOptions;
  /** How many connections the worker holds. */
  connections(): number;
  /** Tells the primary of them, and of the last order that was carried out. */
  tell(connections: number, done: number): void;
  now?: () => number;
}

export class Listener {
  /** How often `step` is to be called, ms: in a storm some hundred connections. */
  static readonly STEP_MS = 50;
  private isOpen = true;
  private closed = false;
  /** The last order that was carried out. */
  private done = 0;
  private told = -1;
  private toldDone = 0;
  private toldAt = -Infinity;
  private readonly now: () => number;

  constructor(
    private readonly server: Server,
    private readonly options: ListenerOptions,
  ) {
    this.now = options.now ?? (() => performance.now());
  }

  open(listening: () => void): void {
    this.server.listen(this.options.options, listening);
  }

  /**
   * Accepts connections from now on, or leaves them to the others; those that are here stay.
   * @param order its number, which is told once it is carried out
   */
  accept(accept: boolean, order: number): void {
    if (this.closed) return;
    if (accept === this.isOpen) {
      this.done = order;
    } else if (accept) {
      this.isOpen = true;
      this.server.listen(this.options.options, () => {
        if (this.isOpen) this.done = order;
      });
    } else {
      this.isOpen = false;
      // Not the HTTP server's own, which would end the connections between two requests too.
      Server.prototype.close.call(this.server);
      this.done = order;
    }
  }

  /** Says how many connections there are, where that has changed or was not said for a while. */
  step(): void {
    const { done } = this;
    const connections = this.options.connections();
    const now = this.now();
    const isKnown = connections === this.told && done === this.toldDone;
    if (this.closed || (isKnown && now - this.toldAt < TELL_AGAIN_MS)) return;
    this.told = connections;
    this.toldDone = done;
    this.toldAt = now;
    this.options.tell(connections, done);
  }

  /** Takes no connection any more. */
  close(): void {
    this.closed = true;
    this.server.close();
  }
}
