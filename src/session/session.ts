// A session as the worker that holds its connection sees it; what outlives the connection is in the store.
import type { Logger } from 'pino';
import type { CloseCode, Code } from '../protocol/codes.js';
import type { GatewayFrame, Payload, PieceFrame } from '../protocol/frame.js';
import type { EventName, RoomName } from '../protocol/ids.js';
import { encodeSender } from '../protocol/msgpack-codec.js';
import type { Identity } from './authenticator.js';
import { connectionLogger } from '../log.js';
import type { Connection, WireFrame } from './connection.js';
import type { PreparedFrame } from './prepared-frame.js';
import type { RecentCalls } from './recent-calls.js';
import type { SessionRef } from './store/store.js';
import type { TurnServer } from '../turn-settings.js';
import type { Usages } from './throttle.js';
import type { Deadline } from './wheel.js';

export type Outcome = 'queued' | 'dropped' | 'cut_off';
/** `full`: the session has to read first; what is kept for it waits in the log. */
export type OfferOutcome = 'queued' | 'dropped' | 'full';

/** When a client that was told to come back should try at the latest, ms: spread, so that it is no storm. */
export const RETRY_SPREAD_MS = 1000;
/** Volatile messages are dropped from half of the outbox on; from this share on the log holds what is kept. */
const LOG_HOLDS_FROM = 0.75;
/** Appends of one session that may be under way; past it the connection is read more slowly, as the store is. */
const APPENDS_LIMIT = 256;
/** How long a connection is not read where too many of its appends are under way, ms. */
const APPENDS_PAUSE_MS = 20;

/** From this size on a second piece of memory in a write costs less than a copy, bytes. */
const SPLIT_FROM_BYTES = 16 * 1024;
/** And only where the memory that it came in is at most so many times as large: a slow reader's outbox counts the chunk, and would hold all of that. */
const SPLIT_MEMORY_SHARE = 2;

const NO_ROOMS: ReadonlySet<RoomName> = new Set();

/** A payload that waits for the first who asks for it. */
export interface StandingOffer {
  readonly id: string;
  readonly event: EventName;
  readonly payload: Payload;
}

export class Session {
  /** Null while there are none: sessions that only wait for messages are many. */
  private joined: Set<RoomName> | null = null;
  /** Rooms whose presence events the session wants; null while there are none, which is the common case. */
  watched: Set<RoomName> | null = null;
  /** Messages of this session whose delivery it waits to hear of, `<client> <number>`; null while there are none. */
  awaited: Set<string> | null = null;
  /** What who calls this session gets at once, and whom it has called; null while there is none. See `StandingOffers`. */
  standing: StandingOffer | null = null;
  calls: RecentCalls | null = null;
  private appends = 0;
  /** Appends under way that `accept` or `refuse` will answer. */
  private answers = 0;
  private senderBytes: Uint8Array | null = null;
  /** The client said that it is over: nobody waits for it to come back. */
  ended = false;
  /** And the store was told so: not again when the connection is gone. */
  isEndTold = false;
  /** Monotonic ms of the last bytes from the client. */
  lastHeardAt = 0;
  /** Monotonic ms of the welcome. */
  welcomedAt = 0;
  /** Deadlines that end with the connection. */
  expiryDeadline: Deadline | null = null;
  pingDeadline: Deadline | null = null;
  turnDeadline: Deadline | null = null;
  /** Those that it has credentials of; null where its token permits none. See `TurnRenewal`. */
  turnServers: readonly TurnServer[] | null = null;
  private roomWork: Promise<void> | null = null;
  private tokenWork: Promise<void> | null = null;
  private ownLog: Logger | null = null;
  /** What it has used of its rates; the throttle's. */
  usages: Usages | null = null;

  constructor(
    readonly ref: SessionRef,
    public identity: Identity,
    readonly connection: Connection,
    private readonly outboxLimitBytes: number,
    private readonly rootLog: Logger,
  ) {}

  /** Client and session as the body of each of its messages carries them. */
  get sender(): Uint8Array {
    return (this.senderBytes ??= encodeSender(this.ref.client, this.ref.session));
  }

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

  /** @param canWait for others that follow within some milliseconds */
  send(frame: GatewayFrame, canWait = false): void {
    this.sendEncoded(this.connection.codec.encodeGateway(frame), canWait);
  }

  /** A chunk of a stream: the bytes of a large one go on as they came. */
  sendPiece(piece: PieceFrame): void {
    const { codec } = this.connection;
    const { length, buffer } = piece.payload.data;
    const splits = length >= SPLIT_FROM_BYTES && buffer.byteLength <= length * SPLIT_MEMORY_SHARE;
    this.sendEncoded((splits ? codec.splitPiece?.(piece) : undefined) ?? codec.encodeGateway(piece));
  }

