// The provider's side of services: the calls that sessions of this worker have, each until it is answered or nobody waits for it.
import type { SessionId } from '../protocol/ids.js';
import type { Deadline, TimerWheel } from '../session/wheel.js';

export class Serving {
  private readonly calls = new Map<SessionId, Map<string, Deadline>>();

  constructor(
    private readonly wheel: TimerWheel,
    /** Most calls of one provider. */
    private readonly limit: number,
  ) {}

  load(session: SessionId): number {
    return this.calls.get(session)?.size ?? 0;
  }

  /** False where it has too many. One that it may have already counts in any case. */
  take(session: SessionId, handle: string, timeoutMs: number, again: boolean): boolean {
    const calls = this.calls.get(session) ?? new Map<string, Deadline>();
    if (calls.size >= this.limit && !again) return false;
    calls.get(handle)?.cancel();
    calls.set(
      handle,
      this.wheel.in(timeoutMs, () => {
        this.drop(session, handle);
      }),
    );
    this.calls.set(session, calls);
    return true;
  }

  /** It was answered, or nobody waits for it any more. */
  drop(session: SessionId, handle: string): void {
    const calls = this.calls.get(session);
    calls?.get(handle)?.cancel();
    calls?.delete(handle);
    if (calls?.size === 0) this.calls.delete(session);
  }

  /** The session's connection is gone: where it is next, its calls are given to it once more. */
  leave(session: SessionId): void {
    for (const deadline of this.calls.get(session)?.values() ?? []) deadline.cancel();
    this.calls.delete(session);
  }
}
