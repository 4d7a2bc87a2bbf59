// The time between a handshake and the welcome: a deadline, a token, and the frames of a client that does not wait.
import type { ClientFrame } from '../protocol/frame.js';
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
   * @param token the one that came with the handshake
   * @param deadline when the client must have been welcomed
   */
  constructor(
    readonly token: string | null,
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
