// The store in Redis: every step that must be atomic is one Lua script on one partition (see scripts/).
import type { Logger } from 'pino';
import { GatewayError } from '../../protocol/errors.js';
import {
  type ClientId,
  type PairId,
  isClientId,
  isPairId,
  isRoomName,
  isSessionId,
  type RoomName,
  type SessionId,
  type WorkerId,
} from '../../protocol/ids.js';
import { AppendBatches } from './append-batches.js';
import { refuseEviction } from './eviction-policy.js';
import { parseEntryId } from './entry-id.js';
import { partitionOf, partitionTags } from './partition.js';
import { RedisConnection } from './redis-connection.js';
import { keptOf, memberPlacesOf, nameOf, positionOf, readEntries, readEvents } from './redis-records.js';
import { RedisLease } from './redis-lease.js';
import { RedisPresences } from './redis-presences.js';
import { RedisRevocations } from './redis-revocations.js';
import {
  type AppendRequest,
  type AppendResult,
  type AttachRequest,
  type AttachResult,
  type JoinRequest,
  type JoinResult,
  type Member,
  MEMBER_PLACES_LIMIT,
  type MemberPlace,
  type Page,
  type Position,
  READ_LIMIT_BYTES,
  type ReadQuery,
  type ReadResult,
  type Revocation,
  type SessionPlace,
  type SessionRef,
  type Store,
  type StoreListener,
  type StoreSettings,
  type Waiter,
  WATCH_MS,
} from './store.js';

export interface RedisStoreOptions {
  url: string;
  prefix: string;
  worker: WorkerId;
  settings: StoreSettings;
  listener: StoreListener;
  log: Pick<Logger, 'warn' | 'error'>;
  /** How many replicas must have a message before it counts as accepted. */
  waitReplicas?: number;
  /** How long a change must last before webhooks tell of it, ms; null: there are none. */
  debounceMs?: number | null;
  /** Do not start where Redis may evict what it has accepted. */
  requireNoEviction?: boolean;
  /** Counts failures and messages that are none of ours. */
  count: (kind: string) => void;
}

/** Keys that nothing touches live at least this long, ms; a live session's are renewed every five minutes. */
const KEY_TTL_MS = 3_600_000;
/** One worker at a time sweeps, this often, ms. */
const SWEEP_EVERY_MS = 900;
const TASKS_PER_SWEEP = 200;
/** Sessions that are renewed at once. */
const SESSIONS_PER_STEP = 200;
/** An id that no log gave out. */
const NOWHERE = { epoch: '-', offset: 0, tag: '0' };

type RoomChange = 'enter' | 'disconnect' | 'away' | 'leave';

export class RedisStore implements Store {
  private readonly tags = partitionTags();
  private readonly ttl: number;
  private readonly appends: AppendBatches;
  private readonly presences: RedisPresences;
  private readonly revoked: RedisRevocations;
  private readonly lease: RedisLease;

  private constructor(
    private readonly options: RedisStoreOptions,
    private readonly redis: RedisConnection,
  ) {
    this.ttl = Math.max(KEY_TTL_MS, options.settings.resumeWindowMs * 2);
    this.presences = new RedisPresences(redis, (partition) => this.base(partition));
    this.revoked = new RedisRevocations((script, ...args) =>
      redis.script(script, `${options.prefix}:{revoked}:`, ...this.common(), ...args),
    );
    this.lease = new RedisLease(options.worker, (...args) =>
      redis.script(
        'lease',
        `${options.prefix}:{workers}:`,
        ...this.common(),
        ...args,
        options.settings.workerLeaseMs,
      ),
    );
    this.appends = new AppendBatches(options.settings, options.prefix, (tag, args) =>
      redis.script('append', `${options.prefix}:{${tag}}:`, ...this.common(), ...args),
    );
  }

