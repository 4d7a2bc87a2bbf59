// The sessions of one worker: takes connections in, fences and drains them.
import { CODES, type CloseCode } from '../protocol/codes.js';
import type { SessionId } from '../protocol/ids.js';
import type { Connection, ConnectionHandlers } from '../session/connection.js';
import type { Session } from '../session/session.js';
import type { AttachRequest, AttachResult, SessionRef, StoreEvent } from '../session/store/store.js';
import { RETRY_SPREAD_MS, Visit, type VisitOptions } from './visit.js';

/** A drain closes connections in this many steps. */
const DRAIN_STEPS = 20;
/** Longest pause between two of them, ms: a small drain stays quick. */
const DRAIN_PAUSE_MS = 100;

type Fence = Extract<StoreEvent, { type: 'fence' }>;

export class Gateway {
  draining = false;
  /** Attaches under way, and the fences that came meanwhile: one may overtake the answer that it is about. */
  private attaching = 0;
  private readonly fences = new Map<SessionId, Fence>();
  /** Hellos whose token or session is being looked up; a connection that says nothing is none of them. */
  pendingHandshakes = 0;

  constructor(private readonly options: VisitOptions) {}

  /** Takes a new connection; `token` is the one that came with the handshake. */
  accept(connection: Connection, token: string | null): ConnectionHandlers {
    return new Visit(connection, token, this.options, this);
  }

  /** Whether a further hello would be too much for the store or the authenticator. */
  get isBusy(): boolean {
    return this.pendingHandshakes >= this.options.config.limits.pendingHandshakesLimit;
  }

  /** The store says that a newer connection or session took over. */
  fence(event: Fence): void {
    if (this.attaching > 0) this.fences.set(event.session, event);
    const session = this.options.registry.get(event.session);
    if (session === undefined || session.ref.generation > event.generation) return;
    this.end(session, event.code);
  }

  /** Attaches a session; `fencedBy` says that a newer connection took it over before the answer was here. */
  async attach(request: AttachRequest): Promise<{ result: AttachResult; fencedBy: Fence['code'] | null }> {
    this.attaching++;
    try {
      const result = await this.options.store.attach(request);
      const fence = result.status === 'attached' ? this.fences.get(result.session) : undefined;
      const isOurs =
        result.status === 'attached' && fence !== undefined && fence.generation >= result.generation;
      return { result, fencedBy: isOurs ? fence.code : null };
    } finally {
      this.attaching--;
      if (this.attaching === 0) this.fences.clear();
    }
  }

  /** A connection is gone: the session waits, or is over. The store tells itself again what it could not hear now. */
  tell(ref: SessionRef, ended: boolean): void {
    const { store, metrics } = this.options;
    const told = ended ? store.end(ref) : store.detach(ref);
    told.catch(() => {
      metrics.storeErrors.inc({ kind: 'detach' });
    });
  }

  /** Ends every connection in steps, so that a drain is no storm; resolves when all are gone or time is up. */
  async drain(timeoutMs: number): Promise<void> {
    this.draining = true;
    const sessions = [...this.options.registry.all()];
    const pauseMs = Math.min(DRAIN_PAUSE_MS, timeoutMs / DRAIN_STEPS / 2);
    const size = Math.ceil(sessions.length / DRAIN_STEPS);
    for (let at = 0; at < sessions.length; at += size) {
      for (const session of sessions.slice(at, at + size)) this.end(session, 'restart');
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    const deadline = performance.now() + timeoutMs;
    while (this.options.registry.size > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (const session of this.options.registry.all()) session.connection.terminate();
  }

  private end(session: Session, code: CloseCode): void {
    const comeBack = CODES[code].then === 'resume';
    session.close(code, CODES[code].close, comeBack ? Math.round(Math.random() * RETRY_SPREAD_MS) : 0);
  }
}
