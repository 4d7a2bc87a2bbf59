// The time between a handshake and the welcome: a deadline, a token, and the frames of a client that does not wait.
import type { ClientFrame } from '../protocol/frame.js';
import type { Identity } from '../session/authenticator.js';
import type { Deadline } from '../session/wheel.js';

/** Frames that may come between hello and welcome: a client that does not wait is still served in order. */
const EARLY_FRAMES_LIMIT = 64;
/** The same in bytes: nobody has shown a token yet. */
const EARLY_LIMIT_BYTES = 512 * 1024;

export interface EarlyFrame {
  frame: ClientFrame;
  /** Of it on the wire. */
  bytes: number;
}

export class Arrival {
  readonly early: EarlyFrame[] = [];
  private earlyBytes = 0;

  /**
   * @param credential the token that came with the handshake, or who the door has found the client to be
   * @param deadline when the client must have been welcomed
   */
  constructor(
    readonly credential: string | Identity | null,
    private readonly deadline: Deadline,
  ) {}

  /** Keeps a frame until the welcome; false when there are too many of them. */
  keep(frame: ClientFrame, bytes: number): boolean {
    this.earlyBytes += bytes;
    if (this.early.length >= EARLY_FRAMES_LIMIT || this.earlyBytes > EARLY_LIMIT_BYTES) return false;
    this.early.push({ frame, bytes });
    return true;
  }

  end(): void {
    this.deadline.cancel();
  }
}
