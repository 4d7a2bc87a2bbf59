// Takes new connections a few at a time, so that a storm of them does not keep those waiting who are served already.
import type { Server, Socket } from 'node:net';

/** Newcomers of one turn of the event loop: some 3 ms of requests, and then everybody else's frames are read. */
const TURN_LIMIT_CONNECTIONS = 16;
/** Connections that may wait, some 4 KiB each; past it they are reset, and come back later. */
const WAITING_LIMIT_CONNECTIONS = 16_384;

export interface TurnstileOptions {
  /** Begins to serve a connection. */
  begin(socket: Socket): void;
  /** One more than may wait was reset. */
  overflow(): void;
}

export class Turnstile {
  /** In the order in which they came. */
  private readonly waiting = new Set<Socket>();
  private passed = 0;
  private timer: NodeJS.Immediate | null = null;

  constructor(private readonly options: TurnstileOptions) {}

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
    if (this.waiting.size === 0 && this.passed < TURN_LIMIT_CONNECTIONS) {
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
    this.waiting.add(socket);
    this.turnLater();
  }

  /** Ends the connections that still wait. */
  close(): void {
    for (const socket of this.waiting) socket.destroy();
    this.waiting.clear();
  }

  private turnLater(): void {
    this.timer ??= setImmediate(this.turn);
  }

  private readonly turn = (): void => {
    this.timer = null;
    this.passed = 0;
    for (const socket of this.waiting) {
      if (this.passed >= TURN_LIMIT_CONNECTIONS) break;
      this.waiting.delete(socket);
      if (socket.destroyed) continue;
      this.passed++;
      socket.off('error', ignore);
      this.options.begin(socket);
    }
    if (this.waiting.size > 0) this.turnLater();
  };
}

function ignore(): void {
  // The socket is destroyed already, and nobody has been served by it.
}
