// The error of a call whose AbortSignal fired.
import { GatewayError } from '../protocol/errors.js';

export function abortedBy(signal: AbortSignal | undefined): GatewayError {
  return new GatewayError('aborted', undefined, { cause: signal?.reason });
}
