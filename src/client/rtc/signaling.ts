// What carries signals between two ends: the port that the gateway, the loopback and anybody's own mechanism implement.
import type { Signal } from './signal.js';

/** Whose signals a line carries. */
export interface LineInfo {
  localId: string;
  remoteId: string;
  /** Of several peers between the same two; empty for the one without. */
  name: string;
}

/** The end of a line: what a mechanism tells its peer. */
export interface LineReceiver {
  /**
   * A signal of the other end.
   * @param from where the other end is now; signals for it alone go there
   */
  onSignal(signal: Signal, from: string): void;
  /** What this end sent or what was sent to it may be lost: it is asked for, and sent, again. */
  onResync(): void;
  /** The signal of that number, which was not sent surely, was refused, or not sent: it is said again, surely. */
  onDropped(seq: number): void;
  /** A signal could not be passed on; it is sent again when something is heard of the other end. */
  onFailed(error: unknown): void;
  /** The line is of no use any more. */
  onEnded(): void;
}

/** What carries the signals of one peer. */
export interface SignalingLine {
  /** Where true, what is sent arrives in order and once, unless `onResync` tells; else it is numbered, acknowledged and sent again. */
  readonly isReliable: boolean;
  /**
   * Of a line that is not reliable, but seldom loses anything, and has a dearer way that is: what is not acknowledged in time is sent again
   * by that, once.
   */
  readonly hasSureWay?: boolean;
  /** Resolves when signals can go and come. */
  readonly ready: Promise<void>;
  /**
   * Sends a signal to the other end.
   * @param to where it was heard of; null: at all places of the remote id
   * @param isSure by the sure way, where there is one
   */
  send(signal: Signal, to: string | null, isSure: boolean): void;
  /** Nothing more is sent, or received. */
  close(): void;
}

/** A way to signal; one object serves any number of peers. */
export interface SignalingMechanism {
  /** The identity of the end that connects, where the other one has heard of it before; default a random one. @internal */
  readonly id?: string;
  /** Begins to carry the signals of one peer. */
  connect(info: LineInfo, receiver: LineReceiver): SignalingLine;
}
