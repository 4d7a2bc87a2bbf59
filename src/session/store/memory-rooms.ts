// Rooms in memory: which sessions are in them, which clients are present, which workers have an interest.
import type { ClientId, RoomName, WorkerId } from '../../protocol/ids.js';
import type { MemoryLogs } from './memory-logs.js';
import { RoomRecord, type SessionRecord } from './memory-records.js';
import type { StoreEvent } from './store.js';

export class MemoryRooms {
  private readonly rooms = new Map<RoomName, RoomRecord>();

  constructor(
    private readonly logs: MemoryLogs,
    private readonly deliver: (worker: WorkerId, event: StoreEvent) => void,
  ) {}

  get size(): number {
    return this.rooms.size;
  }

  get(name: RoomName): RoomRecord | undefined {
    return this.rooms.get(name);
  }

  /** The room, made if nobody has named it yet. */
  open(name: RoomName): RoomRecord {
    let room = this.rooms.get(name);
    if (room === undefined) {
      room = new RoomRecord(name, () => {
        this.closeIfUnused(name);
      });
      this.rooms.set(name, room);
    }
    return room;
  }

  /** For a connected session that is not in the room. */
  join(session: SessionRecord, name: RoomName): RoomRecord {
    const room = this.open(name);
    room.sessions.add(session);
    session.rooms.set(name, room);
    addInterest(room, session.worker);
    this.appear(room, session.client.id);
    return room;
  }

  leave(session: SessionRecord, room: RoomRecord): void {
    room.sessions.delete(session);
    session.rooms.delete(room.name);
    if (session.state === 'connected') removeInterest(room, session.worker);
    if (session.state !== 'away') this.disappear(room, session.client.id);
    if (room.log?.size === 0 && !room.hasReaders()) this.logs.drop(room);
    this.closeIfUnused(room.name);
  }

  /** The session got a connection on its worker; `was` is its state before. */
  connected(session: SessionRecord, was: SessionRecord['state']): void {
    for (const room of session.rooms.values()) {
      addInterest(room, session.worker);
      if (was === 'away') this.appear(room, session.client.id);
    }
  }

  /** The session lost the connection that it had on this worker. */
  disconnected(session: SessionRecord, worker: WorkerId): void {
    for (const room of session.rooms.values()) removeInterest(room, worker);
  }

  /** The presence grace of the session is over. */
  departed(session: SessionRecord): void {
    for (const room of session.rooms.values()) this.disappear(room, session.client.id);
  }

  private appear(room: RoomRecord, client: ClientId): void {
    const sessions = room.present.get(client) ?? 0;
    room.present.set(client, sessions + 1);
    if (sessions > 0) return;
    room.members.add(client);
    this.tell(room, client, 'joined');
  }

  private disappear(room: RoomRecord, client: ClientId): void {
    const sessions = room.present.get(client) ?? 0;
    if (sessions > 1) {
      room.present.set(client, sessions - 1);
      return;
    }
    room.present.delete(client);
    room.members.delete(client);
    this.tell(room, client, 'left');
  }

  private tell(room: RoomRecord, client: ClientId, change: 'joined' | 'left'): void {
    const count = room.members.size;
    for (const worker of room.interest.keys()) {
      this.deliver(worker, { type: 'presence', room: room.name, client, change, count });
    }
  }

  private closeIfUnused(name: RoomName): void {
    const room = this.rooms.get(name);
    if (room !== undefined && room.log === null && !room.hasReaders()) this.rooms.delete(name);
  }
}

function addInterest(room: RoomRecord, worker: WorkerId): void {
  room.interest.set(worker, (room.interest.get(worker) ?? 0) + 1);
}

function removeInterest(room: RoomRecord, worker: WorkerId): void {
  const sessions = room.interest.get(worker) ?? 0;
  if (sessions > 1) room.interest.set(worker, sessions - 1);
  else room.interest.delete(worker);
}
