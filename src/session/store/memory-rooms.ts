// The rooms of the embedded store: who is a member, who is present, which workers want to know.
import type { ClientId, RoomName, SessionId, WorkerId } from '../../protocol/ids.js';
import { SortedNames } from './sorted-names.js';
import { type Member, MEMBER_PLACES_LIMIT, type MemberPlace, type SessionPlace, WATCH_MS } from './store.js';

interface Room {
  members: Map<SessionId, SessionPlace>;
  /** Present sessions of each client. */
  present: Map<ClientId, Set<SessionId>>;
  /** The clients of `present`, in order. */
  names: SortedNames<ClientId>;
  /** Connected members on each worker: who gets what is published. */
  interest: Map<WorkerId, number>;
}

export interface PresenceChange {
  room: RoomName;
  client: ClientId;
  change: 'joined' | 'left';
  count: number;
}

export class MemoryRooms {
  private readonly rooms = new Map<RoomName, Room>();
  /** Who wants to know where the members of a room are, and until when, monotonic ms. */
  private readonly watchers = new Map<RoomName, Map<WorkerId, number>>();

  /**
   * @param tell called for each change, after it, with the workers that have connected members
   * @param moved called for each worker that watches a room when its members are not where they were
   */
  constructor(
    private readonly tell: (change: PresenceChange, workers: Iterable<WorkerId>) => void,
    private readonly moved: (room: RoomName, worker: WorkerId) => void,
    private readonly now: () => number,
  ) {}

  get size(): number {
    return this.rooms.size;
  }
  get watched(): number {
    return this.watchers.size;
  }

  /** Present members; see `Store.locateMembers`. */
  places(name: RoomName, watcher: WorkerId | null, evenIfEmpty: boolean): MemberPlace[] {
    const places: MemberPlace[] = [];
    const room = this.rooms.get(name);
    for (const { client, session, generation, worker, connected } of room?.members.values() ?? []) {
      if (places.length >= MEMBER_PLACES_LIMIT) break;
      if (room?.present.get(client)?.has(session) !== true) continue;
      places.push({ session, generation, worker, connected });
    }
    if (watcher !== null && (places.length > 0 || evenIfEmpty)) {
      const watchers = this.watchers.get(name) ?? new Map<WorkerId, number>();
      this.watchers.set(name, watchers.set(watcher, this.now() + WATCH_MS));
    }
    return places;
  }

  /** Forgets who asked too long ago, and a worker that is gone. */
  forgetWatchers(gone: WorkerId | null): void {
    const now = this.now();
    for (const [room, watchers] of this.watchers) {
      for (const [worker, until] of watchers) if (worker === gone || until <= now) watchers.delete(worker);
      if (watchers.size === 0) this.watchers.delete(room);
    }
  }

  count(name: RoomName): number {
    return this.rooms.get(name)?.present.size ?? 0;
  }

  workers(name: RoomName): Iterable<WorkerId> {
    return this.rooms.get(name)?.interest.keys() ?? [];
  }

  /** Connected members. */
  readers(name: RoomName): number {
    let readers = 0;
    for (const members of this.rooms.get(name)?.interest.values() ?? []) readers += members;
    return readers;
  }

  /** A session comes in, or comes back on another worker. */
  enter(name: RoomName, place: SessionPlace): void {
    let room = this.rooms.get(name);
    if (room === undefined) this.rooms.set(name, (room = emptyRoom()));
    const before = room.members.get(place.session);
    if (before?.connected === true) addInterest(room, before.worker, -1);
    room.members.set(place.session, { ...place });
    if (place.connected) addInterest(room, place.worker, 1);
    this.appear(name, room, place);
    this.tellWatchers(name);
  }

  /** The connection is gone; membership and presence stay. */
  disconnect(name: RoomName, session: SessionId): void {
    const room = this.rooms.get(name);
    const member = room?.members.get(session);
    if (room === undefined || member === undefined || !member.connected) return;
    member.connected = false;
    addInterest(room, member.worker, -1);
    this.tellWatchers(name);
  }

  /** The session no longer counts as present; it stays a member. */
  depart(name: RoomName, client: ClientId, session: SessionId): void {
    const room = this.rooms.get(name);
    const sessions = room?.present.get(client);
    if (room === undefined || sessions === undefined || !sessions.delete(session)) return;
    this.tellWatchers(name);
    if (sessions.size > 0) return;
    room.present.delete(client);
    room.names.delete(client);
    this.tell({ room: name, client, change: 'left', count: room.present.size }, room.interest.keys());
  }

  leave(name: RoomName, client: ClientId, session: SessionId): boolean {
    const room = this.rooms.get(name);
    if (room?.members.has(session) !== true) return false;
    this.disconnect(name, session);
    room.members.delete(session);
    this.depart(name, client, session);
    if (room.members.size === 0) this.rooms.delete(name);
    return true;
  }

  /** Members in the order of their ids, after `cursor`. */
  members(name: RoomName, cursor: string | null, limit: number): { rows: Member[]; cursor: string | null } {
    const room = this.rooms.get(name);
    if (room === undefined) return { rows: [], cursor: null };
    const { page, next } = room.names.page(cursor, limit);
    return {
      rows: page.map((client) => ({ client, sessions: room.present.get(client)?.size ?? 0 })),
      cursor: next,
    };
  }

  private tellWatchers(name: RoomName): void {
    for (const worker of this.watchers.get(name)?.keys() ?? []) this.moved(name, worker);
  }

  private appear(name: RoomName, room: Room, { client, session }: SessionPlace): void {
    const sessions = room.present.get(client);
    if (sessions !== undefined) {
      sessions.add(session);
      return;
    }
    room.present.set(client, new Set([session]));
    room.names.add(client);
    this.tell({ room: name, client, change: 'joined', count: room.present.size }, room.interest.keys());
  }
}

function emptyRoom(): Room {
  return { members: new Map(), present: new Map(), names: new SortedNames(), interest: new Map() };
}

function addInterest(room: Room, worker: WorkerId, change: number): void {
  const count = (room.interest.get(worker) ?? 0) + change;
  if (count > 0) room.interest.set(worker, count);
  else room.interest.delete(worker);
}
