// The states of a client and the legal moves between them.
import type { Code } from '../protocol/codes.js';

/** `idle` before the first `connect()`, `closed` for good until the next one; docs/client.md has the legal moves. */
export type State = 'idle' | 'connecting' | 'connected' | 'reconnecting' | 'closed';

/** Why a client came into a state. */
export interface StateInfo {
  /** Code of the close that led here; null where none did. */
  code: Code | null;
  /** Its WebSocket close code; null where the connection never opened, or nothing was closed. */
  close: number | null;
  /** When the next try starts, ms; null unless one is planned. */
  retryInMs: number | null;
}

const MOVES: Record<State, readonly State[]> = {
  idle: ['connecting', 'closed'],
  // Back to idle: the only caller of connect() aborted it.
  connecting: ['connected', 'idle', 'closed'],
  connected: ['reconnecting', 'closed'],
  reconnecting: ['connected', 'closed'],
  closed: ['connecting'],
};

export function canMove(from: State, to: State): boolean {
  return MOVES[from].includes(to);
}
