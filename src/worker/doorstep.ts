// Where a connection stands until its first bytes are here: a plain WebSocket handshake goes straight to its door, all else to Node's HTTP server.
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import { readPlainHandshake } from '../transport/plain-handshake.js';

/** Who has said nothing for so long is Node's to wait for, which ends it in its time, ms: most say all at once. */
const SILENCE_LIMIT_MS = 1_000;
/** So many of those are handed on in one turn of the event loop: each takes some 30 µs, and others are waiting to be heard. */
const HANDED_ON_PER_TURN_LIMIT = 64;

export interface DoorstepOptions {
  /** Past it a header is Node's to refuse. */
  headerLimitBytes: number;
  /** Serves a connection as a server does that has just accepted it. */
  serve(socket: Socket): void;
  upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void;
  now?: () => number;
}

interface Silent {
  cameAt: number;
  /** Takes back all that was there to hear its first bytes. */
  stepOff: () => void;
}

const NOTHING = Buffer.alloc(0);

/**
 * Node's HTTP server takes a third of the time of a handshake: a parser for each connection, a dozen listeners, and all of it undone for the
 * upgrade. A handshake has no body and nothing follows it, so that there is little to read, and nothing that two could read in two ways.
 */
export class Doorstep {
  private readonly now: () => number;
  /** Who has said nothing yet, in the order in which they came. */
  private readonly silent = new Map<Socket, Silent>();
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly options: DoorstepOptions) {
    this.now = options.now ?? (() => performance.now());
    this.timer = setInterval(() => {
      this.handOnSilent();
    }, SILENCE_LIMIT_MS / 2).unref();
  }

  /** Lays a doorstep before a server that is not listening yet. */
  static before(
    server: Server,
    event: 'connection' | 'secureConnection',
    options: Omit<DoorstepOptions, 'serve'>,
  ): Doorstep {
    const served = server.listeners(event);
    server.removeAllListeners(event);
    const serve = (socket: Socket): void => {
      for (const listener of served) Reflect.apply(listener, server, [socket]);
    };
    const doorstep = new Doorstep({ ...options, serve });
    server.on(event, (socket: Socket) => {
      doorstep.enter(socket);
    });
    return doorstep;
  }

  enter(socket: Socket): void {
    const stepOff = (): void => {
      this.silent.delete(socket);
      socket.off('data', first).off('end', leave).off('close', stepOff);
    };
    const first = (bytes: Buffer): void => {
      stepOff();
      this.begin(socket, bytes);
    };
    this.silent.set(socket, { cameAt: this.now(), stepOff });
    socket.on('data', first);
    // Without a listener the error of a socket that nobody else knows yet would end the process.
    socket.on('error', ignore);
    socket.on('end', leave);
    socket.on('close', stepOff);
  }

  /** Ends the connections that have said nothing. */
  close(): void {
    clearInterval(this.timer);
    for (const socket of this.silent.keys()) socket.destroy();
    this.silent.clear();
  }

  private begin(socket: Socket, bytes: Buffer): void {
    const { options } = this;
    const request = readPlainHandshake(bytes, socket, options.headerLimitBytes);
    if (request === null) {
      this.handOn(socket);
      // Those who listen now have not seen it.
      socket.emit('data', bytes);
      return;
    }
    // What comes before the answer waits in the socket: nobody reads it yet.
    socket.pause();
    options.upgrade(request, socket, NOTHING);
    socket.off('error', ignore);
  }

  private handOn(socket: Socket): void {
    this.options.serve(socket);
    socket.off('error', ignore);
  }

  private handOnSilent(): void {
    const since = this.now() - SILENCE_LIMIT_MS;
    let left = HANDED_ON_PER_TURN_LIMIT;
    for (const [socket, { cameAt, stepOff }] of this.silent) {
      if (cameAt > since) return;
      if (left-- === 0) {
        setImmediate(() => {
          this.handOnSilent();
        });
        return;
      }
      stepOff();
      if (!socket.destroyed) this.handOn(socket);
    }
  }
}

function ignore(): void {
  // The socket is destroyed already, and nobody has been served by it.
}

function leave(this: Socket): void {
  this.destroy();
}
