// Sessions that join and leave rooms on behalf of a server: asked of the worker that holds the session, and its answers.
import { type Code, isCode } from '../protocol/codes.js';
import type { RoomName, SessionId, WorkerId } from '../protocol/ids.js';
import type { Session } from '../session/session.js';
import type { Deadline, TimerWheel } from '../session/wheel.js';
import type { LetterEnvelope, ResponseEnvelope } from './envelope.js';
import type { Relay } from './relay.js';
import { makeHandle, workerOf } from './handles.js';

/** How long the worker of a session may take, its store's answer included, ms. */
const TIMEOUT_MS = 1_500;
/** Moves of this worker that wait for their answers, some 200 bytes each. */
const PENDING_LIMIT = 10_000;

const NOTHING = new Uint8Array(0);

/** Null as room: leave all. Resolves with why not, null where it is done. */
export type MoveSession = (session: Session, room: RoomName | null, joins: boolean) => Promise<Code | null>;

export interface MovesOptions {
  worker: WorkerId;
  relay: Relay;
  wheel: TimerWheel;
  move: MoveSession;
}

interface Pending {
  session: SessionId;
  done: (refusal: Code | null) => void;
  deadline: Deadline;
}

export class Moves {
  private readonly pending = new Map<string, Pending>();
  private asked = 0;

  constructor(private readonly options: MovesOptions) {}

  /** @param send gives the order on; without an answer in time nobody knows what became of it */
  ask(session: SessionId, send: (handle: string) => void): Promise<Code | null> {
    if (this.pending.size >= PENDING_LIMIT) return Promise.resolve('overloaded');
    const handle = makeHandle(this.options.worker, 'move', ++this.asked);
    return new Promise((resolve) => {
      const deadline = this.options.wheel.in(TIMEOUT_MS, () => {
        this.pending.delete(handle);
        resolve('unknown_outcome');
      });
      this.pending.set(handle, { session, done: resolve, deadline });
      send(handle);
    });
  }

  /** The session is here. */
  make(session: Session, { handle, room, joins }: Extract<LetterEnvelope['letter'], { kind: 'move' }>): void {
    const asking = workerOf(handle);
    if (asking === null) return;
    void this.options.move(session, room, joins).then((refusal) => {
      this.options.relay.send(asking, {
        kind: 'response',
        handle,
        session: session.ref.session,
        code: refusal ?? '',
        text: '',
        body: NOTHING,
      });
    });
  }

  /** False where the answer belongs to no move of this worker. */
  settle({ handle, session, code }: ResponseEnvelope): boolean {
    const pending = this.pending.get(handle);
    if (pending === undefined || pending.session !== session) return false;
    this.pending.delete(handle);
    pending.deadline.cancel();
    pending.done(isCode(code) ? code : null);
    return true;
  }
}
