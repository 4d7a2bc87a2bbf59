// The store in one process's memory: exact, synchronous, and lost with the process (the primary of a node without Redis).
import { performance } from 'node:perf_hooks';
import { GatewayError } from '../../protocol/errors.js';
import type { ClientId, RoomName, WorkerId } from '../../protocol/ids.js';
import { MemoryLogs, noLog, type LogOwner } from './memory-logs.js';
import { placeOf, type ClientRecord, type RoomRecord } from './memory-records.js';
import { MemoryRooms } from './memory-rooms.js';
import { MemorySessions } from './memory-sessions.js';
import { formatClientsCursor, parseClientsCursor, PARTITIONS } from './partition.js';
import type {
  AppendRequest,
  AppendResult,
  AttachRequest,
  AttachResult,
  Channel,
  Entry,
  JoinRequest,
  JoinResult,
  Member,
  Page,
  ReadResult,
  SessionPlace,
  SessionRef,
  Store,
  StoreEvent,
  StoreSettings,
} from './store.js';

export interface MemoryStoreOptions {
  settings: StoreSettings;
  /** Milliseconds of a clock that never jumps. */
  clock?: { now(): number };
  /** Called for each event in order, within the call that caused it; must not call the store. */
  deliver: (worker: WorkerId, event: StoreEvent) => void;
}

/** What the store holds now. */
export interface MemoryStoreSize {
  clients: number;
  rooms: number;
  /** Logs that hold entries. */
  logs: number;
  logBytes: number;
  workers: number;
}

export class MemoryStore implements Store {
  ready = true;
  /** Worker → end of its lease. */
  private readonly leases = new Map<WorkerId, number>();
  private readonly logs: MemoryLogs;
  private readonly rooms: MemoryRooms;
  private readonly sessions: MemorySessions;
  private readonly settings: StoreSettings;
  private readonly now: () => number;
  private readonly deliver: MemoryStoreOptions['deliver'];

  constructor({ settings, clock = performance, deliver }: MemoryStoreOptions) {
    const now = (): number => clock.now();
    const logs = new MemoryLogs(settings, now);
    const rooms = new MemoryRooms(logs, deliver);
    this.sessions = new MemorySessions({ settings, now, deliver, rooms, logs });
    this.settings = settings;
    this.now = now;
    this.deliver = deliver;
    this.logs = logs;
    this.rooms = rooms;
  }

  async attach(request: AttachRequest): Promise<AttachResult> {
    this.mustBeOpen();
    // A worker that never renews must be found dead too.
    if (!this.leases.has(request.worker)) this.lease(request.worker);
    return this.sessions.attach(request);
  }

  async detach(ref: SessionRef): Promise<void> {
    this.mustBeOpen();
    const session = this.sessions.find(ref);
    if (session !== null) this.sessions.detach(session);
  }

  async end(ref: SessionRef): Promise<void> {
    this.mustBeOpen();
    const session = this.sessions.find(ref);
    if (session !== null) this.sessions.end(session);
  }

  async locate(id: ClientId, watcher: WorkerId | null): Promise<SessionPlace[]> {
    this.mustBeOpen();
    const client = this.sessions.clients.get(id);
    if (client === undefined) return [];
    if (watcher !== null) this.sessions.watch(client, watcher);
    return [...client.sessions.values()].reverse().map(placeOf);
  }

  async online(client: ClientId): Promise<boolean> {
    this.mustBeOpen();
    return this.sessions.clients.get(client)?.isOnline() ?? false;
  }

  async clients(query: { prefix: string; cursor: string | null; limit: number }): Promise<Page<ClientId>> {
    this.mustBeOpen();
    const { prefix, limit } = query;
    const rows: ClientId[] = [];
    let { partition, after } = parseClientsCursor(query.cursor);
    for (; partition < PARTITIONS; partition++, after = '') {
      const index = this.sessions.online[partition];
      rows.push(...(index?.page({ after, prefix, limit: limit - rows.length }) ?? []));
      if (rows.length >= limit) return { rows, cursor: formatClientsCursor(partition, rows.at(-1) ?? after) };
    }
    return { rows, cursor: null };
  }

  async join(request: JoinRequest): Promise<JoinResult> {
    this.mustBeOpen();
    const { room: name, roomsLimit } = request;
    const session = this.sessions.find(request);
    if (session?.state !== 'connected') return { status: 'refused', code: 'superseded' };
    let room = session.rooms.get(name);
    if (room === undefined) {
      if (session.rooms.size >= roomsLimit) return { status: 'refused', code: 'limit' };
      room = this.rooms.join(session, name);
    }
    return { status: 'joined', count: room.members.size };
  }

