// The protocol's door: frames, codecs, codes and limits, for gateway, SDK and tools alike.
export * from './codes.js';
export * from './encoding.js';
export * from './errors.js';
export * from './frame.js';
export * from './ids.js';
export * from './limits.js';
export * from './subprotocol.js';
export {
  encodeMessageBody,
  encodeRoomMessageBody,
  frameFromBody,
  msgpackClientCodec,
  msgpackCodec,
  type BodyType,
} from './msgpack-codec.js';
export { createJsonCodec, type JsonCodecOptions } from './json-codec.js';
export { decodeMsgpack, type ReadLimits } from './msgpack-reader.js';
export { encodeMsgpack } from './msgpack-values.js';
export {
  DEFLATE_SDP_THRESHOLD_BYTES,
  DEFLATE_THRESHOLD_BYTES,
  deflatePayload,
  inflateWith,
  type Compressor,
} from './compression.js';
export { asJson, decodePayload, encodePayload, type DecodePayloadOptions, type Inflate } from './payload.js';
export { SDP_DICTIONARY } from './sdp-dictionary.js';
