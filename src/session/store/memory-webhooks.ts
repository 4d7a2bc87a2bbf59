// Events of the embedded store for webhooks: what was told of each session and room, what is to be told, and the queue.
import { randomBytes } from 'node:crypto';
import type { ClientId, RoomName, SessionId } from '../../protocol/ids.js';
import {
  isWanted,
  type QueuedEvent,
  type WebhookEvent,
  type WebhookPage,
  type WebhookQueue,
  type WebhookRules,
} from './webhook-queue.js';

type Subject = { client: ClientId; session: SessionId } | { room: RoomName };

interface Change {
  subject: Subject;
  isOn: boolean;
  atMs: number;
  lostAtMs: number | null;
}

/** All in one process: whoever asks is the one that sends. */
export class MemoryWebhooks implements WebhookQueue {
  private readonly name = randomBytes(8).toString('base64url');
  /** What the application knows to be there, and since when. */
  private readonly told = new Map<string, number>();
  /** Changes that have not lasted long enough yet, and until when they must, monotonic ms; in the order of time. */
  private readonly pending = new Map<string, Change & { dueAt: number }>();
  /** In the order of `seq`, without a hole; those before `head` are gone. */
  private queue: QueuedEvent[] = [];
  private head = 0;
  private lastSeq = 0;
  private overflowed = 0;

  constructor(
    private readonly rules: WebhookRules,
    private readonly now: () => number,
  ) {}

  /** A session has begun. */
  began(client: ClientId, session: SessionId): void {
    this.change({ subject: { client, session }, isOn: true, atMs: Date.now(), lostAtMs: null });
  }

  /** @param lostAtMs when its connection was lost; null where it had one */
  ended(client: ClientId, session: SessionId, lostAtMs: number | null): void {
    this.change({ subject: { client, session }, isOn: false, atMs: Date.now(), lostAtMs });
  }

  /** Somebody is in the room, or nobody any more. */
  room(room: RoomName, isOccupied: boolean): void {
    this.change({ subject: { room }, isOn: isOccupied, atMs: Date.now(), lostAtMs: null });
  }

  /** Nothing will change any more: what waits to have lasted has. */
  finish(): void {
    for (const [key, change] of this.pending) this.tell(key, change);
    this.pending.clear();
  }

  pollWebhooks(_sender: string, limit: number): Promise<WebhookPage> {
    const now = this.now();
    for (const [key, change] of this.pending) {
      if (change.dueAt > now) break;
      this.pending.delete(key);
      this.tell(key, change);
    }
    const { overflowed, queue, head } = this;
    this.overflowed = 0;
    return Promise.resolve({
      queue: this.name,
      events: queue.slice(head, head + limit),
      waiting: this.waiting,
      overflowed,
    });
  }

  settleWebhooks(_sender: string, seq: number, id: string): Promise<boolean> {
    const place = this.head + seq - (this.queue[this.head]?.seq ?? 0);
    if (place >= this.head && this.queue[place]?.id === id) this.drop(place + 1 - this.head);
    return Promise.resolve(true);
  }

  releaseWebhooks(): Promise<void> {
    return Promise.resolve();
  }

  /** How many events wait. */
  get waiting(): number {
    return this.queue.length - this.head;
  }

  /** What is held; for tests that nothing stays behind. */
  get sizes(): { told: number; pending: number } {
    return { told: this.told.size, pending: this.pending.size };
  }

  private change(change: Change): void {
    const { subject, isOn } = change;
    const key = 'room' in subject ? `r|${subject.room}` : `s|${subject.client}|${subject.session}`;
    // It is as the application knows it: what was about to be told did not last.
    this.pending.delete(key);
    if (isOn === this.told.has(key)) return;
    const isFinal = 'session' in subject && !isOn;
    if (isFinal || this.rules.debounceMs === 0) this.tell(key, change);
    else this.pending.set(key, { ...change, dueAt: this.now() + this.rules.debounceMs });
  }

  private tell(key: string, { subject, isOn, atMs, lostAtMs }: Change): void {
    const sinceMs = this.told.get(key) ?? atMs;
    if (isOn) this.told.set(key, atMs);
    else this.told.delete(key);
    if ('room' in subject)
      this.add(
        isOn ? { type: 'occupied', ...subject, atMs } : { type: 'vacated', ...subject, atMs, sinceMs },
      );
    else
      this.add(
        isOn
          ? { type: 'connect', ...subject, atMs }
          : { type: 'disconnect', ...subject, atMs, sinceMs, lostAtMs },
      );
  }

  private add(event: WebhookEvent): void {
    if (!isWanted(this.rules, event)) return;
    const seq = ++this.lastSeq;
    this.queue.push({ id: `${this.name}-${String(seq)}`, seq, ...event });
    if (this.waiting <= this.rules.queueLimitEvents) return;
    this.drop(1);
    this.overflowed++;
  }

  /** The oldest go. To move all others each time would hold up everything where many wait: an eighth may be gone first. */
  private drop(events: number): void {
    this.head += events;
    if (this.head * 8 < this.queue.length) return;
    this.queue = this.queue.slice(this.head);
    this.head = 0;
  }
}
