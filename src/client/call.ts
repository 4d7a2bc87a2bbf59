// One call on its way: from the moment the application makes it until it is settled.
import type { ClientFrame, Payload } from '../protocol/frame.js';
import type { WhenOffline } from './options.js';

/** What each call of the public API takes. */
export interface CallOptions {
  /** Gives up waiting with `aborted`; a call that is still queued is then never sent. */
  signal?: AbortSignal | undefined;
  /** While there is no connection: wait in the queue, or fail with `offline`. */
  whenOffline?: WhenOffline | undefined;
}

/** A frame that the outbox numbers when it writes it: `ref`, and of a request the time that is left, are set then. */
export type CallFrame = Exclude<ClientFrame, { type: 'hello' | 'pong' | 'bye' }>;

/** For calls that nobody made, and that nobody could make again. */
export const PATIENT: CallOptions = { whenOffline: 'queue' };

/**
 * What becomes of a written call whose answer the lost connection took along:
 * `unknown` rejects with `unknown_outcome`, because writing it again could do it twice; `repeat` is harmless to write again;
 * `wait` hopes for the answer on the next connection of the same session; `forget` has no answer: writing settles it.
 */
export type OnLoss = 'unknown' | 'repeat' | 'wait' | 'forget';

export function onLossOf(frame: CallFrame): OnLoss {
  switch (frame.type) {
    case 'send':
    case 'publish':
      return frame.seq === 0 ? 'forget' : 'unknown';
    case 'broadcast':
      return 'unknown';
    case 'request':
      return 'wait';
    case 'reply':
    case 'reject':
      return 'forget';
    default:
      return 'repeat';
  }
}

/** A payload that waits for the code that compresses it. */
export interface LoadingPayload {
  /** Its size before compression. */
  bytes: number;
  ready: Promise<Payload>;
}

export const NO_PAYLOAD: Payload = { encoding: 0, data: new Uint8Array(0) };

export interface PendingCall {
  readonly frame: CallFrame;
  readonly onLoss: OnLoss;
  /** False where it fails with `offline` rather than wait for a connection. */
  readonly patient: boolean;
  /** Bytes that it counts for in the queue. */
  readonly bytes: number;
  readonly startedAt: number;
  /** False while its payload is being compressed. */
  ready: boolean;
  settled: boolean;
  succeed(answer: unknown): void;
  fail(error: unknown): void;
}
