// The embedded store: everything in the memory of the primary. It outlives every worker, not the primary.
import type { ClientId, PairId, RoomName, SessionId, WorkerId } from '../../protocol/ids.js';
import { MemoryLogs } from './memory-log.js';
import { MemoryRooms } from './memory-rooms.js';
import { PairClaims } from './pair-claims.js';
import { RevocationList } from './revocation-list.js';
import { TicketBox } from './ticket-box.js';
import { SortedNames } from './sorted-names.js';
import { MemoryWebhooks } from './memory-webhooks.js';
import type { WebhookRules } from './webhook-queue.js';
import { SERVER_GENERATION } from './store.js';
import type {
  AppendRequest,
  AppendResult,
  AttachRequest,
  AttachResult,
  Channel,
  JoinRequest,
  JoinResult,
  Member,
  MemberPlace,
  Page,
  ReadQuery,
  ReadResult,
  Revocation,
  SessionPlace,
  SessionRef,
  Store,
  StoreEvent,
  StoreSettings,
  Waiter,
} from './store.js';

interface Record extends SessionPlace {
  keyHash: string;
  /** Still good until the newer key was used: a client may have lost the welcome that told it. */
  previousKeyHash: string | null;
  rooms: Set<RoomName>;
  /** False once the presence grace after its last connection is over. */
  present: boolean;
  /** Orders the sessions of a client: the last attached is asked first. */
  attachedAt: number;
  /** When its connection was lost, wall clock, ms; null while it has one. */
  lostAtMs: number | null;
}

export interface MemoryStoreOptions {
  settings: StoreSettings;
  deliver: (worker: WorkerId, event: StoreEvent) => void;
  /** What an application is told of, where there is one that wants to be. */
  webhooks?: WebhookRules | null;
  /** Monotonic ms. */
  now?: () => number;
}

/** Workers that ask for a client's route at one time; more than a deployment of one machine has. */
const WATCHERS_LIMIT = 1024;

export class MemoryStore implements Store {
  readonly ready = true;
  private readonly sessions = new Map<SessionId, Record>();
  private readonly clientSessions = new Map<ClientId, Map<SessionId, Record>>();
  /** Clients that are online, in order. */
  private readonly present = new SortedNames<ClientId>();
  private readonly watchers = new Map<ClientId, Set<WorkerId>>();
  private readonly rooms: MemoryRooms;
  private readonly logs: MemoryLogs;
  private readonly revoked = new RevocationList();
  private readonly tickets: TicketBox;
  private readonly pairs: PairClaims;
  /** Null where nobody wants to be told. */
  readonly webhooks: MemoryWebhooks | null;
  private readonly now: () => number;
  private readonly deliver: MemoryStoreOptions['deliver'];
  /** When waiting sessions depart and end; in the order of insertion, which is the order of time. */
  private readonly departures = new Map<SessionId, number>();
  private readonly ends = new Map<SessionId, number>();
  private attachments = 0;

  constructor(private readonly options: MemoryStoreOptions) {
    this.now = options.now ?? (() => performance.now());
    this.deliver = options.deliver;
    this.tickets = new TicketBox(this.now);
    this.pairs = new PairClaims(this.now);
    this.logs = new MemoryLogs(options.settings, this.now);
    const { webhooks = null } = options;
    this.webhooks = webhooks === null ? null : new MemoryWebhooks(webhooks, this.now);
    this.rooms = new MemoryRooms(
      (change, workers) => {
        const isOccupied = change.change === 'joined';
        if (change.count === (isOccupied ? 1 : 0)) this.webhooks?.room(change.room, isOccupied);
        for (const worker of workers) this.deliver(worker, { type: 'presence', ...change });
      },
      (room, worker) => {
        this.deliver(worker, { type: 'members', room });
      },
      this.now,
    );
  }

