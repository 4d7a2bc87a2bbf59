// Which sessions this worker holds: by id, by client, by room.
import type { ClientId, RoomName, SessionId } from '../protocol/ids.js';
import type { Session } from './session.js';

export class SessionRegistry {
  private readonly sessions = new Map<SessionId, Session>();
  private readonly clients = new Map<ClientId, Set<Session>>();
  private readonly rooms = new Map<RoomName, Set<Session>>();

  get size(): number {
    return this.sessions.size;
  }

  add(session: Session): void {
    const { session: id, client } = session.ref;
    const older = this.sessions.get(id);
    if (older !== undefined) this.remove(older);
    this.sessions.set(id, session);
    addTo(this.clients, client, session);
    for (const room of session.rooms) addTo(this.rooms, room, session);
  }

  /** False when the session was not here, or a newer connection of it is. */
  remove(session: Session): boolean {
    const { session: id, client } = session.ref;
    if (this.sessions.get(id) !== session) return false;
    this.sessions.delete(id);
    removeFrom(this.clients, client, session);
    for (const room of session.rooms) removeFrom(this.rooms, room, session);
    return true;
  }

  enter(session: Session, room: RoomName): void {
    session.enter(room);
    if (this.sessions.get(session.ref.session) === session) addTo(this.rooms, room, session);
  }

  exit(session: Session, room: RoomName): void {
    session.exit(room);
    removeFrom(this.rooms, room, session);
  }

  get(id: SessionId): Session | undefined {
    return this.sessions.get(id);
  }
  ofClient(client: ClientId): ReadonlySet<Session> {
    return this.clients.get(client) ?? NOBODY;
  }
  inRoom(room: RoomName): ReadonlySet<Session> {
    return this.rooms.get(room) ?? NOBODY;
  }
  all(): IterableIterator<Session> {
    return this.sessions.values();
  }
}

const NOBODY: ReadonlySet<Session> = new Set();

function addTo<Key>(map: Map<Key, Set<Session>>, key: Key, session: Session): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([session]));
  else set.add(session);
}

function removeFrom<Key>(map: Map<Key, Set<Session>>, key: Key, session: Session): void {
  const set = map.get(key);
  if (set === undefined) return;
  set.delete(session);
  if (set.size === 0) map.delete(key);
}
