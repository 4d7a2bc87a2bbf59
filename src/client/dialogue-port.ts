// What dialogues have of their client.
import type { ClientFrame, Welcome } from '../protocol/frame.js';
import type { Environment } from './environment.js';

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
export interface DialogueWire {
  readonly welcome: Welcome | null;
  readonly open: boolean;
  readonly congested: boolean;
}

export interface DialogueCaller {
  readonly tryWrite: (frame: ClientFrame) => unknown;
  readonly report: (error: unknown) => void;
}
