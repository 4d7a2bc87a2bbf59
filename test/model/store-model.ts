// What a store promises, as plain data and functions: sessions, rooms and logs without time, losses or ids that are random.
import type { ClientId, RoomName, SessionId, WorkerId } from '../../src/protocol/ids.js';
import type {
  AppendRequest,
  AppendResult,
  AttachRequest,
  Channel,
  ReadQuery,
  SessionRef,
} from '../../src/session/store/store.js';

export const LIMITS = { entries: 5, bytes: 1_000, rooms: 3 };

export interface SessionState extends SessionRef {
  worker: WorkerId;
  connected: boolean;
  keys: readonly string[];
  rooms: readonly RoomName[];
  attachedAt: number;
}
export interface EntryState {
  offset: number;
  sender: SessionId;
  seq: number | null;
  only: SessionId | null;
  skip: readonly string[];
  kept: boolean;
  isOver: boolean;
  body: string;
}
interface SenderState {
  seq: number;
  offset: number;
  generation: number;
}
export interface LogState {
  top: number;
  /** Without those that were trimmed. */
  entries: readonly EntryState[];
  senders: Readonly<Record<string, SenderState>>;
  kept: { after: number; last: number } | null;
}
export interface State {
  clock: number;
  sessions: readonly SessionState[];
  logs: Readonly<Record<string, LogState>>;
  /** What each worker was told of entries and of older connections, in order. */
  told: readonly { worker: WorkerId; what: string }[];
}

export const START: State = { clock: 0, sessions: [], logs: {}, told: [] };
const EMPTY: LogState = { top: 0, entries: [], senders: {}, kept: null };

export function channelName(channel: Channel): string {
  return channel.kind === 'inbox' ? `inbox ${channel.client}` : `room ${channel.room}`;
}
/** The id of an entry in the model: the epoch of a log never changes here, and its tag says nothing. */
export function idOf(channel: Channel, offset: number): string | null {
  return offset === 0 ? null : `${channelName(channel)} @${offset}`;
}
export function logOf(state: State, channel: Channel): LogState {
  return state.logs[channelName(channel)] ?? EMPTY;
}
export function sessionOf(state: State, session: SessionId): SessionState | undefined {
  return state.sessions.find((other) => other.session === session);
}
function currentOf(state: State, ref: SessionRef): SessionState | undefined {
  const found = sessionOf(state, ref.session);
  return found?.client === ref.client && found.generation === ref.generation ? found : undefined;
}
function change(state: State, session: SessionId, to: Partial<SessionState> | null): State {
  const sessions = state.sessions.flatMap((other) =>
    other.session !== session ? [other] : to === null ? [] : [{ ...other, ...to }],
  );
  return { ...state, sessions };
}
function tell(state: State, workers: readonly WorkerId[], what: string): State {
  return { ...state, told: [...state.told, ...workers.map((worker) => ({ worker, what }))] };
}

