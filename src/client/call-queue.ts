// A queue in which calls wait: in order, bounded, and left by those that do not want to wait without a connection.
import { GatewayError } from '../protocol/errors.js';
import type { Settings } from './options.js';
import type { State } from './state.js';
import { abortedBy } from './withdrawal.js';

export interface WaitingCall {
  /** Of its payload. */
  readonly bytes: number;
  /** False where it fails with `offline` rather than wait for a connection. */
  readonly patient: boolean;
  fail(error: unknown): void;
}

/** What decides whether a call may wait. */
export interface QueuePort {
  readonly wire: { readonly open: boolean; readonly state: State };
  readonly settings: Settings;
}

export class CallQueue<Call extends WaitingCall> {
  /** In order; a Set lets a call leave from the middle at once. */
  readonly calls = new Set<Call>();
  /** Of their payloads. */
  bytes = 0;
  /** Somebody should be told when less waits. */
  isFull = false;
  readonly #port: QueuePort;

  constructor(port: QueuePort) {
    this.#port = port;
  }

  /** False where the call failed: it may not wait, nor be written. `isNext`: it need not wait here. */
  admits(call: Call, signal: AbortSignal | undefined, isNext = false): boolean {
    const { wire, settings } = this.#port;
    const refuse = (error: GatewayError): false => {
      call.fail(error);
      return false;
    };
    if (signal?.aborted) return refuse(abortedBy(signal));
    if (wire.state === 'closed') return refuse(new GatewayError('closed'));
    if (!wire.open && !call.patient) return refuse(new GatewayError('offline'));
    if (isNext) return true;
    const { offlineQueueLimitMessages, offlineQueueLimitBytes } = settings;
    if (this.calls.size < offlineQueueLimitMessages && this.bytes + call.bytes <= offlineQueueLimitBytes)
      return true;
    this.isFull = true;
    return refuse(new GatewayError('queue_full'));
  }

  add(call: Call): void {
    this.calls.add(call);
    this.bytes += call.bytes;
  }

  remove(call: Call): void {
    if (this.calls.delete(call)) this.bytes -= call.bytes;
  }

  takeAll(): Call[] {
    const calls = [...this.calls];
    this.calls.clear();
    this.bytes = 0;
    return calls;
  }

  /** The connection is gone. What `before` adds comes first. */
  lost(before = (): void => {}): void {
    const waiting = this.takeAll();
    before();
    for (const call of waiting) {
      if (call.patient) this.add(call);
      else call.fail(new GatewayError('offline'));
    }
  }

  end(error: unknown): void {
    for (const call of this.takeAll()) call.fail(error);
  }
}
