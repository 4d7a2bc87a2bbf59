// Verbs behind the plugins: a frame is served once they have let it pass, and those of its session behind it wait.
import { CODES, type Code } from '../protocol/codes.js';
import type { ClientFrame } from '../protocol/frame.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';

/** Frames of a session that may wait for a verdict on one before them; past it the session is sent away, and comes back. */
const WAITING_LIMIT_FRAMES = 1_000;
/** The same for the bytes of their payloads. */
const WAITING_LIMIT_BYTES = 4 * 1024 * 1024;
/** From here on it is read more slowly: the pause is for each frame that comes then. */
const SLOW_FROM_FRAMES = 64;
const SLOW_FROM_BYTES = 256 * 1024;
const PAUSE_MS = { frames: 50, bytes: 1000 };

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
  private readonly bytes = new WeakMap<ClientFrame[], number>();

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
    } else {
      this.queue(session, frame, line);
    }
  }

  private queue(session: Session, frame: ClientFrame, line: ClientFrame[]): void {
    const bytes = (this.bytes.get(line) ?? 0) + sizeOf(frame);
    if (line.length >= WAITING_LIMIT_FRAMES || bytes > WAITING_LIMIT_BYTES) {
      session.close('overloaded', CODES.overloaded.close, 0);
      return;
    }
    line.push(frame);
    this.bytes.set(line, bytes);
    if (bytes > SLOW_FROM_BYTES) session.connection.pause(PAUSE_MS.bytes);
    else if (line.length > SLOW_FROM_FRAMES) session.connection.pause(PAUSE_MS.frames);
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
      this.bytes.set(line, (this.bytes.get(line) ?? 0) - sizeOf(frame));
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

function sizeOf(frame: ClientFrame): number {
  return 'payload' in frame ? frame.payload.data.length : 0;
}
