// What dialogues have of their client.
import type { ClientFrame, Welcome } from '../protocol/frame.js';
import type { Environment } from './environment.js';
import type { LadderClient } from './rtc/ladder.js';
import type * as rtc from './rtc/rtc.js';
import type { Lazy } from './lazy.js';
import type { Sender } from './events.js';
import type { State, StateInfo } from './state.js';

/** No name of it is one that scripts/internal-names.mjs shortens. */
export interface DialoguePort {
  /** The newest welcome; null before the first. */
  link(): Welcome | null;
  isOpen(): boolean;
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
  readonly congested: boolean;
  put(bytes: string | Uint8Array): void;
}

/** The client, as far as dialogues look at it. */
export interface DialogueClient extends Omit<LadderClient, 'on'> {
  readonly sessionId: string | null;
  readonly on: ((event: 'state', listener: (state: State, info: StateInfo) => unknown) => () => void) &
    LadderClient['on'];
  onRequest(event: string, handler: (data: unknown, from: Sender) => unknown): () => void;
}

/** The code that finds streams a better path, for those that want one. */
export type RtcCode = Lazy<Pick<typeof rtc, 'Ladder'>>;
