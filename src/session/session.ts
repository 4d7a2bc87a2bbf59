// A session as the worker that holds its connection sees it; what outlives the connection is in the store.
import type { Logger } from 'pino';
import type { CloseCode, Code } from '../protocol/codes.js';
import type { GatewayFrame } from '../protocol/frame.js';
import type { RoomName } from '../protocol/ids.js';
import type { Identity } from './authenticator.js';
import { connectionLogger } from '../log.js';
import type { Connection } from './connection.js';
import type { PreparedFrame } from './prepared-frame.js';
import type { SessionRef } from './store/store.js';
import type { Buckets } from './throttle.js';
import type { Deadline } from './wheel.js';

export type Outcome = 'queued' | 'dropped' | 'cut_off';

const NO_ROOMS: ReadonlySet<RoomName> = new Set();

export class Session {
  /** Null while there are none: sessions that only wait for messages are many. */
  private joined: Set<RoomName> | null = null;
  /** Rooms whose presence events the session wants; null while there are none, which is the common case. */
  watched: Set<RoomName> | null = null;
  /** Requests of this session that wait for their answer. */
  pendingRequests = 0;
  /** Bytes that they hold until then. */
  pendingRequestBytes = 0;
  /** The client said that it is over: nobody waits for it to come back. */
  ended = false;
  /** Monotonic ms of the last bytes from the client. */
  lastHeardAt = 0;
  /** Deadlines that end with the connection. */
  expiryDeadline: Deadline | null = null;
  pingDeadline: Deadline | null = null;
  private roomWork: Promise<void> | null = null;
  private ownLog: Logger | null = null;
  /** The rate buckets of this connection; the throttle's. */
  buckets: Buckets | null = null;

  constructor(
    readonly ref: SessionRef,
    public identity: Identity,
    readonly connection: Connection,
    private readonly outboxLimitBytes: number,
    private readonly rootLog: Logger,
  ) {}

  get rooms(): ReadonlySet<RoomName> {
    return this.joined ?? NO_ROOMS;
  }

  enter(room: RoomName): void {
    (this.joined ??= new Set()).add(room);
  }

  exit(room: RoomName): void {
    this.joined?.delete(room);
    this.watched?.delete(room);
  }

  /** The log with who this is in every line; made at its first line, since most connections never log one. */
  get log(): Logger {
    const { client, session } = this.ref;
    const { address } = this.connection;
    return (this.ownLog ??= connectionLogger(this.rootLog, { client, session, address }));
  }

  logs(level: string): boolean {
    return this.rootLog.isLevelEnabled(level);
  }

  send(frame: GatewayFrame): void {
    this.sendEncoded(this.connection.codec.encodeGateway(frame));
  }

  ok(ref: number, result: unknown): void {
    if (ref !== 0) this.send({ type: 'ok', ref, result });
  }

  refuse(ref: number, code: Code, text: string): void {
    this.send({ type: 'error', ref, code, text });
  }

  /** Passes a message on. A client that reads too slowly loses volatile ones first and its connection at the limit. */
  deliver(frame: PreparedFrame, volatile: boolean): Outcome {
    const queued = this.connection.queuedBytes;
    if (volatile && queued > this.outboxLimitBytes / 2) return 'dropped';
    return this.sendEncoded(frame.for(this.connection.codec));
  }

  /** Runs joins and leaves of this session one after the other, in the order they came. */
  inRoomOrder(work: () => Promise<void>): void {
    // Without work before it, it starts in this tick: a publish that follows a join must not overtake it.
    // Whoever brings work answers for its failure; what slips through must neither stop the queue nor the process.
    const guarded = (): Promise<void> =>
      work().catch((error: unknown) => {
        this.log.warn({ err: error }, 'room work failed');
      });
    const done = this.roomWork === null ? guarded() : this.roomWork.then(guarded);
    this.roomWork = done;
    void done.then(() => {
      if (this.roomWork === done) this.roomWork = null;
    });
  }

  /** Ends the connection with a code; `retryAfterMs` tells a client when to come back. */
  close(code: CloseCode, number: number, retryAfterMs: number): void {
    this.send({ type: 'goaway', close: number, retryAfterMs });
    this.connection.close(code);
  }

  stopDeadlines(): void {
    this.expiryDeadline?.cancel();
    this.pingDeadline?.cancel();
    this.expiryDeadline = null;
    this.pingDeadline = null;
  }

  private sendEncoded(bytes: Uint8Array | string): Outcome {
    if (this.connection.queuedBytes > this.outboxLimitBytes) {
      this.connection.close('slow_consumer');
      return 'cut_off';
    }
    return this.connection.send(bytes) ? 'queued' : 'dropped';
  }
}
