// Finds out which peers are gone without a word: pings each session at an even beat, and ends those that answer nothing.
import { CODES } from '../protocol/codes.js';
import type { Session } from '../session/session.js';
import type { TimerWheel } from '../session/wheel.js';

export interface HeartbeatOptions {
  wheel: Pick<TimerWheel, 'in' | 'lagMs'>;
  pingIntervalMs: number;
  pongTimeoutMs: number;
  /** The clock of the wheel and of `lastHeardAt`, monotonic ms. */
  now?: () => number;
}

/** A tick of the wheel that came this late is our own fault: nobody is cut off for silence then, ms. */
const OWN_LAG_LIMIT_MS = 1_000;
/** Who is only stuck still learns why its connection ends, if it reads this soon, ms; who is gone is gone after it. */
const FAREWELL_MS = 2_000;

export class Heartbeat {
  private readonly now: () => number;

  constructor(private readonly options: HeartbeatOptions) {
    this.now = options.now ?? (() => performance.now());
  }

  /** Until the session's deadlines are stopped. */
  watch(session: Session): void {
    this.arm(session, this.now() + this.options.pingIntervalMs, null);
  }

  /** @param pingedAt when the oldest ping without an answer was sent; null where none is */
  private arm(session: Session, pingAt: number, pingedAt: number | null): void {
    const { wheel, pongTimeoutMs } = this.options;
    const judgeAt = pingedAt === null ? Infinity : pingedAt + pongTimeoutMs;
    session.pingDeadline = wheel.in(Math.min(pingAt, judgeAt) - this.now(), () => {
      this.beat(session, pingAt, pingedAt);
    });
  }

  private beat(session: Session, pingAt: number, pingedAt: number | null): void {
    const { wheel, pingIntervalMs, pongTimeoutMs } = this.options;
    const now = this.now();
    let waitingSince = pingedAt !== null && session.lastHeardAt < pingedAt ? pingedAt : null;
    if (waitingSince !== null && now >= waitingSince + pongTimeoutMs) {
      if (wheel.lagMs < OWN_LAG_LIMIT_MS) {
        this.end(session);
        return;
      }
      waitingSince = null;
    }
    if (now < pingAt) {
      this.arm(session, pingAt, waitingSince);
      return;
    }
    session.send({ type: 'ping' });
    this.arm(session, now + pingIntervalMs, waitingSince ?? now);
  }

  private end(session: Session): void {
    session.close('no_pong', CODES.no_pong.close, 0);
    session.pingDeadline = this.options.wheel.in(FAREWELL_MS, () => {
      session.connection.terminate();
    });
  }
}
