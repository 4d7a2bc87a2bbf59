// Payloads of the application's data, compressed where that is worth it and the code for it can be had.
import type { Payload } from '../protocol/frame.js';
import type { CompressionCode } from './payloads.js';

/** Below this an SDP or a candidate is not worth the dictionary, bytes. */
const SDP_THRESHOLD_BYTES = 100;

/** A payload that waits for the code that compresses it, or for a worker that encodes it. */
export interface LoadingPayload {
  /** Its size before compression. */
  bytes: number;
  ready: Promise<Payload>;
  /** Whether a frame can be written at once: what carries it will have the payload by then. */
  isAtHand?(): boolean;
  /** The frame that `write` writes carries it. */
  carry?(write: () => void): void;
}

export type EncodedPayload = Payload | LoadingPayload;

/** `payload` is what `data` became. */
export function compressed(
  payload: Payload,
  data: unknown,
  compressAboveBytes: number,
  code: CompressionCode,
): EncodedPayload {
  const bytes = payload.data.length;
  const isWorthIt = bytes >= compressAboveBytes || (bytes >= SDP_THRESHOLD_BYTES && isDescription(data));
  if (compressAboveBytes === Infinity || !isWorthIt) return payload;
  if (code.loaded !== null) return code.loaded.deflate(payload);
  // The application may write into its bytes again before the code is there.
  const kept: Payload = { ...payload, data: payload.data.slice() };
  return {
    bytes,
    // Where the code cannot be loaded, the payload goes out as it is.
    ready: code.load().then(
      ({ deflate }) => deflate(kept),
      () => kept,
    ),
  };
}

/** An `RTCSessionDescription` or `RTCIceCandidate` by its fields. */
function isDescription(data: unknown): boolean {
  return typeof data === 'object' && data !== null && ('sdp' in data || 'candidate' in data);
}