export function attach(state: State, request: AttachRequest): [State, unknown] {
  const { client, worker, resume, fresh, keyHash, duplicates, sessionsLimit } = request;
  const asked = resume === null ? undefined : sessionOf(state, resume.session);
  const old = asked?.client === client && asked.keys.includes(resume?.keyHash ?? '') ? asked : undefined;
  const others = state.sessions.filter((other) => other.client === client && other !== old);
  if (duplicates === 'reject' && others.some(({ connected }) => connected))
    return [state, { status: 'refused', code: 'duplicate_client' }];
  let next = state;
  if (duplicates === 'replace') {
    for (const other of others) {
      if (other.connected) next = tell(next, [other.worker], `replaced ${other.session} ${other.generation}`);
      next = change(next, other.session, null);
    }
  } else if (old === undefined && others.length >= sessionsLimit) {
    const [waiting] = others
      .filter(({ connected }) => !connected)
      .sort((a, b) => a.attachedAt - b.attachedAt);
    if (waiting === undefined) return [state, { status: 'refused', code: 'limit_exceeded' }];
    next = change(next, waiting.session, null);
  }
  const clock = state.clock + 1;
  if (old?.connected === true) next = tell(next, [old.worker], `superseded ${old.session} ${old.generation}`);
  const session = old?.session ?? fresh;
  const generation = (old?.generation ?? 0) + 1;
  const made = {
    client,
    session,
    generation,
    worker,
    connected: true,
    keys: old === undefined ? [keyHash] : [keyHash, resume?.keyHash ?? ''],
    rooms: old?.rooms ?? [],
    attachedAt: clock,
  };
  next = { ...change(next, session, null), clock };
  next = { ...next, sessions: [...next.sessions, made] };
  const inbox: Channel = { kind: 'inbox', client };
  const log = logOf(next, inbox);
  const kept = log.kept && { after: idOf(inbox, log.kept.after), last: idOf(inbox, log.kept.last) };
  const rooms = [...made.rooms].sort();
  const answer = {
    session,
    generation,
    resumed: old !== undefined,
    rooms,
    inbox: idOf(inbox, log.top),
    kept,
  };
  return [next, { status: 'attached', ...answer }];
}

export function detach(state: State, ref: SessionRef): [State, unknown] {
  return currentOf(state, ref) === undefined
    ? [state, undefined]
    : [change(state, ref.session, { connected: false }), undefined];
}

export function end(state: State, ref: SessionRef): [State, unknown] {
  return currentOf(state, ref) === undefined
    ? [state, undefined]
    : [change(state, ref.session, null), undefined];
}

export function retire(state: State, worker: WorkerId): [State, unknown] {
  const sessions = state.sessions.map((session) =>
    session.worker === worker ? { ...session, connected: false } : session,
  );
  return [{ ...state, sessions }, undefined];
}

export function membersOf(state: State, room: RoomName): { client: ClientId; sessions: number }[] {
  const sessions = state.sessions.filter(({ rooms }) => rooms.includes(room)).map(({ client }) => client);
  const clients = [...new Set(sessions)].sort();
  return clients.map((client) => ({ client, sessions: sessions.filter((other) => other === client).length }));
}

export function join(state: State, ref: SessionRef, room: RoomName): [State, unknown] {
  const session = currentOf(state, ref);
  if (session?.connected !== true) return [state, { status: 'refused', code: 'superseded' }];
  const isIn = session.rooms.includes(room);
  if (!isIn && session.rooms.length >= LIMITS.rooms) return [state, { status: 'refused', code: 'limit' }];
  const next = isIn ? state : change(state, ref.session, { rooms: [...session.rooms, room] });
  const channel: Channel = { kind: 'room', room };
  const position = idOf(channel, logOf(next, channel).top);
  return [next, { status: 'joined', count: membersOf(next, room).length, position }];
}

export function leave(state: State, ref: SessionRef, room: RoomName): [State, unknown] {
  const session = currentOf(state, ref);
  if (session?.rooms.includes(room) !== true) return [state, false];
  return [change(state, ref.session, { rooms: session.rooms.filter((other) => other !== room) }), true];
}

export function acknowledge(
  state: State,
  ref: SessionRef,
  channel: Channel,
  offset: number,
): [State, unknown] {
  const log = logOf(state, channel);
  if (currentOf(state, ref) === undefined || log.kept?.last !== offset) return [state, undefined];
  return [withLog(state, channel, { ...log, kept: null }), undefined];
}

function withLog(state: State, channel: Channel, log: LogState): State {
  return { ...state, logs: { ...state.logs, [channelName(channel)]: log } };
}

/** Sessions that read a channel, or would; null where nobody ever will. */
function readersOf(state: State, channel: Channel, only: SessionId | null): readonly SessionState[] | null {
  if (channel.kind === 'room') return state.sessions.filter(({ rooms }) => rooms.includes(channel.room));
  const sessions = state.sessions.filter(({ client }) => client === channel.client);
  const readers = only === null ? sessions : sessions.filter(({ session }) => session === only);
  return readers.length === 0 ? null : readers;
}

