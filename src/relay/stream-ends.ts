// The ends of streams that this worker's sessions hold: who is at the other end, and up to where each may send.
import type { CreditFrame } from '../protocol/frame.js';
import type { RoomName, SessionId, StreamId } from '../protocol/ids.js';
import type { Session } from '../session/session.js';
import type { Deadline } from '../session/wheel.js';
import type { ReaderGroup } from './reader-group.js';
import type { Peer } from './stream-peer.js';

export interface End {
  readonly session: Session;
  readonly stream: StreamId;
  /** Whether the session opened it. */
  readonly opened: boolean;
  readonly room: RoomName | null;
  /** Null before it is known whom an offer goes to, and for a stream to several. */
  peer: Peer | null;
  /** Of a stream to several; null for all others. */
  readonly group: ReaderGroup | null;
  /** Up to where the session may send, as its peer has said through this worker. */
  limit: number;
  /** What the session has of the other end, as it has said. */
  upTo: number;
  /** Of the other end's chunks, up to where they were handed to the session's connection. */
  given: number;
  /** Up to where the session allows the other end to send, and what of that the other end was told. */
  allowed: number;
  told: number;
  /** Chunks for the session were dropped: their sender is about to be told. */
  hasLost: boolean;
  /** What the session is to be told of the other end, as soon as its connection has room; null where it was told. */
  unsaid: Unsaid | null;
}

export interface Unsaid {
  readonly said: Credited;
  /** When it is tried again. */
  readonly again: Deadline;
}

/** What the other end has, up to where it takes more, and what it asks. */
export type Credited = Pick<CreditFrame, 'upTo' | 'limit' | 'ask'>;

/** An end of which nothing has been said yet. */
export function newEnd(which: Pick<End, 'session' | 'stream' | 'opened' | 'room' | 'peer' | 'group'>): End {
  return { ...which, limit: 0, upTo: 0, given: 0, allowed: 0, told: 0, hasLost: false, unsaid: null };
}

export class StreamEnds {
  private readonly ends = new Map<Session, Map<StreamId, End>>();
  /** Ends of those who did not open them, by who did. */
  private readonly readers = new Map<string, Set<End>>();
  size = 0;

  get(session: Session, stream: StreamId): End | undefined {
    return this.ends.get(session)?.get(stream);
  }

  countOf(session: Session): number {
    return this.ends.get(session)?.size ?? 0;
  }

  of(session: Session): Iterable<End> {
    return this.ends.get(session)?.values() ?? [];
  }

  /** Those of this worker who read what `opener` sends. */
  readersOf(opener: SessionId, stream: StreamId): Iterable<End> {
    return this.readers.get(`${opener} ${stream}`) ?? [];
  }

  add(end: End): void {
    const own = this.ends.get(end.session);
    if (own === undefined) this.ends.set(end.session, new Map([[end.stream, end]]));
    else own.set(end.stream, end);
    this.size++;
    const key = readerKey(end);
    if (key === null) return;
    const readers = this.readers.get(key);
    if (readers === undefined) this.readers.set(key, new Set([end]));
    else readers.add(end);
  }

  /** False where it was gone already. */
  remove(end: End): boolean {
    const own = this.ends.get(end.session);
    if (own?.get(end.stream) !== end) return false;
    own.delete(end.stream);
    if (own.size === 0) this.ends.delete(end.session);
    this.size--;
    end.group?.close();
    const key = readerKey(end);
    const readers = key === null ? undefined : this.readers.get(key);
    readers?.delete(end);
    if (key !== null && readers?.size === 0) this.readers.delete(key);
    return true;
  }
}

function readerKey({ opened, peer, stream }: End): string | null {
  return opened || peer === null ? null : `${peer.session} ${stream}`;
}
