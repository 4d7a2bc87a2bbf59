// The store port: sessions, where they are, rooms, presence and logs. Two implementations, one contract suite.
import type { ClientId, PairId, RoomName, SessionId, WorkerId } from '../../protocol/ids.js';

/** A channel is the inbox of one client or the log of one room. */
export type Channel = { kind: 'inbox'; client: ClientId } | { kind: 'room'; room: RoomName };

/** A session at one moment of its life: a store refuses whoever acts with an older generation. */
export interface SessionRef {
  client: ClientId;
  session: SessionId;
  /** Counts the connections of the session; the newest wins (P5). */
  generation: number;
}

/** Generation of a sender that is no session but a server with a key: nothing fences it, and it has no connection to lose. */
export const SERVER_GENERATION = 0;

/** A session of a client, and the worker that holds its connection. */
export interface SessionPlace extends SessionRef {
  /** The worker that holds, or held last, its connection. A worker id is `<node id>.<number>`. */
  worker: WorkerId;
  /** False while the session waits for a new connection. */
  connected: boolean;
}

/** A member of a room: where its session is. */
export type MemberPlace = Omit<SessionPlace, 'client'>;
/** Most members that `locateMembers` names: as many providers of one service share its calls. */
export const MEMBER_PLACES_LIMIT = 256;
/** How long a worker is told of changes that it asked for, ms: longer than its caches keep the answer. */
export const WATCH_MS = 60_000;

export interface AttachRequest {
  client: ClientId;
  worker: WorkerId;
  /** The session to continue; used only where it exists, belongs to `client` and the key is its newest or the one before. */
  resume: { session: SessionId; keyHash: string } | null;
  /** Id of the session that begins where nothing is continued. */
  fresh: SessionId;
  /** Hash of the resume key that the client is told now. */
  keyHash: string;
  duplicates: 'allow' | 'replace' | 'reject';
  /** Most sessions of one client; where all are connected a further one is refused, otherwise the oldest waiting one ends. */
  sessionsLimit: number;
}
export type AttachResult =
  | {
      status: 'attached';
      session: SessionId;
      generation: number;
      resumed: boolean;
      rooms: RoomName[];
      /** Where the client's inbox stands at this moment: what is appended later is told to this worker. */
      inbox: Position;
      /** What was kept for the client while it had no session and was not acknowledged: entries after `after`, up to `last`. */
      kept: { after: Position; last: string } | null;
    }
  | { status: 'refused'; code: 'duplicate_client' | 'limit_exceeded' };

export interface JoinRequest extends SessionRef {
  room: RoomName;
  worker: WorkerId;
  roomsLimit: number;
}
export type JoinResult =
  /** `position`: where the room's log stands at this moment; what is appended later is told to this worker. */
  | { status: 'joined'; count: number; position: Position }
  | { status: 'refused'; code: 'limit' | 'superseded' };

export interface Page<Row> {
  rows: Row[];
  /** Where the next page starts; null at the end. Opaque. */
  cursor: string | null;
}
export interface Member {
  client: ClientId;
  /** Sessions of the client in the room that are connected or within the presence grace. */
  sessions: number;
}

/** A place in a log: the id of an entry, after which reading goes on; null before the first entry that the log ever had. */
export type Position = string | null;

export interface AppendRequest {
  channel: Channel;
  /** Who sends, and on which of its connections; the session makes an append with `seq` idempotent and ordered. */
  sender: SessionRef;
  /** 0: volatile (published, never stored). null: stored without a number. 1…: stored once, in order, per sender and channel. */
  seq: number | null;
  /** The sender's numbers below this one will not come any more: where they are missing, nothing waits for them. */
  first: number | null;
  /** After this time the entry is not read any more, ms; null for never. */
  ttlMs: number | null;
  /** Store it also where the client of an inbox has no session. */
  keep: boolean;
  /** Only this session of an inbox's client reads the entry. */
  only: SessionId | null;
  /** Client ids and `client#session` addresses that skip the entry. */
  skip: string[];
  /** The encoded rest of the frame, after its id; never looked into. */
  body: Uint8Array;
}
export type AppendResult =
  /**
   * Stored (unless volatile) and published to the workers that hold readers. `id` is null for volatile. `readers` is how
   * many connected sessions that is about, those who skip it included.
   */
  | { status: 'accepted'; id: string | null; readers: number }
  | { status: 'duplicate' }
  /** The sender has a newer connection, or its session is over. */
  | { status: 'superseded' }
  /** The client has no session, or not the named one. A room always exists. */
  | { status: 'absent' }
  /** Nothing was stored: the number `expected` comes first. A sender that the log does not know begins with 1, or says `first`. */
  | { status: 'out_of_order'; expected: number };

