// What one test of one way came to.
import type { CandidatePair } from './candidate-pair.js';

export type WayResult =
  | { status: 'ok'; setupMs: number; pings: number[]; kbps: number | null; pair: CandidatePair | null }
  | { status: 'failed'; reason: string }
  /** The other page tests something else, or is gone: here and below nothing is known. */
  | { status: 'busy' }
  | { status: 'gone' }
  /** The gateway went away in the middle. */
  | { status: 'away' };

export function failed(reason: string): WayResult {
  return { status: 'failed', reason };
}
