// Presence events on their way to the sessions of this worker: coalesced, and counts only in large rooms.
import { PRESENCE_DETAIL_LIMIT_MEMBERS } from '../protocol/limits.js';
import type { ClientId, RoomName } from '../protocol/ids.js';
import type { SessionRegistry } from '../session/registry.js';
import type { StoreEvent } from '../session/store/store.js';
import type { TimerWheel } from '../session/wheel.js';

/** Changes of a room within this time become one frame, ms. */
const COALESCE_MS = 100;

interface Pending {
  joined: Set<ClientId>;
  left: Set<ClientId>;
  count: number;
}

export class PresenceFeed {
  private readonly pending = new Map<RoomName, Pending>();

  constructor(
    private readonly registry: SessionRegistry,
    private readonly wheel: TimerWheel,
  ) {}

  add({ room, client, change, count }: Extract<StoreEvent, { type: 'presence' }>): void {
    let pending = this.pending.get(room);
    if (pending === undefined) {
      this.pending.set(room, (pending = { joined: new Set(), left: new Set(), count }));
      this.wheel.in(COALESCE_MS, () => {
        this.tell(room);
      });
    }
    pending.count = count;
    const [now, before] =
      change === 'joined' ? [pending.joined, pending.left] : [pending.left, pending.joined];
    // Who left and came back within one frame never left, and the reverse.
    if (!before.delete(client)) now.add(client);
  }

  private tell(room: RoomName): void {
    const pending = this.pending.get(room);
    if (pending === undefined) return;
    this.pending.delete(room);
    // A large room that empties at once has few members and many names: a client refuses so long a frame.
    const changes = pending.joined.size + pending.left.size;
    const detail = Math.max(pending.count, changes) <= PRESENCE_DETAIL_LIMIT_MEMBERS;
    const joined = detail ? [...pending.joined] : [];
    const left = detail ? [...pending.left] : [];
    if (detail && joined.length === 0 && left.length === 0) return;
    for (const session of this.registry.inRoom(room)) {
      if (session.watched?.has(room) !== true) continue;
      session.send({ type: 'presence', room, joined, left, count: pending.count });
    }
  }
}
