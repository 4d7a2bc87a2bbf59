// Sessions in memory: their lives from attachment to end, whom that takes down, and who is told.
import type { ClientId, WorkerId } from '../../protocol/ids.js';
import type { MemoryLogs } from './memory-logs.js';
import { ClientRecord, type SessionRecord } from './memory-records.js';
import type { MemoryRooms } from './memory-rooms.js';
import { PARTITIONS, partitionOf } from './partition.js';
import { SortedNames } from './sorted-names.js';
import {
  WATCH_MS,
  type AttachRequest,
  type AttachResult,
  type SessionRef,
  type StoreEvent,
  type StoreSettings,
} from './store.js';

/** Watchers of a client whose time is over are looked for when there are more than this. */
const WATCHERS_PRUNE_AT = 32;

export interface MemorySessionsOptions {
  settings: StoreSettings;
  now: () => number;
  deliver: (worker: WorkerId, event: StoreEvent) => void;
  rooms: MemoryRooms;
  logs: MemoryLogs;
}

export class MemorySessions {
  readonly clients = new Map<ClientId, ClientRecord>();
  /** By partition, as Redis has it, so that a page never sorts all clients. */
  readonly online: readonly SortedNames<ClientId>[] = Array.from(
    { length: PARTITIONS },
    () => new SortedNames<ClientId>(),
  );
  /** Connected sessions of each worker. */
  private readonly workers = new Map<WorkerId, Set<SessionRecord>>();
  /** When the presence of unconnected sessions ends, and their wait; each is the same time for all: the soonest first. */
  private readonly departures = new Map<SessionRecord, number>();
  private readonly waits = new Map<SessionRecord, number>();

  constructor(private readonly options: MemorySessionsOptions) {}

  /** The session at exactly this generation. */
  find({ client, session, generation }: SessionRef): SessionRecord | null {
    const record = this.clients.get(client)?.sessions.get(session);
    return record?.generation === generation ? record : null;
  }

  attach(request: AttachRequest): AttachResult {
    const client = this.clients.get(request.client);
    const resumed = client === undefined ? null : resumable(client, request);
    const others = [...(client?.sessions.values() ?? [])].filter((other) => other !== resumed);
    if (request.duplicates === 'reject' && others.some(({ state }) => state === 'connected')) {
      return { status: 'refused', code: 'duplicate_client' };
    }
    const replaced = request.duplicates === 'replace' ? others : [];
    if (resumed === null && others.length - replaced.length >= request.sessionsLimit) {
      return { status: 'refused', code: 'limit_exceeded' };
    }
    const session = resumed === null ? this.begin(request) : this.resume(resumed, request);
    for (const other of replaced) {
      this.fence(other, 'replaced');
      this.end(other);
    }
    this.tellWatchers(session.client);
    return {
      status: 'attached',
      session: session.id,
      generation: session.generation,
      resumed: resumed !== null,
      rooms: [...session.rooms.keys()],
    };
  }

  private begin({ client: id, fresh, worker, keyHash }: AttachRequest): SessionRecord {
    let client = this.clients.get(id);
    if (client === undefined) this.clients.set(id, (client = new ClientRecord(id)));
    const session: SessionRecord = {
      id: fresh,
      client,
      rooms: new Map(),
      generation: 1,
      worker,
      state: 'away',
      keyHash,
      previousKeyHash: null,
    };
    client.sessions.set(fresh, session);
    this.connect(session);
    return session;
  }

  private resume(session: SessionRecord, { worker, keyHash, resume }: AttachRequest): SessionRecord {
    if (session.state === 'connected') {
      this.fence(session, 'superseded');
      this.disconnect(session);
    }
    session.generation += 1;
    session.worker = worker;
    session.previousKeyHash = resume?.keyHash ?? null;
    session.keyHash = keyHash;
    // The most recently attached stands last.
    session.client.sessions.delete(session.id);
    session.client.sessions.set(session.id, session);
    this.connect(session);
    return session;
  }

