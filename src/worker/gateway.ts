// The sessions of one worker: takes connections in, fences and drains them.
import { CODES, type CloseCode } from '../protocol/codes.js';
import { GatewayError } from '../protocol/errors.js';
import type { RoomName, SessionId } from '../protocol/ids.js';
import type { Identity } from '../session/authenticator.js';
import type { Connection, ConnectionHandlers } from '../session/connection.js';
import { RETRY_SPREAD_MS, type Session } from '../session/session.js';
import type { AttachRequest, AttachResult, Position, StoreEvent } from '../session/store/store.js';
import { DOUBT_MS } from './control.js';
import { Newcomers } from './newcomers.js';
import { Visit, type VisitOptions } from './visit.js';
import { WaitingLine } from './waiting-line.js';

/** A drain closes connections in steps of this length, ms. */
const DRAIN_STEP_MS = 50;
/** The share of its time that a drain may take to send clients away; the rest is theirs to go. */
const DRAIN_SENDING_SHARE = 0.6;

const NOWHERE: ReadonlyMap<RoomName, Position> = new Map();

type Fence = Extract<StoreEvent, { type: 'fence' }>;

export class Gateway {
  /** Nobody is taken in any more. */
  draining = false;
  /** Attaches under way, and the fences that came meanwhile: one may overtake the answer that it is about. */
  private attaching = 0;
  private readonly fences = new Map<SessionId, Fence>();
  /** Hellos whose token or session is being looked up, and those after them; a connection that says nothing is none of them. */
  readonly hellos: WaitingLine;
  readonly newcomers = new Newcomers();
  /** When the store may have lost what it had accepted, monotonic ms. */
  private doubtedAt = -Infinity;

  constructor(private readonly options: VisitOptions) {
    this.hellos = new WaitingLine(options.config.limits.pendingHandshakesLimit, options.wheel);
  }

  /** Takes a new connection; `credential` is the token that came with the handshake, or who the door has found the client to be. */
  accept(connection: Connection, credential: string | Identity | null): ConnectionHandlers {
    return new Visit(this.options.plugins?.tap(connection) ?? connection, credential, this.options, this);
  }

  /** The store says that a newer connection or session took over. */
  fence(event: Fence): void {
    if (this.attaching > 0) this.fences.set(event.session, event);
    const session = this.options.registry.get(event.session);
    if (session === undefined || session.ref.generation > event.generation) return;
    this.end(session, event.code);
  }

  /** The store may have lost what it accepted last: those who sent it are told, also those who are away now. */
  doubt(agoMs = 0): void {
    this.doubtedAt = Math.max(this.doubtedAt, performance.now() - agoMs);
    for (const session of this.options.registry.all()) session.send({ type: 'doubt' });
  }

  get isInDoubt(): boolean {
    return performance.now() - this.doubtedAt < DOUBT_MS;
  }

  /**
   * Attaches a session, and looks up where its rooms stand that are not among `known`, null where that fails. `fencedBy` says
   * that a newer connection took it over before the answers were here.
   */
  async attach(
    request: AttachRequest,
    known: ReadonlyMap<RoomName | null, Position>,
  ): Promise<{
    result: AttachResult;
    positions: ReadonlyMap<RoomName, Position> | null;
    fencedBy: Fence['code'] | null;
  }> {
    this.attaching++;
    try {
      const result = await this.attachInStore(request);
      const rooms = result.status === 'attached' ? result.rooms.filter((room) => !known.has(room)) : [];
      const positions = rooms.length === 0 ? NOWHERE : await this.positionsOf(rooms);
      const fence = result.status === 'attached' ? this.fences.get(result.session) : undefined;
      const isOurs =
        result.status === 'attached' && fence !== undefined && fence.generation >= result.generation;
      return { result, positions, fencedBy: isOurs ? fence.code : null };
    } finally {
      this.attaching--;
      if (this.attaching === 0) this.fences.clear();
    }
  }

  /** Ends the sessions whose token is not welcome any more, for good. */
  endRevoked(isRevoked: (identity: Identity) => boolean): void {
    for (const session of [...this.options.registry.all()]) {
      if (!isRevoked(session.identity)) continue;
      session.ended = true;
      this.end(session, 'kicked');
    }
  }

  /** From now on whoever comes is told to go elsewhere; those who are here stay. */
  refuseNewcomers(): void {
    this.draining = true;
  }

  /** Sends every client away, at the rate of the settings; resolves when all are gone or time is up. */
  async sendAway(timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    const sessions = [...this.options.registry.all()];
    const { drainClientsPerSecond } = this.options.config.server;
    const durationMs = Math.min(
      (sessions.length / drainClientsPerSecond) * 1000,
      timeoutMs * DRAIN_SENDING_SHARE,
    );
    const size = Math.ceil(sessions.length / Math.max(1, durationMs / DRAIN_STEP_MS));
    for (let at = 0; at < sessions.length; at += size) {
      for (const session of sessions.slice(at, at + size)) this.end(session, 'restart');
      if (at + size < sessions.length) await pause(DRAIN_STEP_MS);
    }
    while (this.options.registry.size > 0 && performance.now() < deadline) {
      await pause(20);
    }
    for (const session of this.options.registry.all()) session.connection.terminate();
  }

  private async attachInStore(request: AttachRequest): Promise<AttachResult> {
    try {
      return await this.options.store.attach(request);
    } catch (error) {
      // The store may do it all the same, or have done it: a session that nobody knows of would count as one of the client's.
      if (error instanceof GatewayError && error.code === 'unknown_outcome') {
        const { client, fresh: session } = request;
        void this.options.endings.tell({ client, session, generation: 1 }, true);
      }
      throw error;
    }
  }

  private async positionsOf(rooms: readonly RoomName[]): Promise<Map<RoomName, Position> | null> {
    try {
      const reads = rooms.map(async (room): Promise<[RoomName, Position]> => {
        const channel = { kind: 'room', room } as const;
        const { position } = await this.options.store.read({ channel, from: { last: 0 }, limit: 1 });
        return [room, position];
      });
      return new Map(await Promise.all(reads));
    } catch {
      return null;
    }
  }

  private end(session: Session, code: CloseCode): void {
    const comeBack = CODES[code].then === 'resume';
    session.close(code, CODES[code].close, comeBack ? Math.round(Math.random() * RETRY_SPREAD_MS) : 0);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
