// Who is at the other end of a stream, and where.
import type { ClientId, SessionId, WorkerId } from '../protocol/ids.js';
import type { StreamStep } from './stream-envelope.js';

export interface Peer {
  readonly client: ClientId;
  readonly session: SessionId;
  /** Where it was heard last; null where it has to be looked up. */
  worker: WorkerId | null;
  /** It has accepted, or opened, the stream. */
  isHeard: boolean;
  isLookedUp: boolean;
  /** What is for it as soon as it is found, but for chunks: their sender keeps them. */
  readonly waiting: StreamStep[];
}

export function newPeer(client: ClientId, session: SessionId, isHeard: boolean): Peer {
  return { client, session, worker: null, isHeard, isLookedUp: false, waiting: [] };
}