  /** The session has a connection on `session.worker` again, or for the first time. */
  private connect(session: SessionRecord): void {
    const was = session.state;
    this.departures.delete(session);
    this.waits.delete(session);
    session.state = 'connected';
    let held = this.workers.get(session.worker);
    if (held === undefined) this.workers.set(session.worker, (held = new Set()));
    held.add(session);
    this.options.rooms.connected(session, was);
    this.indexOnline(session.client);
  }

  /** Takes the session from its worker; its presence lasts. */
  private disconnect(session: SessionRecord): void {
    session.state = 'present';
    const held = this.workers.get(session.worker);
    held?.delete(session);
    if (held?.size === 0) this.workers.delete(session.worker);
    this.options.rooms.disconnected(session, session.worker);
  }

  detach(session: SessionRecord): void {
    if (session.state !== 'connected') return;
    const { now, settings } = this.options;
    this.disconnect(session);
    this.departures.set(session, now() + settings.presenceGraceMs);
    this.waits.set(session, now() + settings.resumeWindowMs);
    this.tellWatchers(session.client);
  }

  private depart(session: SessionRecord): void {
    this.departures.delete(session);
    session.state = 'away';
    this.options.rooms.departed(session);
    this.indexOnline(session.client);
  }

  end(session: SessionRecord): void {
    const { client } = session;
    for (const room of session.rooms.values()) this.options.rooms.leave(session, room);
    if (session.state === 'connected') this.disconnect(session);
    this.departures.delete(session);
    this.waits.delete(session);
    client.sessions.delete(session.id);
    this.tellWatchers(client);
    this.indexOnline(client);
    if (client.sessions.size > 0) return;
    this.options.logs.drop(client);
    this.clients.delete(client.id);
  }

  /** What a worker's sign of life says of one session of it. */
  renew(worker: WorkerId, ref: SessionRef): void {
    const { client, session, generation } = ref;
    const record = this.clients.get(client)?.sessions.get(session);
    if (record?.generation === generation && record.worker === worker) {
      if (record.state === 'connected') return;
      this.connect(record);
      this.tellWatchers(record.client);
      return;
    }
    const code = record === undefined ? 'session_ended_elsewhere' : 'superseded';
    this.options.deliver(worker, { type: 'fence', client, session, generation, code });
  }

  /** The sessions of a worker that is gone wait for new connections. */
  retire(worker: WorkerId): void {
    for (const session of this.workers.get(worker) ?? []) this.detach(session);
  }

  sweep(): void {
    const now = this.options.now();
    for (const [session, at] of this.departures) {
      if (at > now) break;
      this.depart(session);
    }
    for (const [session, at] of this.waits) {
      if (at > now) break;
      this.end(session);
    }
  }

  watch(client: ClientRecord, watcher: WorkerId): void {
    const now = this.options.now();
    client.watchers.set(watcher, now + WATCH_MS);
    if (client.watchers.size <= WATCHERS_PRUNE_AT) return;
    for (const [worker, until] of client.watchers) if (until <= now) client.watchers.delete(worker);
  }

  private tellWatchers(client: ClientRecord): void {
    if (client.watchers.size === 0) return;
    const now = this.options.now();
    for (const [worker, until] of client.watchers) {
      if (until <= now) client.watchers.delete(worker);
      else this.options.deliver(worker, { type: 'route', client: client.id });
    }
  }

  private fence(session: SessionRecord, code: 'superseded' | 'replaced'): void {
    if (session.state !== 'connected') return;
    const { id, client, generation } = session;
    this.options.deliver(session.worker, { type: 'fence', client: client.id, session: id, generation, code });
  }

  private indexOnline(client: ClientRecord): void {
    const index = this.online[partitionOf(client.id)];
    if (client.isOnline()) index?.add(client.id);
    else index?.delete(client.id);
  }
}

function resumable(client: ClientRecord, { resume }: AttachRequest): SessionRecord | null {
  if (resume === null) return null;
  const session = client.sessions.get(resume.session);
  if (session === undefined) return null;
  return [session.keyHash, session.previousKeyHash].includes(resume.keyHash) ? session : null;
}