  /** @throws GatewayError `unavailable` */
  static async connect(options: RedisStoreOptions): Promise<RedisStore> {
    const redis = await RedisConnection.open({
      url: options.url,
      waitReplicas: options.waitReplicas ?? 0,
      debounceMs: options.debounceMs ?? null,
      count: options.count,
      reconnected: () => {
        options.listener({ type: 'reset' });
      },
      evicted: () => {
        options.log.error(
          'Redis evicts keys: sessions and messages are being lost. Give it more memory, and maxmemory-policy noeviction',
        );
        options.listener({ type: 'reset' });
      },
      succeeded: () => {
        options.listener({ type: 'doubt' });
      },
    });
    try {
      await refuseEviction(redis, options);
    } catch (error) {
      await redis.close();
      throw error;
    }
    const store = new RedisStore(options, redis);
    const channels = store.tags.map((tag) => `${options.prefix}:{${tag}}:to:${options.worker}`);
    await redis.subscribe(channels, (_channel, bytes) => {
      const { events, isWhole } = readEvents(bytes);
      for (const event of events) options.listener(event);
      if (!isWhole) options.count('bad_message');
    });
    return store;
  }

  get ready(): boolean {
    return this.redis.ready;
  }

  /** For what else goes over Redis, so that a worker opens no further connections. */
  get pubSub(): RedisConnection {
    return this.redis;
  }

  async attach(request: AttachRequest): Promise<AttachResult> {
    const { client, worker, resume, fresh, keyHash, duplicates, sessionsLimit } = request;
    const reply = await this.run(
      'attach',
      client,
      client,
      worker,
      resume?.session ?? '',
      resume?.keyHash ?? '',
      fresh,
      keyHash,
      duplicates,
      sessionsLimit,
    );
    const [status, session, generation, resumed, rooms, left, position, kept] = reply as unknown[];
    if (status === 'duplicate_client' || status === 'limit_exceeded')
      return { status: 'refused', code: status };
    if (!isSessionId(session) || !Array.isArray(rooms) || !Array.isArray(left))
      throw new GatewayError('internal_error');
    const ref = { client, session, generation: Number(generation) };
    const names = rooms.filter(isRoomName);
    const changes = Promise.all([
      ...names.map((room) => this.change('enter', room, ref, worker)),
      ...triples(left).map(([other, otherGeneration, room]) =>
        this.settle(
          'leave',
          { client, session: other as SessionId, generation: Number(otherGeneration) },
          room as RoomName,
        ),
      ),
    ]);
    // Without its rooms it is not attached: it waits for a connection that works.
    await changes.catch(async (error: unknown) => {
      await this.detach(ref).catch(() => undefined);
      throw error;
    });
    return {
      status: 'attached',
      session,
      generation: ref.generation,
      resumed: resumed === 1,
      rooms: names,
      inbox: positionOf(position),
      kept: keptOf(kept),
    };
  }

  async detach(ref: SessionRef): Promise<void> {
    const { resumeWindowMs, presenceGraceMs } = this.options.settings;
    const rooms = await this.run('detach', ref.client, ...wordsOf(ref), resumeWindowMs, presenceGraceMs);
    await Promise.all(roomsOf(rooms).map((room) => this.change('disconnect', room, ref)));
  }

  async end(ref: SessionRef): Promise<void> {
    const rooms = await this.run('finish', ref.client, ...wordsOf(ref));
    await Promise.all(roomsOf(rooms).map((room) => this.settle('leave', ref, room)));
  }

  async locate(client: ClientId, watcher: WorkerId | null): Promise<SessionPlace[]> {
    const reply = await this.run('locate', client, client, watcher ?? '', WATCH_MS);
    const places: (SessionPlace & { attachedAt: number })[] = [];
    for (const row of Array.isArray(reply) ? reply : []) {
      const [session, generation, worker, connected, attachedAt] = row as string[];
      // A record that somebody edited is as good as none.
      if (!isSessionId(session) || worker === undefined) continue;
      places.push({
        client,
        session,
        generation: Number(generation),
        worker: worker as WorkerId,
        connected: connected === '1',
        attachedAt: Number(attachedAt),
      });
    }
    places.sort((a, b) => b.attachedAt - a.attachedAt);
    return places.map(({ attachedAt: _, ...place }) => place);
  }

