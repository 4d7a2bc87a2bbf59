// Calls without an answer, and the queue in which they wait to be written.
import type { ClientFrame } from '../protocol/frame.js';
import type { FollowedMessage } from './deliveries.js';

/** A frame that is numbered when it is written: `ref`, and of a request the time that is left, are set then. */
export type CallFrame = Exclude<
  ClientFrame,
  { type: 'hello' | 'pong' | 'bye' | 'receipt' | 'confirm' | 'ack' } | { stream: unknown }
>;

export interface PendingCall extends FollowedMessage {
  readonly frame: CallFrame;
  /** Written once and not kept by the gateway: it has no answer, or none that is awaited. */
  readonly isVolatile: boolean;
  /** False where it fails with `offline` rather than wait for a connection. */
  readonly patient: boolean;
  readonly startedAt: number;
  /** False while its payload is being compressed. */
  ready: boolean;
  settled: boolean;
}

export class CallQueue {
  /** In order; a Set lets a call leave from the middle at once. */
  readonly calls = new Set<PendingCall>();
  /** Of their payloads. */
  bytes = 0;

  add(call: PendingCall): void {
    this.calls.add(call);
    this.bytes += call.bytes;
  }

  remove(call: PendingCall): void {
    if (this.calls.delete(call)) this.bytes -= call.bytes;
  }

  takeAll(): PendingCall[] {
    const calls = [...this.calls];
    this.calls.clear();
    this.bytes = 0;
    return calls;
  }
}
