// One call on its way: from the moment the application makes it until it is settled.
import type { ClientFrame, Payload } from '../protocol/frame.js';
import type { WhenOffline } from './options.js';

/**
 * What becomes of a written call whose answer the lost connection took along:
 * `unknown` rejects with `unknown_outcome`, because writing it again could do it twice; `repeat` is harmless to write again;
 * `wait` hopes for the answer on the next connection of the same session; `forget` has no answer: writing settles it.
 */
export type OnLoss = 'unknown' | 'repeat' | 'wait' | 'forget';

/** What each call of the public API takes. */
export interface CallOptions {
  /** Gives up waiting with `aborted`; a call that is still queued is then never sent. */
  signal?: AbortSignal;
  /** While there is no connection: wait in the queue, or fail with `offline`. */
  whenOffline?: WhenOffline;
}

export interface CallSpec<Result> {
  /** `ref` is 0 for `forget`. */
  frame(ref: number, payload: Payload): ClientFrame;
  onLoss: OnLoss;
  payload?: Payload | LoadingPayload;
  /** @throws ProtocolError where the answer has not the shape that was asked for */
  result(answer: unknown): Result;
  signal?: AbortSignal | undefined;
  whenOffline?: WhenOffline | undefined;
  /** Time from now on after which the call fails with `timeout`. */
  timeoutMs?: number;
}

/** A payload that waits for the code that compresses it. */
export interface LoadingPayload {
  /** Its size before compression. */
  bytes: number;
  ready: Promise<Payload>;
}

export const NO_PAYLOAD: Payload = { encoding: 0, data: new Uint8Array(0) };

export interface PendingCall {
  readonly frame: (ref: number, payload: Payload) => ClientFrame;
  readonly onLoss: OnLoss;
  /** False where it fails with `offline` rather than wait for a connection. */
  readonly patient: boolean;
  /** Null while it is being compressed. */
  payload: Payload | null;
  /** Bytes that it counts for in the queue. */
  readonly bytes: number;
  settled: boolean;
  succeed(answer: unknown): void;
  fail(error: unknown): void;
}