  async leave(ref: SessionRef, name: RoomName): Promise<boolean> {
    this.mustBeOpen();
    const session = this.sessions.find(ref);
    const room = session?.rooms.get(name);
    if (session === null || room === undefined) return false;
    this.rooms.leave(session, room);
    return true;
  }

  async members(query: {
    room: RoomName;
    cursor: string | null;
    limit: number;
  }): Promise<Page<Member> & { count: number }> {
    this.mustBeOpen();
    const room = this.rooms.get(query.room);
    if (room === undefined) return { rows: [], cursor: null, count: 0 };
    const { limit } = query;
    const names = room.members.page({ after: query.cursor ?? '', prefix: '', limit });
    const rows = names.map((client) => ({ client, sessions: room.present.get(client) ?? 0 }));
    return { rows, cursor: rows.length < limit ? null : (names.at(-1) ?? null), count: room.members.size };
  }

  async count(room: RoomName): Promise<number> {
    this.mustBeOpen();
    return this.rooms.get(room)?.members.size ?? 0;
  }

  async append(request: AppendRequest): Promise<AppendResult> {
    this.mustBeOpen();
    const { channel } = request;
    if (channel.kind === 'inbox') {
      const client = this.sessions.clients.get(channel.client);
      return client === undefined ? { status: 'absent' } : this.appendToInbox(client, request);
    }
    if (request.seq === 0) {
      // Nothing is stored, so nothing is made for a room that nobody is in.
      this.publish(this.rooms.get(channel.room)?.interest.keys() ?? [], request, null);
      return { status: 'accepted', id: null };
    }
    const room = this.rooms.open(channel.room);
    return this.store(room, room.interest.keys(), request);
  }

  private appendToInbox(client: ClientRecord, request: AppendRequest): AppendResult {
    const { only, seq } = request;
    if (only !== null && !client.sessions.has(only)) {
      // A retry of what was stored while the named session lived is still a duplicate.
      const refusal = seq === null || seq === 0 ? null : client.log?.refusal(request.sender, seq);
      return refusal?.status === 'duplicate' ? refusal : { status: 'absent' };
    }
    const workers = new Set<WorkerId>();
    for (const { id, state, worker } of client.sessions.values()) {
      if (state === 'connected' && (only === null || only === id)) workers.add(worker);
    }
    if (seq !== 0) return this.store(client, workers, request);
    this.publish(workers, request, null);
    return { status: 'accepted', id: null };
  }

  private store(owner: LogOwner, workers: Iterable<WorkerId>, request: AppendRequest): AppendResult {
    const result = this.logs.append(owner, request);
    if ('status' in result) return result;
    this.publish(workers, { channel: request.channel, ...result }, result.id);
    return { status: 'accepted', id: result.id };
  }

  private publish(
    workers: Iterable<WorkerId>,
    { channel, only, skip, body }: { channel: Channel } & Omit<Entry, 'id'>,
    id: string | null,
  ): void {
    const event: StoreEvent = { type: 'entry', channel, entry: { id, only, skip, body } };
    for (const worker of workers) this.deliver(worker, event);
  }

  async read(query: { channel: Channel; after: string | null; limit: number }): Promise<ReadResult> {
    this.mustBeOpen();
    const { channel, after, limit } = query;
    const owner: ClientRecord | RoomRecord | undefined =
      channel.kind === 'inbox' ? this.sessions.clients.get(channel.client) : this.rooms.get(channel.room);
    return owner === undefined ? noLog(after) : this.logs.read(owner, after, limit);
  }

  async renew(worker: WorkerId, sessions: readonly SessionRef[]): Promise<void> {
    this.mustBeOpen();
    if (!this.leases.has(worker)) this.deliver(worker, { type: 'reset' });
    this.lease(worker);
    for (const ref of sessions) this.sessions.renew(worker, ref);
  }

  async retire(worker: WorkerId): Promise<void> {
    this.mustBeOpen();
    this.leases.delete(worker);
    this.sessions.retire(worker);
  }

  async sweep(): Promise<void> {
    this.mustBeOpen();
    this.sessions.sweep();
    this.logs.sweep();
    const now = this.now();
    for (const [worker, until] of this.leases) {
      if (until > now) continue;
      this.leases.delete(worker);
      this.sessions.retire(worker);
    }
  }

  size(): MemoryStoreSize {
    return {
      clients: this.sessions.clients.size,
      rooms: this.rooms.size,
      logs: this.logs.filledCount,
      logBytes: this.logs.bytes,
      workers: this.leases.size,
    };
  }

  async close(): Promise<void> {
    this.ready = false;
  }

  private mustBeOpen(): void {
    if (!this.ready) throw new GatewayError('unavailable', 'the store is closed');
  }

  private lease(worker: WorkerId): void {
    this.leases.set(worker, this.now() + this.settings.workerLeaseMs);
  }
}
