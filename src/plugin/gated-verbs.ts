// Verbs behind the plugins: a frame is served once they have let it pass, and those of its session behind it wait.
import { CODES, type Code } from '../protocol/codes.js';
import type { ClientFrame } from '../protocol/frame.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';

/** Frames of a session that may wait for a verdict on one before them; past it the session is sent away, and comes back. */
const WAITING_LIMIT_FRAMES = 1_000;
/** From here on it is read more slowly. */
const SLOW_FROM_FRAMES = 64;
const PAUSE_MS = 50;

export interface FrameRefusal {
  code: Code;
  text: string;
}

/** Null where the frame may pass. */
type Verdict = FrameRefusal | null;

/** Who says whether frames may pass. */
export interface Judge {
  frameIn(session: Session, frame: ClientFrame): Verdict | Promise<Verdict>;
}

/** What serves frames. */
export interface Serving {
  handle(session: Session, frame: ClientFrame): void;
  /** Tells that a frame is refused, in the way of its type. */
  turnAway(session: Session, frame: ClientFrame, refusal: FrameRefusal): void;
}

export class GatedVerbs {
  private readonly waiting = new Map<Session, ClientFrame[]>();

  constructor(
    private readonly verbs: Serving,
    private readonly judge: Judge,
    private readonly registry: SessionRegistry,
  ) {}

  handle(session: Session, frame: ClientFrame): void {
    const line = this.waiting.get(session);
    if (line === undefined) {
      const verdict = this.judge.frameIn(session, frame);
      if (verdict instanceof Promise) this.wait(session, frame, verdict, []);
      else this.serve(session, frame, verdict);
    } else if (line.length < WAITING_LIMIT_FRAMES) {
      line.push(frame);
      if (line.length > SLOW_FROM_FRAMES) session.connection.pause(PAUSE_MS);
    } else {
      session.close('overloaded', CODES.overloaded.close, 0);
    }
  }

  private wait(session: Session, frame: ClientFrame, verdict: Promise<Verdict>, line: ClientFrame[]): void {
    this.waiting.set(session, line);
    void verdict.then((refusal) => {
      this.waiting.delete(session);
      // The connection is gone: what it was not answered its client says again.
      if (this.registry.get(session.ref.session) !== session) return;
      this.serve(session, frame, refusal);
      this.proceed(session, line);
    });
  }

  /** Until the next one that has to wait. */
  private proceed(session: Session, line: ClientFrame[]): void {
    for (let frame = line.shift(); frame !== undefined; frame = line.shift()) {
      const verdict = this.judge.frameIn(session, frame);
      if (verdict instanceof Promise) {
        this.wait(session, frame, verdict, line);
        return;
      }
      this.serve(session, frame, verdict);
    }
  }

  private serve(session: Session, frame: ClientFrame, refusal: Verdict): void {
    if (refusal === null) this.verbs.handle(session, frame);
    else this.verbs.turnAway(session, frame, refusal);
  }
}
