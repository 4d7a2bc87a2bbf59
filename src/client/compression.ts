// All that compresses and inflates payloads, as one module to be loaded when the first payload needs it.
import { deflatePayload, inflateWith } from '../protocol/compression.js';
import type { Payload } from '../protocol/frame.js';
import { SDP_DICTIONARY } from '../protocol/sdp-dictionary.js';
import { pakoCompressor } from './pako-compressor.js';

export const inflate = inflateWith(pakoCompressor);

/** The payload itself where compression would not make it smaller. */
export function deflate(payload: Payload): Payload {
  return deflatePayload(payload, pakoCompressor);
}

/** Does all of it once: what a browser runs for the first time it compiles then, which takes it tens of milliseconds. */
export function warmUp(): void {
  // Like a description, but that the dictionary does not have it whole.
  const data = SDP_DICTIONARY.slice().reverse();
  pakoCompressor.inflate(pakoCompressor.deflate(data, SDP_DICTIONARY), SDP_DICTIONARY, data.length);
}
