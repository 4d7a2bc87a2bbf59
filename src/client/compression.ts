// All that compresses and inflates payloads, as one module to be loaded when the first payload needs it.
import { deflatePayload, inflateWith } from '../protocol/compression.js';
import type { Payload } from '../protocol/frame.js';
import { pakoCompressor } from './pako-compressor.js';

export const inflate = inflateWith(pakoCompressor);

/** The payload itself where compression would not make it smaller. */
export function deflate(payload: Payload): Payload {
  return deflatePayload(payload, pakoCompressor);
}
