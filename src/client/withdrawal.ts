// When whoever waits does not wait any longer: the signal fires, or the time is over.
import { GatewayError } from '../protocol/errors.js';
import type { Environment } from './environment.js';

export interface Patience {
  readonly signal?: AbortSignal | undefined;
  /** Longest wait, ms, since `madeAt`. */
  readonly timeoutMs?: number | undefined;
  readonly madeAt: number;
}

export function abortedBy(signal: AbortSignal | undefined): GatewayError {
  return new GatewayError('aborted', undefined, { cause: signal?.reason });
}

/** Tells with `aborted` or `timeout`, until the returned function is called. */
export function onWithdrawal(
  { signal, timeoutMs, madeAt }: Patience,
  environment: Environment,
  withdraw: (error: GatewayError) => void,
): () => void {
  const abort = (): void => withdraw(abortedBy(signal));
  signal?.addEventListener('abort', abort);
  const cancelTimer =
    timeoutMs !== undefined &&
    environment.after(madeAt + timeoutMs - environment.now(), () => withdraw(new GatewayError('timeout')));
  return () => {
    signal?.removeEventListener('abort', abort);
    if (cancelTimer) cancelTimer();
  };
}
