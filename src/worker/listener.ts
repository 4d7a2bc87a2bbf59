// The public port as this worker has it open: it can rest from accepting while others do, and says how many connections it holds.
import { closeSync, openSync } from 'node:fs';
import { type ListenOptions, Server } from 'node:net';
import { devNull } from 'node:os';

/** The number is told again after this time where it has not changed, ms: a worker that says nothing may hang. */
const TELL_AGAIN_MS = 500;

/** Node's own method that listens on a handle which the primary has given; "named like this to avoid breaking code that wraps" it. */
const LISTEN_ON_HANDLE = '_listen2';

export interface ListenerOptions {
  options: ListenOptions;
  /** How many connections the worker holds. */
  connections(): number;
  /** Tells the primary of them, null where there is no file descriptor left for one more, and of the last order that was carried out. */
  tell(connections: number | null, done: number): void;
  hasDescriptor?: () => boolean;
  now?: () => number;
}

export class Listener {
  /** How often `step` is to be called, ms: in a storm some hundred connections. */
  static readonly STEP_MS = 50;
  private isOpen = true;
  private closed = false;
  /** The last order that was given, and the last that was carried out. */
  private ordered = 0;
  private done = 0;
  private told: number | null = -1;
  private toldDone = 0;
  private toldAt = -Infinity;
  private readonly now: () => number;
  private readonly hasDescriptor: () => boolean;
  private readonly canHold: boolean;
  /** Whether the primary was asked for the port and has not answered: asked twice at once it would open it twice. */
  private isAsking = false;
  /** Listens on what the primary gave while this worker rested. */
  private listenOnHeld: (() => void) | null = null;

  constructor(
    private readonly server: Server,
    private readonly options: ListenerOptions,
  ) {
    this.now = options.now ?? (() => performance.now());
    this.hasDescriptor = options.hasDescriptor ?? canOpen;
    this.canHold = this.holdWhileResting();
    server.on('listening', () => {
      this.isAsking = false;
      if (this.isOpen) this.done = this.ordered;
    });
  }

  open(listening: () => void): void {
    this.server.once('listening', listening);
    this.ask();
  }

  /**
   * Accepts connections from now on, or leaves them to the others; those that are here stay.
   * @param order its number, which is told once it is carried out
   */
  accept(accept: boolean, order: number): void {
    if (this.closed) return;
    this.ordered = order;
    const isNew = accept !== this.isOpen;
    this.isOpen = accept;
    // What the primary answers later is for what is wanted then.
    if (isNew && !this.isAsking) {
      if (!accept) this.rest();
      else if (this.listenOnHeld === null) this.ask();
      else this.listenOnHeld();
    }
    if (!accept || (!isNew && !this.isAsking)) this.done = order;
  }

  private rest(): void {
    // Not the HTTP server's own, which would end the connections between two requests too.
    Server.prototype.close.call(this.server);
    // Without a descriptor there is nothing to hold it with: the answer of the primary would get lost.
    if (this.canHold && this.hasDescriptor()) this.ask();
  }

  private ask(): void {
    this.isAsking = true;
    this.server.listen(this.options.options);
  }

  /**
   * `cluster` closes the shared socket, with all connections that wait in it, when no worker has it open any more. So who rests has it
   * open too: it asks the primary for it as always, and does not listen on what it gets, so that no newcomer wakes it up.
   * @returns false where Node has no such method any more: then nobody holds
   */
  private holdWhileResting(): boolean {
    const listen: unknown = Reflect.get(this.server, LISTEN_ON_HANDLE);
    if (typeof listen !== 'function') return false;
    Object.assign(this.server, {
      [LISTEN_ON_HANDLE]: (...args: unknown[]): void => {
        this.isAsking = false;
        this.listenOnHeld = (): void => {
          this.listenOnHeld = null;
          Reflect.apply(listen, this.server, args);
        };
        if (this.closed) Server.prototype.close.call(this.server);
        else if (this.isOpen) this.listenOnHeld();
      },
    });
    return true;
  }

  /** Says how many connections there are, where that has changed or was not said for a while. */
  step(): void {
    const { done } = this;
    const connections = this.hasDescriptor() ? this.options.connections() : null;
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

/** A worker without a descriptor is woken up by each newcomer and can take none: that is to be left to others. */
function canOpen(): boolean {
  try {
    closeSync(openSync(devNull, 'r'));
    return true;
  } catch {
    return false;
  }
}