  ok(ref: number, result: unknown): void {
    if (ref !== 0) this.send({ type: 'ok', ref, result });
  }

  /**
   * Answers an append. While others are under way that will be answered it waits for them, some milliseconds at most:
   * a system call for each of many answers that come one after the other costs more than all else that is done for them.
   */
  accept(ref: number, id: string | null): void {
    if (ref !== 0) this.send({ type: 'ok', ref, result: { id } }, this.answers > 0);
  }

  /** @param expected with `out_of_order`: the number that comes next */
  refuse(ref: number, code: Code, text: string, expected: number | null = null): void {
    this.send({ type: 'error', ref, code, text, expected });
  }

  /** Whether the session has read enough to be given more of what waits for it. */
  get hasRoom(): boolean {
    return this.connection.queuedBytes <= this.outboxLimitBytes / 2;
  }

  /** The same of what a stream could stand still without, and is short: chunks of the same tick leave room for it. */
  get hasRoomForWords(): boolean {
    return this.connection.queuedBytes <= this.outboxLimitBytes * LOG_HOLDS_FROM;
  }

  /** Passes an entry of a log on, unless the client reads too slowly: then the log holds it. */
  offer(frame: PreparedFrame): OfferOutcome {
    if (this.connection.queuedBytes > this.outboxLimitBytes * LOG_HOLDS_FROM) return 'full';
    return this.connection.send(frame.for(this.connection.codec)) ? 'queued' : 'dropped';
  }

  /** Passes a message on. A client that reads too slowly loses volatile ones first and its connection at the limit. */
  deliver(frame: PreparedFrame, volatile: boolean): Outcome {
    const { connection } = this;
    const bytes = frame.for(connection.codec);
    if (!volatile) return this.sendEncoded(bytes);
    if (connection.queuedBytes > this.outboxLimitBytes / 2) return 'dropped';
    return connection.send(bytes) ? 'queued' : 'dropped';
  }

  /**
   * An append is under way; a store that is slow slows its senders.
   * @param isAnswered it will have an answer of its own that others may wait for
   */
  appending(isAnswered: boolean): void {
    this.appends++;
    if (isAnswered) this.answers++;
    if (this.appends > APPENDS_LIMIT) this.connection.pause(APPENDS_PAUSE_MS);
  }

  /** @param isAnswered as it was told before */
  appended(isAnswered: boolean): void {
    this.appends--;
    if (isAnswered) this.answers--;
  }

  /** Runs joins and leaves of this session one after the other, in the order they came. */
  inRoomOrder(work: () => Promise<void>): void {
    // Without work before it, it starts in this tick: a publish that follows a join must not overtake it.
    // Whoever brings work answers for its failure; what slips through must neither stop the queue nor the process.
    const done = this.after(this.roomWork, work);
    this.roomWork = done;
    void done.then(() => {
      if (this.roomWork === done) this.roomWork = null;
    });
  }

  /** Checks tokens one after the other, in the order they came: the last one counts, not the one that took longest to check. */
  inTokenOrder(work: () => Promise<void>): void {
    const done = this.after(this.tokenWork, work);
    this.tokenWork = done;
    void done.then(() => {
      if (this.tokenWork === done) this.tokenWork = null;
    });
  }

  private after(before: Promise<void> | null, work: () => Promise<void>): Promise<void> {
    const guarded = (): Promise<void> =>
      work().catch((error: unknown) => {
        this.log.warn({ err: error }, 'work of a session failed');
      });
    return before === null ? guarded() : before.then(guarded);
  }

  /** Ends the connection with a code; `retryAfterMs` tells a client when to come back. */
  close(code: CloseCode, number: number, retryAfterMs: number): void {
    this.send({ type: 'goaway', close: number, retryAfterMs });
    this.connection.close(code);
  }

  stopDeadlines(): void {
    this.expiryDeadline?.cancel();
    this.pingDeadline?.cancel();
    this.turnDeadline?.cancel();
    this.turnDeadline = null;
    this.expiryDeadline = null;
    this.pingDeadline = null;
  }

  private sendEncoded(frame: WireFrame, canWait = false): Outcome {
    if (this.connection.queuedBytes > this.outboxLimitBytes) {
      this.connection.close('slow_consumer');
      return 'cut_off';
    }
    return this.connection.send(frame, canWait) ? 'queued' : 'dropped';
  }
}
