// What a stream needs of those that manage it, and how it was asked for.
import type { ClientFrame } from '../../protocol/frame.js';
import type { StreamId } from '../../protocol/ids.js';
import type { Sender } from '../events.js';
import type { StreamCodec } from './stream-codec.js';

/** What a stream needs of those that manage it. */
export interface StreamHost {
  readonly isOpen: boolean;
  readonly isCongested: boolean;
  now(): number;
  /** Writes now, or not at all. */
  put(frame: ClientFrame): void;
  /** What the socket has no room for is asked for again later. */
  pumpLater(): void;
  /** It is over. */
  done(stream: { readonly id: StreamId }): void;
}

export interface StreamOptions {
  id: StreamId;
  name: string;
  codec: StreamCodec;
  opened: boolean;
  peer: Sender | null;
  /** Most bytes that wait for the application. */
  windowBytes: number;
  /** Most bytes that are kept until the other side has them. */
  sendBufferBytes: number;
  /** Of the connection by which it may leave the gateway; without one it stays. */
  rtcConfiguration?: RTCConfiguration | null;
}