  online(client: ClientId): Promise<boolean> {
    return this.presences.has(client);
  }

  clients(query: { prefix: string; cursor: string | null; limit: number }): Promise<Page<ClientId>> {
    return this.presences.page(query);
  }

  async join(request: JoinRequest): Promise<JoinResult> {
    const { room, worker, roomsLimit } = request;
    const status = await this.run('membership', request.client, ...wordsOf(request), room, 'add', roomsLimit);
    if (status === 'superseded' || status === 'limit') return { status: 'refused', code: status };
    const { count, position } = await this.change('enter', room, request, worker);
    return { status: 'joined', count, position };
  }

  async leave(ref: SessionRef, room: RoomName): Promise<boolean> {
    const status = await this.run('membership', ref.client, ...wordsOf(ref), room, 'remove', 0);
    if (status !== 'removed') return false;
    await this.settle('leave', ref, room);
    return true;
  }

  async members(query: {
    room: RoomName;
    cursor: string | null;
    limit: number;
  }): Promise<Page<Member> & { count: number }> {
    const { room, cursor, limit } = query;
    const reply = await this.run('members', room, room, cursor ?? '', limit);
    const [count, clients, sessions] = reply as [number, string[], string[]];
    const rows = clients
      .slice(0, limit)
      .map((client, i) => ({ client: client as ClientId, sessions: Number(sessions[i] ?? 0) }));
    return { rows, cursor: clients.length > limit ? (rows.at(-1)?.client ?? null) : null, count };
  }

  async count(room: RoomName): Promise<number> {
    const reply = await this.run('members', room, room, '', 0);
    return Number((reply as unknown[])[0]);
  }

  async locateMembers(
    room: RoomName,
    watcher: WorkerId | null,
    evenIfEmpty: boolean,
  ): Promise<MemberPlace[]> {
    const always = evenIfEmpty ? 1 : 0;
    return memberPlacesOf(
      await this.run('places', room, room, watcher ?? '', WATCH_MS, always, MEMBER_PLACES_LIMIT),
    );
  }

  async append(request: AppendRequest): Promise<AppendResult> {
    const partition = partitionOf(nameOf(request.channel));
    const lane = this.redis.spansPartitions ? 0 : partition;
    const result = await this.appends.add(lane, this.tags[partition] ?? '', request);
    // A duplicate as well: its first answer may have been that nobody knows.
    const isStored = result.status === 'accepted' || result.status === 'duplicate';
    if (isStored && request.seq !== 0) await this.redis.replicated(this.base(partition));
    return result;
  }

  appendFor(request: AppendRequest, waiter: Waiter<AppendResult>): void {
    this.append(request).then(
      (result) => {
        waiter.resolve(result);
      },
      (error: unknown) => {
        waiter.reject(error);
      },
    );
  }

  async read({ channel, from, limit }: ReadQuery): Promise<ReadResult> {
    const name = nameOf(channel);
    const after = 'after' in from ? from.after : null;
    const place = after === null ? null : (parseEntryId(after) ?? NOWHERE);
    const reply = await this.redis.scriptBuffer(
      'read',
      this.base(partitionOf(name)),
      ...this.common(),
      channel.kind,
      name,
      limit,
      'last' in from ? from.last : '',
      place?.epoch ?? '',
      place === null ? '' : `${String(place.offset)}-${place.tag}`,
      READ_LIMIT_BYTES,
    );
    return readEntries(reply, limit);
  }

  async acknowledge(ref: SessionRef, id: string): Promise<void> {
    await this.run('acknowledge', ref.client, ...wordsOf(ref), id);
  }

  async claimPair(client: ClientId, pair: PairId, leaseMs: number): Promise<boolean> {
    return (await this.run('pair', client, client, 'claim', pair, Math.ceil(leaseMs))) === 1;
  }

