// Requests that wait for their answer, in the worker where they were asked; they outlive the connection of who asked.
import { type Code, CODES } from '../protocol/codes.js';
import type { Address, SessionId, WorkerId } from '../protocol/ids.js';
import type { Payload } from '../protocol/frame.js';
import type { SessionRef } from '../session/store/store.js';
import type { Deadline, TimerWheel } from '../session/wheel.js';
import type { ResponseEnvelope } from './envelope.js';
import { type HandleKind, makeHandle } from './handles.js';
import type { WaitingCounts } from './waiting-counts.js';

export interface Asked {
  /** Hears first whether it was answered. */
  settled?: (isAnswered: boolean) => void;
  asker: Pick<SessionRef, 'client' | 'session'>;
  ref: number;
  /** Takes the answer of a server's request, which waits in this worker; a session's goes to where it is then. */
  take?: (answer: Answer) => void;
}
/** `byGateway`: nobody answered, the gateway refuses. */
export type Answer = { payload: Payload } | { code: Code; text: string; byGateway: boolean };

interface Pending extends Asked {
  address: Address;
  body: Uint8Array;
  retried: boolean;
  /** Who was asked; nobody else may answer. */
  asked: SessionId | null;
  deadline: Deadline;
}

export class PendingRequests {
  private readonly pending = new Map<string, Pending>();
  private opened = 0;

  /** @param answer takes an answer to who asked, wherever its connection is now */
  constructor(
    private readonly worker: WorkerId,
    private readonly wheel: TimerWheel,
    private readonly answer: (asked: Asked, answer: Answer) => void,
    private readonly waiting: WaitingCounts,
  ) {}

  open(
    asked: Asked,
    timeoutMs: number,
    request: { address: Address; body: Uint8Array },
    kind: HandleKind = 'request',
  ): string {
    const handle = makeHandle(this.worker, kind, ++this.opened);
    const deadline = this.wheel.in(timeoutMs, () => {
      this.refuse(handle, 'timeout', CODES.timeout.text);
    });
    this.waiting.add(asked.asker.session, request.body.length);
    this.pending.set(handle, { ...asked, ...request, retried: false, asked: null, deadline });
    return handle;
  }

  expectFrom(handle: string, session: SessionId): void {
    const pending = this.pending.get(handle);
    if (pending !== undefined) pending.asked = session;
  }

  retry(handle: string): Pending | 'retried' | 'unknown' {
    const pending = this.pending.get(handle);
    if (pending === undefined) return 'unknown';
    if (pending.retried) return 'retried';
    pending.retried = true;
    return pending;
  }

  /** Passes the answer on; one from somebody who was not asked is dropped. */
  settle({ handle, session, code, text, body }: ResponseEnvelope): void {
    const pending = this.pending.get(handle);
    if (pending === undefined || pending.asked !== session) return;
    this.remove(handle, pending);
    const encoding = body[0];
    pending.settled?.(code === '' && encoding !== undefined);
    if (code !== '' || encoding === undefined)
      this.answer(pending, { code: code === '' ? 'rejected' : code, text, byGateway: false });
    else this.answer(pending, { payload: { encoding, data: body.subarray(1) } });
  }

  refuse(handle: string, code: Code, text: string): void {
    const pending = this.pending.get(handle);
    if (pending === undefined) return;
    this.remove(handle, pending);
    pending.settled?.(false);
    this.answer(pending, { code, text, byGateway: true });
  }

  private remove(handle: string, pending: Pending): void {
    this.pending.delete(handle);
    pending.deadline.cancel();
    this.waiting.remove(pending.asker.session, pending.body.length);
  }
}
