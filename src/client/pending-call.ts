// A call whose frame is made, until it is settled.
import type { GatewayError } from '../protocol/errors.js';
import type { ClientFrame } from '../protocol/frame.js';
import type { WaitingCall } from './call-queue.js';
import type { FollowedMessage } from './deliveries.js';
import type { LoadingPayload } from './payload-encoder.js';

/** A frame that is numbered when it is written: `ref`, and of a request the time that is left, are set then. */
export type CallFrame = Exclude<
  ClientFrame,
  { type: 'hello' | 'pong' | 'bye' | 'receipt' | 'confirm' | 'ack' | 'peerReport' } | { stream: unknown }
>;

export interface PendingCall extends FollowedMessage, WaitingCall {
  readonly frame: CallFrame;
  /** Written once and not kept by the gateway: it has no answer, or none that is awaited. */
  readonly isVolatile: boolean;
  /** See `MessageCallOptions.onRefused`. */
  readonly onRefused: ((error: GatewayError) => void) | undefined;
  readonly startedAt: number;
  readonly loading: LoadingPayload | undefined;
  /** False while its payload is being encoded or compressed. */
  ready: boolean;
  settled: boolean;
}