  async holdPair(client: ClientId, pair: PairId, leaseMs: number): Promise<boolean> {
    return (await this.run('pair', client, client, 'hold', pair, Math.ceil(leaseMs))) === 1;
  }

  async freePair(client: ClientId, pair: PairId): Promise<void> {
    await this.run('pair', client, client, 'free', pair);
  }

  /** One script for each partition that has some of them, however many clients are asked for. */
  async pairsOf(clients: readonly ClientId[]): Promise<(PairId | null)[]> {
    const places = new Map<number, number[]>();
    for (const [at, client] of clients.entries()) {
      const partition = partitionOf(client);
      const others = places.get(partition);
      if (others === undefined) places.set(partition, [at]);
      else others.push(at);
    }
    const pairs = new Array<PairId | null>(clients.length).fill(null);
    await Promise.all(
      [...places].map(async ([partition, ats]) => {
        const names = ats.map((at) => clients[at] ?? '');
        const reply = await this.redis.script('paired', this.base(partition), ...this.common(), ...names);
        for (const [i, at] of ats.entries()) {
          const pair: unknown = Array.isArray(reply) ? reply[i] : null;
          if (isPairId(pair)) pairs[at] = pair;
        }
      }),
    );
    return pairs;
  }

  async keepTicket(id: string, value: string, lifeMs: number): Promise<void> {
    await this.redis.script('ticket', this.ticketBase, ...this.common(), id, value, lifeMs);
  }

  async redeemTicket(id: string): Promise<string | null> {
    const value = await this.redis.script('ticket', this.ticketBase, ...this.common(), id);
    return typeof value === 'string' ? value : null;
  }

  private get ticketBase(): string {
    return `${this.options.prefix}:{ticket}:`;
  }

  revoke(revocation: Revocation): Promise<void> {
    return this.revoked.add(revocation);
  }

  revocations(since: number): Promise<{ revocations: Revocation[]; number: number }> {
    return this.revoked.since(since);
  }