  attach(request: AttachRequest): Promise<AttachResult> {
    const resumed = this.resumable(request);
    const others = [...(this.clientSessions.get(request.client)?.values() ?? [])].filter(
      (other) => other !== resumed,
    );
    if (request.duplicates === 'reject' && others.some(({ connected }) => connected)) {
      return Promise.resolve({ status: 'refused', code: 'duplicate_client' });
    }
    if (request.duplicates === 'replace') for (const other of others) this.replace(other);
    else if (resumed === null && others.length >= request.sessionsLimit) {
      // Page reloads leave waiting sessions behind: the oldest of them makes room.
      const [waiting] = others
        .filter(({ connected }) => !connected)
        .sort((a, b) => a.attachedAt - b.attachedAt);
      if (waiting === undefined) return Promise.resolve({ status: 'refused', code: 'limit_exceeded' });
      this.remove(waiting);
    }
    const record = resumed === null ? this.create(request) : this.takeOver(resumed, request);
    this.tellRoute(record.client);
    return Promise.resolve({
      status: 'attached',
      session: record.session,
      generation: record.generation,
      resumed: resumed !== null,
      rooms: [...record.rooms],
      inbox: this.logs.position(inboxOf(record.client)),
      kept: this.logs.kept(inboxOf(record.client)),
    });
  }

  detach(ref: SessionRef): Promise<void> {
    const record = this.current(ref);
    if (record !== null) this.disconnect(record);
    return DONE;
  }

  end(ref: SessionRef): Promise<void> {
    const record = this.current(ref);
    if (record !== null) this.remove(record);
    return DONE;
  }

  locate(client: ClientId, watcher: WorkerId | null): Promise<SessionPlace[]> {
    const sessions = this.clientSessions.get(client);
    // Nobody waits for a client that does not exist: a stranger could fill the table with names.
    if (watcher !== null && sessions !== undefined) {
      const watchers = this.watchers.get(client) ?? new Set();
      if (watchers.size < WATCHERS_LIMIT) this.watchers.set(client, watchers.add(watcher));
    }
    const records = [...(sessions?.values() ?? [])].sort((a, b) => b.attachedAt - a.attachedAt);
    return Promise.resolve(
      records.map(({ session, generation, worker, connected }) => ({
        client,
        session,
        generation,
        worker,
        connected,
      })),
    );
  }

  online(client: ClientId): Promise<boolean> {
    return Promise.resolve(this.isOnline(client));
  }

  clients({
    prefix,
    cursor,
    limit,
  }: {
    prefix: string;
    cursor: string | null;
    limit: number;
  }): Promise<Page<ClientId>> {
    const { page, next } = this.present.page(cursor, limit, prefix);
    return Promise.resolve({ rows: page, cursor: next });
  }

  join(request: JoinRequest): Promise<JoinResult> {
    const { room } = request;
    const record = this.current(request);
    if (record?.connected !== true) return Promise.resolve({ status: 'refused', code: 'superseded' });
    if (!record.rooms.has(room)) {
      if (record.rooms.size >= request.roomsLimit)
        return Promise.resolve({ status: 'refused', code: 'limit' });
      record.rooms.add(room);
      this.rooms.enter(room, placeOf(record));
    }
    const position = this.logs.position({ kind: 'room', room });
    return Promise.resolve({ status: 'joined', count: this.rooms.count(room), position });
  }

  leave(ref: SessionRef, room: RoomName): Promise<boolean> {
    const record = this.current(ref);
    if (record === null || !record.rooms.delete(room)) return Promise.resolve(false);
    return Promise.resolve(this.rooms.leave(room, record.client, record.session));
  }

  members(query: {
    room: RoomName;
    cursor: string | null;
    limit: number;
  }): Promise<Page<Member> & { count: number }> {
    const { room, cursor, limit } = query;
    return Promise.resolve({ ...this.rooms.members(room, cursor, limit), count: this.rooms.count(room) });
  }

  count(room: RoomName): Promise<number> {
    return Promise.resolve(this.rooms.count(room));
  }

  locateMembers(room: RoomName, watcher: WorkerId | null, evenIfEmpty: boolean): Promise<MemberPlace[]> {
    return Promise.resolve(this.rooms.places(room, watcher, evenIfEmpty));
  }

  append(request: AppendRequest): Promise<AppendResult> {
    return Promise.resolve(this.appendNow(request));
  }

  appendFor(request: AppendRequest, waiter: Waiter<AppendResult>): void {
    waiter.resolve(this.appendNow(request));
  }

  /** For the workers of this node, who are told over their links. */
  appendNow(request: AppendRequest): AppendResult {
    const { channel, sender, seq, only, skip, body } = request;
    const found = this.readers(channel, only);
    const unread = found === null;
    if (unread && !(request.keep && seq !== 0 && only === null)) return ABSENT;
    if (sender.generation !== SERVER_GENERATION && this.current(sender) === null) return SUPERSEDED;
    const { workers, readers } = found ?? NOBODY;
    if (seq === 0) {
      this.publish(workers, {
        type: 'entry',
        channel,
        entry: { id: null, after: null, only, skip, body },
      });
      return { status: 'accepted', id: null, readers };
    }
    const result = this.logs.append(request, unread);
    if (result.status !== 'accepted') return result;
    const { entry } = result;
    this.publish(workers, { type: 'entry', channel, entry });
    return { status: 'accepted', id: entry.id, readers };
  }

