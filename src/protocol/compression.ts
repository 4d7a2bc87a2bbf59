// Compression of payloads by their senders: when it is worth it, with which dictionary, and the way back.
import { DEFLATED, DICTIONARY_SHIFT, SDP_DICTIONARY_ID } from './encoding.js';
import { ProtocolError } from './errors.js';
import type { Payload } from './frame.js';
import type { Inflate } from './payload.js';
import { SDP_DICTIONARY } from './sdp-dictionary.js';

/** A zlib implementation: the format is RFC 1950 and nothing else. */
export interface Compressor {
  deflate(data: Uint8Array, dictionary?: Uint8Array): Uint8Array;
  /** @throws ProtocolError `too_big` past the limit, `bad_payload` unless `data` are exactly one whole zlib stream */
  inflate(data: Uint8Array, dictionary: Uint8Array | undefined, limitBytes: number): Uint8Array;
}

/** Smaller payloads are sent as they are: deflate's tables cost more than they save (docs/protocol.md has the figures). */
export const DEFLATE_THRESHOLD_BYTES = 256;
/** The same for SDP and ICE candidates, where the dictionary spares the tables most of their work. */
export const DEFLATE_SDP_THRESHOLD_BYTES = 64;

/** How far into a payload its kind shows: keys and a type come before the SDP. */
const SNIFF_BYTES = 64;
const SDP_MARKS = ['v=0\r\n', 'v=0\\r\\n', 'candidate:'];
const LATIN1 = new TextDecoder('latin1');

/** Whether encoded data look like an SDP or a candidate, for which the dictionary was made. */
function suitsDictionary(data: Uint8Array): boolean {
  const head = LATIN1.decode(data.subarray(0, SNIFF_BYTES));
  return SDP_MARKS.some((mark) => head.includes(mark));
}

/** The payload deflated, with the dictionary where it suits; itself where that would not make it smaller. */
export function deflatePayload(payload: Payload, compressor: Compressor): Payload {
  const { encoding, data } = payload;
  if (encoding >= DEFLATED || data.length < DEFLATE_SDP_THRESHOLD_BYTES) return payload;
  const suits = suitsDictionary(data);
  if (!suits && data.length < DEFLATE_THRESHOLD_BYTES) return payload;
  const deflated = compressor.deflate(data, suits ? SDP_DICTIONARY : undefined);
  if (deflated.length >= data.length) return payload;
  const dictionary = suits ? SDP_DICTIONARY_ID : 0;
  return { encoding: encoding | DEFLATED | (dictionary << DICTIONARY_SHIFT), data: deflated };
}

/** What `decodePayload` and the JSON codec take. */
export function inflateWith(compressor: Compressor): Inflate {
  return (data, dictionary, limitBytes) => {
    if (dictionary > SDP_DICTIONARY_ID) throw new ProtocolError('bad_payload', 'unknown dictionary');
    return compressor.inflate(data, dictionary === 0 ? undefined : SDP_DICTIONARY, limitBytes);
  };
}
