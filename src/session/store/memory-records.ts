// What the memory store knows of a session, a client and a room.
import type { ClientId, RoomName, SessionId, WorkerId } from '../../protocol/ids.js';
import type { MemoryLog } from './memory-log.js';
import type { LogOwner } from './memory-logs.js';
import { SortedNames } from './sorted-names.js';
import type { SessionPlace } from './store.js';

export interface SessionRecord {
  readonly id: SessionId;
  readonly client: ClientRecord;
  readonly rooms: Map<RoomName, RoomRecord>;
  generation: number;
  worker: WorkerId;
  /** `present`: without connection, within the presence grace. `away`: without connection for longer. */
  state: 'connected' | 'present' | 'away';
  keyHash: string;
  /** Valid until the newest key was used: a welcome that is lost must not cost the session. */
  previousKeyHash: string | null;
}

export class ClientRecord implements LogOwner {
  /** In the order of their attachments, the oldest first. */
  readonly sessions = new Map<SessionId, SessionRecord>();
  /** Workers that asked where the client is → until when they are told of changes, ms. */
  readonly watchers = new Map<WorkerId, number>();
  log: MemoryLog | null = null;

  constructor(readonly id: ClientId) {}

  isOnline(): boolean {
    for (const { state } of this.sessions.values()) if (state !== 'away') return true;
    return false;
  }

  hasReaders(): boolean {
    return this.sessions.size > 0;
  }

  /** A client is dropped with its last session, not with its log. */
  logDropped(): void {
    return;
  }
}

export class RoomRecord implements LogOwner {
  readonly sessions = new Set<SessionRecord>();
  /** Clients with at least one session that is connected or within the grace → how many of those. */
  readonly present = new Map<ClientId, number>();
  readonly members = new SortedNames<ClientId>();
  /** Workers with connected sessions in the room → how many. */
  readonly interest = new Map<WorkerId, number>();
  log: MemoryLog | null = null;

  /** @param logDropped told when the log is gone: a room without sessions and log is no room */
  constructor(
    readonly name: RoomName,
    readonly logDropped: () => void,
  ) {}

  hasReaders(): boolean {
    return this.sessions.size > 0;
  }
}

export function placeOf(record: SessionRecord): SessionPlace {
  return {
    client: record.client.id,
    session: record.id,
    generation: record.generation,
    worker: record.worker,
    connected: record.state === 'connected',
  };
}