export interface Entry {
  /** `<epoch>:<offset>-<tag>`, offsets contiguous from 1 within an epoch; the tag is random, so that a lossy failover shows. */
  id: string;
  only: SessionId | null;
  skip: string[];
  /** It was stored while the client had no session. */
  kept: boolean;
  body: Uint8Array;
}
/** Bodies of one answer, but for a single larger one: a link between processes carries it, and a slow reader takes no more at once. */
export const READ_LIMIT_BYTES = 1024 * 1024;

export interface ReadQuery {
  channel: Channel;
  /** What comes after a position, or the last so many entries that are still there. */
  from: { after: Position } | { last: number };
  /** Most entries of one answer; it has fewer where their bodies are more than READ_LIMIT_BYTES. */
  limit: number;
}
export type ReadResult =
  | {
      status: 'entries';
      /** So many entries after the asked position were trimmed, or expired with the log. Before the entries. */
      missing: number;
      /** Without those whose time to live is over. */
      entries: Entry[];
      more: boolean;
      /** Where reading goes on. */
      position: Position;
    }
  /** Another epoch, or an id that this log never gave out: the store lost what it had accepted. `position` is where the log stands. */
  | { status: 'lost'; position: Position };

/** A token, by its `jti`, or all tokens of a client that were issued up to a moment, are not taken any more. */
export interface Revocation {
  kind: 'client' | 'token';
  id: string;
  /** Only for a client: tokens issued later are good. Wall clock, ms, as `iat` is. */
  beforeMs: number;
  /** When every token that it is about has expired; it is forgotten then. Wall clock, ms. */
  untilMs: number;
}

/** What a store tells one worker. */
export type StoreEvent =
  | {
      type: 'entry';
      channel: Channel;
      /** `after`: the entry before it in the log; who knows another one there has not seen the same log. */
      entry: Omit<Entry, 'id' | 'kept'> & { id: string | null; after: Position };
    }
  /** The places of a client changed, and this worker asked to be told (`locate`). */
  | { type: 'route'; client: ClientId }
  /**
   * The session has a newer connection (`superseded`) or the client a newer session (`replaced`): end the connection
   * of this generation, and of older ones. `session_ended_elsewhere`: the store does not know the session (any more).
   */
  | {
      type: 'fence';
      client: ClientId;
      session: SessionId;
      generation: number;
      code: 'superseded' | 'replaced' | 'session_ended_elsewhere';
    }
  /** Clients came into or left a room where this worker has members; count is the number of clients after it. */
  | { type: 'presence'; room: RoomName; client: ClientId; change: 'joined' | 'left'; count: number }
  /** Who is in a room of a service, or where they are, changed, and this worker asked to be told (`locateMembers`). */
  | { type: 'members'; room: RoomName }
  /** Events may have been missed (the connection to the store was cut, or the worker's lease ran out): forget caches, renew every session. */
  | { type: 'reset' }
  /** The store may have lost what it accepted last: senders should send again what they still hold. */
  | { type: 'doubt' };

export interface StoreSettings {
  /** How long a session waits for a new connection, ms. */
  resumeWindowMs: number;
  /** How long after its last connection a client still counts as present, ms; a page reload fits in. */
  presenceGraceMs: number;
  /** Most entries of one log. */
  logLimitEntries: number;
  /** Most bytes of all bodies of one log. */
  logLimitBytes: number;
  /** How long the entries of a log without appends are kept, ms. Its position stays as long as somebody may ask for it. */
  logTtlMs: number;
  /** The same for an inbox that keeps messages for a client without session, ms. */
  offlineTtlMs: number;
  /** Most bytes of all bodies of all logs; the embedded store trims the log that was quiet longest. Redis has `maxmemory`. */
  logBudgetBytes: number;
  /** How long a worker counts as alive without a sign of life, ms. */
  workerLeaseMs: number;
}

/** Who waits for an answer; told once, either way. */
export interface Waiter<Result> {
  resolve(result: Result): void;
  reject(error: unknown): void;
}

/**
 * Every method rejects with `GatewayError('unavailable')` where the store surely did nothing, and with
 * `GatewayError('unknown_outcome')` where it may have. Writes of an older generation change nothing.
 */
