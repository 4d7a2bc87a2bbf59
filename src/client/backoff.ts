// How long to wait before the next try: exponential with full jitter, a pure function.

/** Range of the waits between tries to connect. */
export interface BackoffRange {
  /** Longest wait before the first try, ms. */
  minMs: number;
  /** Longest wait at all, ms. */
  maxMs: number;
}

/**
 * Full jitter spreads clients that lost one gateway at the same moment evenly over the whole interval
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
 * @param attempt 0 for the first try after a connection was lost
 * @param random 0 ≤ n < 1
 */
export function backoff(attempt: number, random: number, { minMs, maxMs }: BackoffRange): number {
  // 2 ** 31 is beyond any sensible maxMs / minMs; a larger exponent would only meet Infinity.
  return Math.floor(random * Math.min(maxMs, minMs * 2 ** Math.min(attempt, 31)));
}
