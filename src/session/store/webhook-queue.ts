// What an application is told of sessions and rooms, and the queue where that waits until the application has taken it.
import type { ClientId, RoomName, SessionId } from '../../protocol/ids.js';

export const WEBHOOK_EVENTS = ['connect', 'disconnect', 'occupied', 'vacated'] as const;

/** One change; times are wall clock, ms. */
export type WebhookEvent =
  | { type: 'connect'; client: ClientId; session: SessionId; atMs: number }
  | {
      type: 'disconnect';
      client: ClientId;
      session: SessionId;
      atMs: number;
      /** When it began. */
      sinceMs: number;
      /** When its connection was lost, where it did not come back in time; null where it was ended. */
      lostAtMs: number | null;
    }
  /** Somebody is present in the room, and nobody was. */
  | { type: 'occupied'; room: RoomName; atMs: number }
  /** Nobody is present any more, on any worker of any node. */
  | { type: 'vacated'; room: RoomName; atMs: number; sinceMs: number };

/** `seq` counts from 1 without a hole; `id` is the same whenever the same event is told again. */
export type QueuedEvent = WebhookEvent & { id: string; seq: number };

/** How changes become events, the same for every process of a deployment. */
export interface WebhookRules {
  /** A change is told when it has lasted so long, ms; the end of a session at once, and not at all where its begin was not. */
  debounceMs: number;
  /** Events that wait for the application; past it the oldest are given up. */
  queueLimitEvents: number;
  events: readonly WebhookEvent['type'][];
  /** Names, or beginnings of names followed by `*`; null for all rooms. */
  rooms: readonly string[] | null;
}

/** What waits. */
export interface WebhookPage {
  /** Which queue numbers the events: another one begins where a store lost its own. */
  queue: string;
  /** The oldest. */
  events: QueuedEvent[];
  waiting: number;
  /** Events that were given up since the last page because too many waited. */
  overflowed: number;
}

/** How long who sends may be silent before another may, ms. */
export const WEBHOOK_CLAIM_MS = 5_000;

/** One sender at a time, in the whole deployment. */
export interface WebhookQueue {
  /** Brings what has changed into the queue and returns its oldest events; null where another sends. Claims, and renews the claim. */
  pollWebhooks(sender: string, limit: number): Promise<WebhookPage | null>;
  /**
   * Events up to this one were taken, or given up; false where another sends now. Where the queue has another event of this
   * number, or none, nothing is done: it was lost meanwhile, and numbers anew what nobody has sent.
   */
  settleWebhooks(sender: string, seq: number, id: string): Promise<boolean>;
  /** Another may send at once. */
  releaseWebhooks(sender: string): Promise<void>;
}

/** Whether the application wants to hear of it. Rooms of services are nobody's business. */
export function isWanted({ events, rooms }: WebhookRules, event: WebhookEvent): boolean {
  if (!events.includes(event.type)) return false;
  if (!('room' in event)) return true;
  const { room } = event;
  if (room.startsWith('~')) return false;
  return (
    rooms === null ||
    rooms.some((rule) => (rule.endsWith('*') ? room.startsWith(rule.slice(0, -1)) : room === rule))
  );
}