export interface Store {
  /** Begins or continues a session on `worker`; fences the older connection, tells those who watch the client. */
  attach(request: AttachRequest): Promise<AttachResult>;
  /** The connection is gone; the session waits `resumeWindowMs`, its client is present for `presenceGraceMs` more. */
  detach(ref: SessionRef): Promise<void>;
  /** The session is over: it leaves its rooms at once. */
  end(ref: SessionRef): Promise<void>;
  /** Sessions of a client, the most recently attached first; `watcher` gets a `route` event when they change. */
  locate(client: ClientId, watcher: WorkerId | null): Promise<SessionPlace[]>;
  /** Whether a session of the client is connected or within the presence grace. */
  online(client: ClientId): Promise<boolean>;
  /** Clients that are online, by prefix, in an order that stays the same between pages. */
  clients(query: { prefix: string; cursor: string | null; limit: number }): Promise<Page<ClientId>>;

  /** Idempotent; only for a connected session. `count` is the number of clients in the room. */
  join(request: JoinRequest): Promise<JoinResult>;
  /** Idempotent: leaving a room that the session is not in changes nothing. Returns whether it was in it. */
  leave(ref: SessionRef, room: RoomName): Promise<boolean>;
  /** Clients of a room in the order of their ids. `count` is all of them. */
  members(query: {
    room: RoomName;
    cursor: string | null;
    limit: number;
  }): Promise<Page<Member> & { count: number }>;
  count(room: RoomName): Promise<number>;
  /**
   * Sessions that are present in a room of a service (`~<service>~…`), in no order, at most MEMBER_PLACES_LIMIT of them;
   * `watcher` gets a `members` event when they, their workers or their connections change, for WATCH_MS. Where there are
   * none it is told only if it asks for it (`evenIfEmpty`): a stranger could fill the store with names.
   */
  locateMembers(room: RoomName, watcher: WorkerId | null, evenIfEmpty: boolean): Promise<MemberPlace[]>;

  /**
   * Stores and publishes in one step, for the newest connection of the sender only. The embedded store refuses every
   * other. In Redis the sender's record is in another partition than the channel, which keeps the highest generation that
   * it has seen of each recent sender: there an older connection still gets through where it is volatile, where the
   * session is over, or where the newer connection has appended nothing to the channel yet (or so long ago that its
   * entry was trimmed). The fence that ends the older connection closes this window.
   */
  append(request: AppendRequest): Promise<AppendResult>;
  /** The same for one who is told by a call: of messages there are so many at once that their promises alone would keep the collector busy. */
  appendFor(request: AppendRequest, waiter: Waiter<AppendResult>): void;
  read(query: ReadQuery): Promise<ReadResult>;
  /** What was kept for the client up to this entry has reached it. */
  acknowledge(ref: SessionRef, id: string): Promise<void>;

  /**
   * Claims a client for a pair, for `leaseMs` from now: false where another pair has it. Renews it where this one has it.
   * One step for one client: who wants two of them claims them in the order of their names.
   */
  claimPair(client: ClientId, pair: PairId, leaseMs: number): Promise<boolean>;
  /** Renews a claim; false where it has lapsed, was freed or never was. */
  holdPair(client: ClientId, pair: PairId, leaseMs: number): Promise<boolean>;
  /** Idempotent; the claim of another pair stays. */
  freePair(client: ClientId, pair: PairId): Promise<void>;
  /** The pairs that clients are claimed for, in the order asked; null where there is none. */
  pairsOf(clients: readonly ClientId[]): Promise<(PairId | null)[]>;

  /** Keeps what a one-time ticket is good for, until it is used or `lifeMs` are over. `id` is a hash: the store does not know the ticket. */
  keepTicket(id: string, value: string, lifeMs: number): Promise<void>;
  /** Uses a ticket up: its value for the first who asks, in the whole deployment; null for all others. */
  redeemTicket(id: string): Promise<string | null>;

  /** Rejects with `limit` where too many are in force: none is forgotten before its time. */
  revoke(revocation: Revocation): Promise<void>;
  /**
   * Revocations with a number above this one, some at a time, and the number to go on from: there may be more unless there
   * are none. A number below the asked one: the store has lost some.
   */
  revocations(since: number): Promise<{ revocations: Revocation[]; number: number }>;

  /**
   * A sign of life of a worker, and of sessions that it holds: their keys are kept from expiring, those that were taken
   * for lost are connected again, those that are not the worker's any more are answered with a `fence`.
   */
  renew(worker: WorkerId, sessions: readonly SessionRef[]): Promise<void>;
  /** The worker is dead or gone: its sessions are without connection from now on. Safe to call twice. */
  retire(worker: WorkerId): Promise<void>;
  /** Does what is due: ends waits, tells departures, retires workers without lease. Any worker may call it at any time. */
  sweep(): Promise<void>;

  /** Whether the store answers now. */
  readonly ready: boolean;
  close(): Promise<void>;
}

/** Called for each event, in the order of the store; must not throw. */
export type StoreListener = (event: StoreEvent) => void;
