// What tests of stores share: names, requests, and a store as two workers see it.
import { randomBytes } from 'node:crypto';
import type { ClientId, RoomName, SessionId, WorkerId } from '../../../src/protocol/ids.js';
import type {
  AppendRequest,
  AttachRequest,
  Channel,
  ReadResult,
  SessionRef,
  Store,
  StoreEvent,
  StoreSettings,
} from '../../../src/session/store/store.js';

export const W1 = 'n1.1' as WorkerId;
export const W2 = 'n1.2' as WorkerId;

export const SETTINGS: StoreSettings = {
  // Real time with Redis: a machine that is busy needs long from a detach to the resume that must still come in time.
  resumeWindowMs: 2_000,
  presenceGraceMs: 250,
  logLimitEntries: 5,
  logLimitBytes: 1_000,
  logTtlMs: 60_000,
  offlineTtlMs: 60_000,
  logBudgetBytes: 1_000_000,
  workerLeaseMs: 500,
};

/** A store as two workers see it, with what each was told. */
export interface Harness {
  store(worker: WorkerId): Store;
  events(worker: WorkerId): StoreEvent[];
  /** Lets time pass. */
  advance(ms: number): Promise<void>;
  /** Resolves when all events that are on their way have arrived. */
  settle(): Promise<void>;
  /** Does what is due, once. */
  sweep(): Promise<void>;
  /** Throws where something is left that nothing will ever remove. */
  expectNothingLeft(): Promise<void>;
  close(): Promise<void>;
}

export function client(name: string): ClientId {
  return name as ClientId;
}
export function room(name: string): RoomName {
  return name as RoomName;
}
export function newSession(): SessionId {
  return randomBytes(16).toString('base64url') as SessionId;
}
export function inbox(name: string): Channel {
  return { kind: 'inbox', client: client(name) };
}
export function roomLog(name: string): Channel {
  return { kind: 'room', room: room(name) };
}

export function attachRequest(
  name: string,
  worker: WorkerId,
  more: Partial<AttachRequest> = {},
): AttachRequest {
  return {
    client: client(name),
    worker,
    resume: null,
    fresh: newSession(),
    keyHash: 'key-1',
    duplicates: 'allow',
    sessionsLimit: 10,
    ...more,
  };
}

/** From a session that the store does not know, unless `more` says who sends: Redis takes it, the embedded store does not. */
export function appendRequest(channel: Channel, more: Partial<AppendRequest> = {}): AppendRequest {
  return {
    channel,
    sender: { client: client('stranger'), session: newSession(), generation: 1 },
    seq: null,
    first: null,
    ttlMs: null,
    keep: false,
    only: null,
    skip: [],
    body: Buffer.from('body'),
    ...more,
  };
}

/** Attaches where it is expected to succeed. */
export async function attach(
  store: Store,
  request: AttachRequest,
): Promise<SessionRef & { resumed: boolean; rooms: RoomName[] }> {
  const result = await store.attach(request);
  if (result.status !== 'attached') throw new Error(`attach was refused: ${result.code}`);
  const { session, generation, resumed, rooms } = result;
  return { client: request.client, session, generation, resumed, rooms };
}

export function refOf({ client: of, session, generation }: SessionRef): SessionRef {
  return { client: of, session, generation };
}

export function joining(ref: SessionRef, name: string, worker: WorkerId, roomsLimit = 10) {
  return { ...refOf(ref), room: room(name), worker, roomsLimit };
}

export async function append(store: Store, request: AppendRequest): Promise<string> {
  const result = await store.append(request);
  if (result.status !== 'accepted' || result.id === null) throw new Error(`append: ${result.status}`);
  return result.id;
}

export function bodies(result: ReadResult): string[] {
  if (result.status === 'lost') throw new Error('lost');
  return result.entries.map(({ body }) => Buffer.from(body).toString());
}

export function ofType<Type extends StoreEvent['type']>(
  events: StoreEvent[],
  type: Type,
): Extract<StoreEvent, { type: Type }>[] {
  return events.filter((event): event is Extract<StoreEvent, { type: Type }> => event.type === type);
}
