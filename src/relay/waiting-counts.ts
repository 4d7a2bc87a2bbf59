// How much of each session waits for an answer of others, requests and calls together: bounded for each.
import type { SessionId } from '../protocol/ids.js';

/** What waits of one session. */
export interface Waiting {
  requests: number;
  /** Of the requests themselves, which are kept until their answer. */
  bytes: number;
}

export class WaitingCounts {
  private readonly waiting = new Map<SessionId, Waiting>();

  of(session: SessionId): Waiting {
    return this.waiting.get(session) ?? NONE;
  }

  add(session: SessionId, bytes: number): void {
    this.count(session, 1, bytes);
  }

  remove(session: SessionId, bytes: number): void {
    this.count(session, -1, -bytes);
  }

  private count(session: SessionId, requests: number, bytes: number): void {
    const before = this.of(session);
    const after = { requests: before.requests + requests, bytes: before.bytes + bytes };
    if (after.requests > 0) this.waiting.set(session, after);
    else this.waiting.delete(session);
  }
}

/** Why one more may not wait; null where it may. One that is larger than the limit by itself still waits. */
export function refusalOfWaiting(
  waiting: Waiting,
  bytes: number,
  limits: { requestsPendingLimit: number; requestsPendingLimitBytes: number },
): string | null {
  const { requestsPendingLimit, requestsPendingLimitBytes } = limits;
  if (waiting.requests >= requestsPendingLimit)
    return `At most ${String(requestsPendingLimit)} requests may wait.`;
  return waiting.requests > 0 && waiting.bytes + bytes > requestsPendingLimitBytes
    ? `Requests that wait may have ${String(requestsPendingLimitBytes)} bytes.`
    : null;
}

const NONE: Waiting = { requests: 0, bytes: 0 };