  async renew(worker: WorkerId, sessions: readonly SessionRef[]): Promise<void> {
    // Each for itself: where one server of a cluster is away, the sessions of the others go on living.
    const results = await Promise.allSettled([this.renewLease(worker)]);
    for (let at = 0; at < sessions.length; at += SESSIONS_PER_STEP) {
      const step = sessions.slice(at, at + SESSIONS_PER_STEP);
      const renewed = await Promise.allSettled(step.map((ref) => this.renewSession(worker, ref)));
      const rooms = new Set(renewed.flatMap((result) => (result.status === 'fulfilled' ? result.value : [])));
      const kept = [...rooms].map((room) => this.run('keep', room, room));
      for (const result of [...renewed, ...(await Promise.allSettled(kept))])
        if (result.status === 'rejected') results.push(result);
    }
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async retire(worker: WorkerId): Promise<void> {
    const { resumeWindowMs, presenceGraceMs } = this.options.settings;
    this.lease.retired(worker);
    await this.everywhere(async (base) => {
      const found = await this.redis.script(
        'retire',
        base,
        ...this.common(),
        worker,
        resumeWindowMs,
        presenceGraceMs,
      );
      for (const [client, session, generation, rooms] of found as [ClientId, SessionId, string, unknown][]) {
        const ref = { client, session, generation: Number(generation) };
        await Promise.all(roomsOf(rooms).map((room) => this.change('disconnect', room, ref)));
      }
    });
    await this.lease.drop(worker);
  }

  async sweep(): Promise<void> {
    if (!(await this.redis.lock(`${this.options.prefix}:{workers}:sweep`, SWEEP_EVERY_MS))) return;
    const dead = await this.lease.expired();
    await settleAll([
      ...dead.map((worker) => this.retire(worker)),
      this.everywhere(async (base) => {
        const tasks = await this.redis.script('due', base, ...this.common(), TASKS_PER_SWEEP);
        await settleAll(
          (tasks as string[]).map(async (task) => {
            await this.perform(task);
            await this.redis.strike(`${base}due`, task);
          }),
        );
      }),
    ]);
  }

  close(): Promise<void> {
    return this.redis.close();
  }

  /** A planned task: `depart|client|session|generation`, `end|…`, `lapse|…`, `away|…|room` or `leave|…|room`. */
  private async perform(task: string): Promise<void> {
    const [kind, client, session, generation, room] = task.split('|');
    if (!isClientId(client) || !isSessionId(session)) return;
    const ref = { client, session, generation: Number(generation) };
    if (kind === 'end') await this.end(ref);
    else if (kind === 'lapse') await this.detach(ref);
    else if (kind === 'depart') await this.depart(ref);
    else if ((kind === 'away' || kind === 'leave') && isRoomName(room)) await this.change(kind, room, ref);
  }

  private async depart(ref: SessionRef): Promise<void> {
    const rooms = await this.run('depart', ref.client, ...wordsOf(ref));
    await Promise.all(roomsOf(rooms).map((room) => this.settle('away', ref, room)));
  }

  /**
   * Tells a room what was planned already and strikes the plan off. Where the room did not know the session the plan
   * stays: its entrance may still be on the way from another worker.
   */
  private async settle(kind: 'away' | 'leave', ref: SessionRef, room: RoomName): Promise<void> {
    const { known } = await this.change(kind, room, ref);
    if (!known) return;
    await this.redis.strike(
      `${this.base(partitionOf(ref.client))}due`,
      [kind, ...wordsOf(ref), room].join('|'),
    );
  }

  private async renewLease(worker: WorkerId): Promise<void> {
    if ((await this.lease.renew(worker)) === 'lost') this.options.listener({ type: 'reset' });
  }

  /** @returns its rooms */
  private async renewSession(worker: WorkerId, ref: SessionRef): Promise<RoomName[]> {
    const [back, names] = (await this.run('renew', ref.client, ...wordsOf(ref), worker)) as unknown[];
    const rooms = roomsOf(names);
    if (back === 1) await Promise.all(rooms.map((room) => this.change('enter', room, ref, worker)));
    return rooms;
  }

  /** Does the same in every partition; one that fails keeps none of the others from it. */
  private everywhere(work: (base: string) => Promise<void>): Promise<void> {
    return settleAll(this.tags.map((_, partition) => work(this.base(partition))));
  }

  /** @returns whether the session was in the room, how many clients are in it now, and where its log stands */
  private async change(
    change: RoomChange,
    room: RoomName,
    ref: SessionRef,
    worker: WorkerId | '' = '',
  ): Promise<{ known: boolean; count: number; position: Position }> {
    const reply = await this.run('room', room, change, room, ...wordsOf(ref), worker);
    const [known, count, position] = reply as unknown[];
    return { known: known === 1, count: Number(count), position: positionOf(position) };
  }

  /** Runs a script on the partition of a client or room. */
  private run(script: string, name: string, ...args: (string | number | Buffer)[]): Promise<unknown> {
    return this.redis.script(script, this.base(partitionOf(name)), ...this.common(), ...args);
  }

  private common(): [string, number] {
    return [this.redis.publishCommand, this.ttl];
  }

  private base(partition: number): string {
    return `${this.options.prefix}:{${this.tags[partition] ?? ''}}:`;
  }
}

function wordsOf({ client, session, generation }: SessionRef): [string, string, string] {
  return [client, session, String(generation)];
}

function roomsOf(value: unknown): RoomName[] {
  return Array.isArray(value) ? value.filter(isRoomName) : [];
}

function triples(values: unknown[]): [unknown, unknown, unknown][] {
  const found: [unknown, unknown, unknown][] = [];
  for (let i = 0; i + 2 < values.length; i += 3) found.push([values[i], values[i + 1], values[i + 2]]);
  return found;
}

/** Waits for all, then rejects with the first failure. */
async function settleAll(work: Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason;
}
