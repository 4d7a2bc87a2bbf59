// Requests that wait for their answer, in the worker of the one who asked.
import { type Code, CODES } from '../protocol/codes.js';
import type { Address, SessionId, WorkerId } from '../protocol/ids.js';
import type { Refusals } from '../session/refusals.js';
import type { Session } from '../session/session.js';
import type { Deadline, TimerWheel } from '../session/wheel.js';
import type { ResponseEnvelope } from './envelope.js';

interface Pending {
  session: Session;
  ref: number;
  address: Address;
  body: Uint8Array;
  retried: boolean;
  /** Who was asked; nobody else may answer. */
  asked: SessionId | null;
  deadline: Deadline;
}

export class PendingRequests {
  private readonly pending = new Map<string, Pending>();
  private count = 0;

  constructor(
    private readonly worker: WorkerId,
    private readonly wheel: TimerWheel,
    private readonly refusals: Refusals,
  ) {}

  /** The worker that waits for the answer to `handle`; null when it is none of ours. */
  static workerOf(handle: string): WorkerId | null {
    const mark = handle.lastIndexOf('!');
    return mark > 0 && /^[A-Za-z0-9_-]+\.\d+$/.test(handle.slice(0, mark))
      ? (handle.slice(0, mark) as WorkerId)
      : null;
  }

  open(
    session: Session,
    ref: number,
    timeoutMs: number,
    request: { address: Address; body: Uint8Array; retried: boolean },
  ): string {
    const handle = `${this.worker}!${String(++this.count)}`;
    const deadline = this.wheel.in(timeoutMs, () => {
      this.refuse(handle, 'timeout', CODES.timeout.text);
    });
    session.pendingRequests++;
    session.pendingRequestBytes += request.body.length;
    this.pending.set(handle, { ...request, session, ref, asked: null, deadline });
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
    if (code !== '' || encoding === undefined) {
      // The word of the one who was asked: no refusal of ours, and not for the asker's account.
      pending.session.refuse(pending.ref, code === '' ? 'rejected' : code, text);
    } else {
      pending.session.send({
        type: 'response',
        ref: pending.ref,
        payload: { encoding, data: body.subarray(1) },
      });
    }
  }

  refuse(handle: string, code: Code, text: string): void {
    const pending = this.pending.get(handle);
    if (pending === undefined) return;
    this.remove(handle, pending);
    this.refusals.tell(pending.session, pending.ref, code, text);
  }

  dropOf(session: Session): void {
    if (session.pendingRequests === 0) return;
    for (const [handle, pending] of this.pending)
      if (pending.session === session) this.remove(handle, pending);
  }

  private remove(handle: string, pending: Pending): void {
    this.pending.delete(handle);
    pending.deadline.cancel();
    pending.session.pendingRequests--;
    pending.session.pendingRequestBytes -= pending.body.length;
  }
}