  read({ channel, from, limit }: ReadQuery): Promise<ReadResult> {
    return Promise.resolve(this.logs.read(channel, from, limit));
  }

  acknowledge(ref: SessionRef, id: string): Promise<void> {
    if (this.current(ref) !== null) this.logs.acknowledge(inboxOf(ref.client), id);
    return DONE;
  }

  claimPair(client: ClientId, pair: PairId, leaseMs: number): Promise<boolean> {
    return Promise.resolve(this.pairs.claim(client, pair, leaseMs));
  }

  holdPair(client: ClientId, pair: PairId, leaseMs: number): Promise<boolean> {
    return Promise.resolve(this.pairs.hold(client, pair, leaseMs));
  }

  freePair(client: ClientId, pair: PairId): Promise<void> {
    this.pairs.free(client, pair);
    return DONE;
  }

  pairsOf(clients: readonly ClientId[]): Promise<(PairId | null)[]> {
    return Promise.resolve(clients.map((client) => this.pairs.get(client)));
  }

  keepTicket(id: string, value: string, lifeMs: number): Promise<void> {
    this.tickets.keep(id, value, lifeMs);
    return DONE;
  }

  redeemTicket(id: string): Promise<string | null> {
    return Promise.resolve(this.tickets.redeem(id));
  }

  revoke(revocation: Revocation): Promise<void> {
    return new Promise((resolve) => {
      this.revoked.add(revocation);
      resolve();
    });
  }

  revocations(since: number): Promise<{ revocations: Revocation[]; number: number }> {
    return Promise.resolve(this.revoked.since(since));
  }

  /** The primary knows when a worker dies and nothing here expires while it lives: there is nothing to renew. */
  renew(): Promise<void> {
    return DONE;
  }

  retire(worker: WorkerId): Promise<void> {
    for (const record of this.sessions.values())
      if (record.worker === worker && record.connected) this.disconnect(record);
    this.rooms.forgetWatchers(worker);
    for (const [client, watchers] of this.watchers) {
      if (watchers.delete(worker) && watchers.size === 0) this.watchers.delete(client);
    }
    return DONE;
  }

  sweep(): Promise<void> {
    for (const record of this.due(this.departures)) this.depart(record);
    for (const record of this.due(this.ends)) this.remove(record);
    this.logs.expire();
    this.rooms.forgetWatchers(null);
    this.pairs.expire();
    return DONE;
  }

  close(): Promise<void> {
    return DONE;
  }

  /** The store ends, and every session with it: who is told of sessions is told so. */
  endAll(): void {
    for (const record of [...this.sessions.values()]) this.remove(record);
    this.webhooks?.finish();
  }

  /** How much is held; for metrics, and for tests that nothing stays behind. */
  get sizes(): {
    sessions: number;
    clients: number;
    rooms: number;
    logs: number;
    watched: number;
    waiting: number;
  } {
    return {
      sessions: this.sessions.size,
      clients: this.clientSessions.size,
      rooms: this.rooms.size,
      logs: this.logs.size,
      watched: this.watchers.size,
      waiting: this.departures.size + this.ends.size,
    };
  }

  private resumable({ client, resume }: AttachRequest): Record | null {
    const record = resume === null ? undefined : this.sessions.get(resume.session);
    if (record === undefined || resume === null || record.client !== client) return null;
    return resume.keyHash === record.keyHash || resume.keyHash === record.previousKeyHash ? record : null;
  }

  private create({ client, fresh, worker, keyHash }: AttachRequest): Record {
    const record: Record = {
      client,
      session: fresh,
      generation: 1,
      worker,
      connected: true,
      keyHash,
      previousKeyHash: null,
      rooms: new Set(),
      present: true,
      attachedAt: ++this.attachments,
      lostAtMs: null,
    };
    this.sessions.set(fresh, record);
    this.webhooks?.began(client, fresh);
    const sessions = this.clientSessions.get(client);
    if (sessions === undefined) this.clientSessions.set(client, new Map([[fresh, record]]));
    else sessions.set(fresh, record);
    this.present.add(client);
    return record;
  }

