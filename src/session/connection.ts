// The port between a session and its transport: one live connection, whatever carries it.
import type { CloseCode } from '../protocol/codes.js';
import type { FrameCodec, SplitFrame } from '../protocol/frame.js';

/** A frame as a codec writes it. */
export type WireFrame = Uint8Array | string | SplitFrame;

export interface Connection {
  readonly codec: FrameCodec;
  /** Address of the client, behind trusted proxies the one they name. */
  readonly address: string;
  /** Bytes that were handed over and not yet taken by the kernel. */
  readonly queuedBytes: number;
  /**
   * Hands over one encoded frame. Never waits; false once the connection is closing.
   * @param canWait it may leave some milliseconds later, with what follows it, where that is cheaper
   */
  send(frame: WireFrame, canWait?: boolean): boolean;
  /** Takes no further bytes from the client for this long: a flood is slowed at its source. */
  pause(ms: number): void;
  /** Ends the connection with a code of the table; idempotent. A client that does not answer is cut off. */
  close(code: CloseCode): void;
  /** Ends it without a word, for a client that does not read. */
  terminate(): void;
}

export interface ConnectionHandlers {
  frame(bytes: Uint8Array | string): void;
  /** Exactly once, whoever ended it. `number` is the close code, 1006 where there was none. */
  closed(number: number): void;
}

/** In one piece of memory, for transports that write no other. */
export function wholeFrame(frame: WireFrame): Uint8Array | string {
  return typeof frame === 'string' || frame instanceof Uint8Array
    ? frame
    : Buffer.concat([frame.head, frame.body]);
}
