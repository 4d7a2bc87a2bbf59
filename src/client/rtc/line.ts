// One end of a peer as the signaling of its client sees it, and who speaks to it.
import type { Signal } from './signal.js';
import type { LineInfo, LineReceiver } from './signaling.js';

/** Who speaks. */
export interface Sender {
  client: string;
  session: string;
}

export interface Line {
  readonly info: LineInfo;
  receiver: LineReceiver;
  /** Identities of the two ends, as far as they were seen. */
  local: string | null;
  remote: string | null;
  /** Set while what was refused waits to be said again. */
  retry: ReturnType<typeof setTimeout> | null;
}

/** In the place of an end that was closed. */
export const NOBODY: LineReceiver = {
  onSignal: () => {},
  onResync: () => {},
  onDropped: () => {},
  onFailed: () => {},
  onEnded: () => {},
};

/** Whether the remote id of a line, `bob` or `bob#<session>`, means this one. */
export function isFrom(from: Sender, { remoteId }: LineInfo): boolean {
  return remoteId === from.client || remoteId === addressOf(from);
}

/** Whether what is said to whoever it is may be for that line. */
export function isFor({ name = '' }: Signal, from: Sender, { info }: Line): boolean {
  return isFrom(from, info) && info.name === name;
}

/** The one session. */
export function addressOf({ client, session }: Sender): string {
  return `${client}#${session}`;
}
