// Payloads on their way between processes as JSON: what the JSON subprotocol writes for them.
import { ProtocolError } from '../protocol/errors.js';
import type { GatewayFrame, Payload } from '../protocol/frame.js';
import { TYPES } from '../protocol/frame.js';
import { createJsonCodec } from '../protocol/json-codec.js';
import { inflatePayload } from '../session/zlib-compressor.js';
import type { WirePayload } from './server-verbs.js';

const CODEC = createJsonCodec({ inflate: inflatePayload });

/** MessagePack becomes JSON where JSON can carry it unchanged; what JSON cannot carry is bytes in base64. */
export function toWire(payload: Payload): WirePayload {
  const frame: GatewayFrame = { type: 'response', ref: 1, payload };
  const [, , codec, value] = JSON.parse(String(CODEC.encodeGateway(frame))) as [
    number,
    number,
    string,
    unknown,
  ];
  return [codec, value];
}

/** @throws ProtocolError for what is no payload */
export function fromWire(payload: WirePayload): Payload {
  const frame = CODEC.decodeGateway(JSON.stringify([TYPES.response, 1, ...payload]));
  if (frame.type !== 'response') throw new ProtocolError('bad_payload');
  return frame.payload;
}