  private takeOver(record: Record, { worker, keyHash, resume }: AttachRequest): Record {
    const { client, session, generation } = record;
    if (record.connected) {
      this.deliver(record.worker, { type: 'fence', client, session, generation, code: 'superseded' });
    }
    // The key that was used now stays good once more: its successor may get lost on the way.
    record.previousKeyHash = resume?.keyHash ?? null;
    record.keyHash = keyHash;
    record.generation++;
    record.worker = worker;
    record.connected = true;
    record.lostAtMs = null;
    record.present = true;
    this.present.add(client);
    record.attachedAt = ++this.attachments;
    this.departures.delete(session);
    this.ends.delete(session);
    for (const room of record.rooms) this.rooms.enter(room, placeOf(record));
    return record;
  }

  private replace(other: Record): void {
    const { client, session, generation, worker } = other;
    if (other.connected)
      this.deliver(worker, { type: 'fence', client, session, generation, code: 'replaced' });
    this.remove(other);
  }

  private disconnect(record: Record): void {
    if (!record.connected) return;
    record.connected = false;
    record.lostAtMs = Date.now();
    for (const room of record.rooms) this.rooms.disconnect(room, record.session);
    const { presenceGraceMs, resumeWindowMs } = this.options.settings;
    this.departures.set(record.session, this.now() + presenceGraceMs);
    this.ends.set(record.session, this.now() + resumeWindowMs);
    this.tellRoute(record.client);
  }

  private depart(record: Record): void {
    record.present = false;
    if (!this.isOnline(record.client)) this.present.delete(record.client);
    for (const room of record.rooms) this.rooms.depart(room, record.client, record.session);
  }

  private remove(record: Record): void {
    const { client, session } = record;
    for (const room of record.rooms) this.rooms.leave(room, client, session);
    this.webhooks?.ended(client, session, record.lostAtMs);
    this.departures.delete(session);
    this.ends.delete(session);
    this.sessions.delete(session);
    const sessions = this.clientSessions.get(client);
    sessions?.delete(session);
    if (!this.isOnline(client)) this.present.delete(client);
    this.tellRoute(client);
    if (sessions?.size === 0) {
      this.clientSessions.delete(client);
      this.watchers.delete(client);
    }
  }

  private *due(times: Map<SessionId, number>): Generator<Record> {
    const now = this.now();
    for (const [session, time] of times) {
      if (time > now) return;
      times.delete(session);
      const record = this.sessions.get(session);
      if (record !== undefined) yield record;
    }
  }

  /** The session of a reference, unless a newer connection has taken it over. */
  private current(ref: SessionRef): Record | null {
    const record = this.sessions.get(ref.session);
    return record !== undefined && record.client === ref.client && record.generation === ref.generation
      ? record
      : null;
  }

  private isOnline(client: ClientId): boolean {
    for (const { present } of this.clientSessions.get(client)?.values() ?? []) if (present) return true;
    return false;
  }

  /** Workers that hold readers of a channel now, and how many readers; null where the channel has no owner. */
  private readers(channel: Channel, only: SessionId | null): Readers | null {
    if (channel.kind === 'room')
      return { workers: this.rooms.workers(channel.room), readers: this.rooms.readers(channel.room) };
    const sessions = this.clientSessions.get(channel.client);
    if (sessions === undefined || (only !== null && !sessions.has(only))) return null;
    const workers: WorkerId[] = [];
    let readers = 0;
    for (const { session, worker, connected } of sessions.values()) {
      if (!connected || (only !== null && session !== only)) continue;
      if (!workers.includes(worker)) workers.push(worker);
      readers++;
    }
    return { workers, readers };
  }

  private publish(workers: Iterable<WorkerId>, event: StoreEvent): void {
    for (const worker of workers) this.deliver(worker, event);
  }

  private tellRoute(client: ClientId): void {
    for (const worker of this.watchers.get(client) ?? []) this.deliver(worker, { type: 'route', client });
  }
}

interface Readers {
  workers: Iterable<WorkerId>;
  readers: number;
}
const NOBODY: Readers = { workers: [], readers: 0 };

const DONE = Promise.resolve();
const ABSENT: AppendResult = { status: 'absent' };
const SUPERSEDED: AppendResult = { status: 'superseded' };

function placeOf({ client, session, generation, worker, connected }: Record): SessionPlace {
  return { client, session, generation, worker, connected };
}

function inboxOf(client: ClientId): Channel {
  return { kind: 'inbox', client };
}
