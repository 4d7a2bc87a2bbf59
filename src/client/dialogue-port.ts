// What dialogues have of their client.
import type { ClientFrame, Welcome } from '../protocol/frame.js';
import type { CallOptions } from './call-options.js';
import type { Environment } from './environment.js';
import type { State, StateInfo } from './state.js';

/** No name of it is one that scripts/internal-names.mjs shortens. */
export interface DialoguePort {
  /** The newest welcome; null before the first. */
  link(): Welcome | null;
  isOpen(): boolean;
  /** For good: nothing can be opened any more. */
  isClosed(): boolean;
  isCongested(): boolean;
  readonly clock: Environment;
  /** @throws ProtocolError where the frame cannot be written */
  put(frame: ClientFrame): void;
  /** Tells what no promise can. */
  tell(error: unknown): void;
}

/** The connection, as far as dialogues look at it. */
export interface DialogueLink {
  readonly welcome: Welcome | null;
  readonly open: boolean;
  readonly state: State;
  readonly congested: boolean;
  put(bytes: string | Uint8Array): void;
}

/** The client, as far as dialogues look at it. */
export interface DialogueClient {
  room(name: string): {
    join(options?: CallOptions): Promise<void>;
    leave(options?: CallOptions): Promise<void>;
  };
  readonly sessionId: string | null;
  on(event: 'state', listener: (state: State, info: StateInfo) => unknown): () => void;
}
