// Lets connections in a few at a time, so that a storm of them does not keep those waiting who were let in before.
import type { Server, Socket } from 'node:net';

/** Newcomers of one turn of the event loop: some 3 ms of handshakes, and then everybody else's frames are read. */
const TURN_LIMIT_CONNECTIONS = 16;
/** Handshakes and reads of logs that the store owes us; from here on what was begun is finished first. */
const BEHIND_FROM = 64;
/** Pause between two looks at a store that is behind, ms. */
const LOOK_AGAIN_MS = 5;
/** Whoever has waited this long is let in all the same, ms: the door tells it that there is too much to do. */
const WAIT_LIMIT_MS = 2_000;
/** Connections that may wait, some 4 KiB each; past it they are reset, and come back later. */
const WAITING_LIMIT_CONNECTIONS = 16_384;

export interface TurnstileOptions {
  /** Begins to serve a connection. */
  begin(socket: Socket): void;
  /** What was begun for those who are in and waits for the store. */
  owed(): number;
  /** One more than may wait was reset. */
  overflow(): void;
  now?: () => number;
}

export class Turnstile {
  private readonly now: () => number;
  /** In the order in which they came, with the time. */
  private readonly waiting = new Map<Socket, number>();
  private passed = 0;
  private timer: NodeJS.Timeout | NodeJS.Immediate | null = null;

  constructor(private readonly options: TurnstileOptions) {
    this.now = options.now ?? (() => performance.now());
  }

  /** Puts a turnstile before a server that is not listening yet. */
  static before(server: Server, options: Omit<TurnstileOptions, 'begin'>): Turnstile {
    const served = server.listeners('connection');
    server.removeAllListeners('connection');
    const begin = (socket: Socket): void => {
      for (const serve of served) Reflect.apply(serve, server, [socket]);
    };
    const turnstile = new Turnstile({ ...options, begin });
    server.on('connection', (socket) => {
      turnstile.enter(socket);
    });
    return turnstile;
  }

  enter(socket: Socket): void {
    if (this.waiting.size === 0 && this.passed < TURN_LIMIT_CONNECTIONS && !this.isBehind) {
      this.passed++;
      this.turnLater();
      this.options.begin(socket);
      return;
    }
    if (this.waiting.size >= WAITING_LIMIT_CONNECTIONS) {
      this.options.overflow();
      socket.on('error', ignore);
      socket.resetAndDestroy();
      return;
    }
    // Without a listener the error of a socket that nobody reads yet would end the process.
    socket.on('error', ignore);
    this.waiting.set(socket, this.now());
    this.turnLater();
  }

  /** Ends the connections that still wait. */
  close(): void {
    for (const socket of this.waiting.keys()) socket.destroy();
    this.waiting.clear();
  }

  private turnLater(): void {
    this.timer ??= this.isBehind ? setTimeout(this.turn, LOOK_AGAIN_MS) : setImmediate(this.turn);
  }

  private readonly turn = (): void => {
    this.timer = null;
    this.passed = 0;
    for (const [socket, since] of this.waiting) {
      if (this.passed >= TURN_LIMIT_CONNECTIONS) break;
      if (this.isBehind && this.now() - since < WAIT_LIMIT_MS) break;
      this.waiting.delete(socket);
      if (socket.destroyed) continue;
      this.passed++;
      socket.off('error', ignore);
      this.options.begin(socket);
    }
    if (this.waiting.size > 0) this.turnLater();
  };

  private get isBehind(): boolean {
    return this.options.owed() >= BEHIND_FROM;
  }
}

function ignore(): void {
  // The socket is destroyed already, and nobody has been served by it.
}
