// What carries signals between two ends: the port that the gateway, the loopback and anybody's own mechanism implement.
import type { Signal } from './signal.js';

/** Whose signals a line carries. */
export interface LineInfo {
  localId: string;
  remoteId: string;
  /** Of several peers between the same two; empty for the one without. */
  name: string;
}

export interface LineReceiver {
  /** @param from where the other end is now; signals for it alone go there */
  onSignal(signal: Signal, from: string): void;
  /** What this end sent or what was sent to it may be lost: it is asked for, and sent, again. */
  onResync(): void;
  /** A signal could not be passed on; it is sent again when something is heard of the other end. */
  onFailed(error: unknown): void;
  /** The line is of no use any more. */
  onEnded(): void;
}

export interface SignalingLine {
  /** Where true, what is sent arrives in order and once, unless `onResync` tells; else it is numbered, acknowledged and sent again. */
  readonly isReliable: boolean;
  /** Resolves when signals can go and come. */
  readonly ready: Promise<void>;
  /** @param to where the other end was heard of; null: at all places of the remote id */
  send(signal: Signal, to: string | null): void;
  close(): void;
}

/** A way to signal; one object serves any number of peers. */
export interface SignalingMechanism {
  connect(info: LineInfo, receiver: LineReceiver): SignalingLine;
}