/** Of a sender whose session exists; what a store cannot know of others is none of its promises. */
export function append(state: State, request: AppendRequest): [State, AppendResult] {
  const { channel, sender, seq, first, ttlMs, keep, only, skip, body } = request;
  const readers = readersOf(state, channel, only);
  if (readers === null && !(keep && seq !== 0 && only === null)) return [state, { status: 'absent' }];
  const connected = (readers ?? []).filter((reader) => reader.connected);
  const workers = [...new Set(connected.map(({ worker }) => worker))].sort();
  const log = logOf(state, channel);
  const known = log.senders[sender.session];
  if (currentOf(state, sender) === undefined) return [state, { status: 'superseded' }];
  if (seq === 0) {
    const told = tell(state, workers, `${channelName(channel)} volatile`);
    return [told, { status: 'accepted', id: null, readers: connected.length }];
  }
  const last = known?.seq ?? 0;
  if (seq !== null) {
    const expected = Math.max(last + 1, first ?? 0);
    if (seq !== expected) {
      const heard = known && {
        ...log.senders,
        [sender.session]: { ...known, generation: sender.generation },
      };
      const next = heard === undefined ? state : withLog(state, channel, { ...log, senders: heard });
      return [next, seq <= last ? { status: 'duplicate' } : { status: 'out_of_order', expected }];
    }
  }
  const top = log.top + 1;
  const unread = readers === null;
  const entry: EntryState = {
    offset: top,
    sender: sender.session,
    seq,
    only,
    skip,
    kept: unread,
    isOver: ttlMs === 0,
    body: Buffer.from(body).toString('latin1'),
  };
  const entries = trimmed([...log.entries, entry]);
  const senders = prunedSenders(
    { ...log.senders, [sender.session]: { seq: seq ?? last, offset: top, generation: sender.generation } },
    top,
  );
  const kept = unread ? { after: log.kept?.after ?? log.top, last: top } : log.kept;
  const id = idOf(channel, top);
  const next = withLog(state, channel, { top, entries, senders, kept });
  return [tell(next, workers, String(id)), { status: 'accepted', id, readers: connected.length }];
}

function trimmed(entries: readonly EntryState[]): readonly EntryState[] {
  let kept = entries;
  const bytes = () => kept.reduce((sum, { body }) => sum + body.length, 0);
  while (kept.length > 1 && (kept.length > LIMITS.entries || bytes() > LIMITS.bytes)) kept = kept.slice(1);
  return kept;
}

function prunedSenders(senders: Record<string, SenderState>, top: number): Record<string, SenderState> {
  if (Object.keys(senders).length <= 2 * LIMITS.entries) return senders;
  return Object.fromEntries(
    Object.entries(senders).filter(([, { offset }]) => offset > top - LIMITS.entries),
  );
}

/** `after` is an offset of the log, or one that it never gave out. */
export function read(
  state: State,
  channel: Channel,
  from: { after: number } | { last: number } | 'unknown',
  limit: ReadQuery['limit'],
): unknown {
  const log = logOf(state, channel);
  const position = idOf(channel, log.top);
  if (from === 'unknown') return { status: 'lost', position };
  const oldest = log.top - log.entries.length + 1;
  const start = 'last' in from ? Math.max(oldest, log.top - from.last + 1) : Math.max(oldest, from.after + 1);
  const missing = 'last' in from ? 0 : start - from.after - 1;
  const page = log.entries.filter(({ offset }) => offset >= start && offset < start + limit);
  const entries = page
    .filter(({ isOver }) => !isOver)
    .map(({ offset, only, skip, kept, body }) => ({ id: idOf(channel, offset), only, skip, kept, body }));
  return {
    status: 'entries',
    missing,
    entries,
    more: start + limit <= log.top,
    position: idOf(channel, page.at(-1)?.offset ?? log.top),
  };
}
