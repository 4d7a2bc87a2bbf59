// Whom a session has called lately: while its own call is on the way to somebody, that one must not get what answers a call.
import type { ClientId } from '../protocol/ids.js';

/** Calls of two sessions to each other that are no further apart than this cross, ms: a round trip of each to the gateway, and more. */
export const CROSSING_MS = 5_000;
/** Most clients that are remembered by name; who calls more within that time crosses with everybody. */
const REMEMBERED_LIMIT = 64;
/** Most standing offers that a session may ask for within that time: what is more is an ordinary call. */
export const ASKS_LIMIT = 16;
/** And of one client, ms: it leaves the next one a second after the last was taken. */
export const ASK_AGAIN_MS = 1_000;

interface Call {
  at: number;
  askedAt: number;
}

export class RecentCalls {
  private readonly calls = new Map<ClientId, Call>();
  /** Until then it has called more than are remembered. */
  private fullUntil = -Infinity;
  private readonly asks: number[] = [];
  /** Who has its standing offer, until it leaves another one: by then it has heard so. */
  givenTo: ClientId | null = null;

  note(client: ClientId, now: number): void {
    const known = this.calls.get(client);
    if (known !== undefined) {
      known.at = now;
      return;
    }
    if (this.calls.size >= REMEMBERED_LIMIT) this.forget(now);
    if (this.calls.size >= REMEMBERED_LIMIT) this.fullUntil = now + CROSSING_MS;
    else this.calls.set(client, { at: now, askedAt: -Infinity });
  }

  has(client: ClientId, now: number): boolean {
    const call = this.calls.get(client);
    return now <= this.fullUntil || (call !== undefined && now - call.at <= CROSSING_MS);
  }

  /** Whether it may ask for what that client, which it has called just now, left; if so it has. */
  mayAsk(client: ClientId, now: number): boolean {
    const call = this.calls.get(client);
    if (call === undefined || now - call.askedAt < ASK_AGAIN_MS) return false;
    while (this.asks[0] !== undefined && now - this.asks[0] > CROSSING_MS) this.asks.shift();
    if (this.asks.length >= ASKS_LIMIT) return false;
    this.asks.push(now);
    call.askedAt = now;
    return true;
  }

  private forget(now: number): void {
    for (const [client, { at }] of this.calls) if (now - at > CROSSING_MS) this.calls.delete(client);
  }
}
