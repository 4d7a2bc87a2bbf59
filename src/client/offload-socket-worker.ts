// The worker of `offload: true`: the WebSocket, and what makes bytes of data and data of the bytes that go through it.
import { deflatePayload, DEFLATE_SDP_THRESHOLD_BYTES } from '../protocol/compression.js';
import type { Code } from '../protocol/codes.js';
import { DEFLATED, DICTIONARY_SHIFT, PAYLOAD_CODECS } from '../protocol/encoding.js';
import { ProtocolError } from '../protocol/errors.js';
import type { ClientFrame, GatewayFrame, Payload } from '../protocol/frame.js';
import { INFLATED_LIMIT_BYTES } from '../protocol/limits.js';
import { msgpackCodec } from '../protocol/msgpack-codec.js';
import { decodePayload, encodePayload } from '../protocol/payload.js';
import { inflate } from './compression.js';
import { formOf, MIN_VALUES, pack, type Parcel, unpack } from './offload-forms.js';
import type { SocketReport, SocketTask } from './offload-socket.js';
import { pakoCompressor } from './pako-compressor.js';

declare const self: {
  postMessage(report: SocketReport, transfer?: Transferable[]): void;
  onmessage: ((event: MessageEvent<SocketTask>) => void) | null;
};

/** How often a full socket is looked at, ms: WebSockets have no event for it. */
const FLOW_POLL_MS = 20;
/** How far into a payload its kind shows. */
const SNIFF_BYTES = 64;
const LATIN1 = new TextDecoder('latin1');

let socket: WebSocket | null = null;
let compressAboveBytes = Infinity;
let frameLimitBytes = Infinity;
/** What was encoded last: frames that carry it may follow. */
let latest: { id: number; payload: Payload } | null = null;
let polling: ReturnType<typeof setTimeout> | undefined;

self.onmessage = ({ data }) => {
  switch (data[0]) {
    case 'open':
      compressAboveBytes = data[3];
      socket = open(data[1], data[2]);
      return;
    case 'send':
      return send(data[1], data[2], data[3]);
    case 'encode':
      return encode(data[1], data[2]);
    case 'close':
      return socket?.close(data[1]);
  }
};
self.postMessage(['ready']);

function open(url: string, protocols: string[]): WebSocket {
  let made: WebSocket;
  try {
    made = new WebSocket(url, protocols);
  } catch (error) {
    self.postMessage(['close', 1006]);
    throw error;
  }
  made.binaryType = 'arraybuffer';
  made.onopen = () => self.postMessage(['open', made.protocol]);
  made.onclose = ({ code }) => self.postMessage(['close', code]);
  made.onmessage = ({ data }: MessageEvent<unknown>) => {
    if (data instanceof ArrayBuffer) arrived(new Uint8Array(data));
    else self.postMessage(['message', data]);
  };
  return made;
}

function encode(id: number, parcel: Parcel): void {
  latest = null;
  try {
    const payload = deflated(encodePayload(unpack(parcel)));
    latest = { id, payload };
    // A copy for the page, which has to write it again where the connection breaks.
    const { buffer } = payload.data.slice();
    self.postMessage(['encoded', id, payload.encoding, buffer], [buffer]);
  } catch {
    self.postMessage(['unencodable', id]);
  }
}

function send(bytes: Uint8Array, weight: number, attached: number | null): void {
  const written = attached === null ? outgoing(bytes) : withAttached(bytes, attached);
  if (written !== null) socket?.send(written);
  tellFlow(weight);
}

/** Null where the page was told that it is not sent. */
function withAttached(bytes: Uint8Array, id: number): Uint8Array | null {
  let frame: ClientFrame;
  try {
    frame = msgpackCodec.decodeClient(bytes);
  } catch (error) {
    // As the gateway would say it, which gets no frame without its payload.
    if (error instanceof ProtocolError) refuse(error.ref, error.code);
    return null;
  }
  return latest?.id === id && 'payload' in frame ? bounded({ ...frame, payload: latest.payload }) : null;
}

function tellFlow(taken: number): void {
  const buffered = socket?.bufferedAmount ?? 0;
  self.postMessage(['flow', taken, buffered]);
  clearTimeout(polling);
  if (buffered > 0) polling = setTimeout(() => tellFlow(0), FLOW_POLL_MS);
}

/** What goes to the gateway; null where it may not. */
function outgoing(bytes: Uint8Array): Uint8Array | null {
  // Too small to be worth a look, and for any limit.
  if (bytes.length < DEFLATE_SDP_THRESHOLD_BYTES) return bytes;
  let frame: ClientFrame;
  try {
    frame = msgpackCodec.decodeClient(bytes);
  } catch {
    // The gateway says what is wrong with it.
    return bytes;
  }
  const packed = withPacked(frame);
  return packed === frame && bytes.length <= frameLimitBytes ? bytes : bounded(packed);
}

function bounded(frame: ClientFrame): Uint8Array | null {
  const bytes = msgpackCodec.encodeClient(frame) as Uint8Array;
  return bytes.length <= frameLimitBytes ? bytes : refusalOf(frame);
}

/** Chunks of streams are sent as they are, as without this worker. */
function withPacked(frame: ClientFrame): ClientFrame {
  if (!('payload' in frame) || 'stream' in frame) return frame;
  const payload = deflated(frame.payload);
  return payload === frame.payload ? frame : { ...frame, payload };
}

function deflated(payload: Payload): Payload {
  const isWorthIt =
    payload.data.length >= compressAboveBytes || (compressAboveBytes < Infinity && isDescription(payload));
  return isWorthIt ? deflatePayload(payload, pakoCompressor) : payload;
}

/** An `RTCSessionDescription` or `RTCIceCandidate`: its first keys tell. */
function isDescription({ data }: Payload): boolean {
  return /sdp|candidate/.test(LATIN1.decode(data.subarray(0, SNIFF_BYTES)));
}

/** The page could not know how large it would be: it is told as by the gateway, and who waits for a reply is told here. */
function refusalOf(frame: ClientFrame): Uint8Array | null {
  if (frame.type === 'reply')
    return msgpackCodec.encodeClient({
      type: 'reject',
      handle: frame.handle,
      code: 'rejected',
      text: 'too_big',
    }) as Uint8Array;
  refuse('ref' in frame ? frame.ref : 0, 'too_big');
  return null;
}

function refuse(ref: number, code: Code): void {
  toPage({ type: 'error', ref, code, text: code, expected: null });
}

function arrived(bytes: Uint8Array): void {
  let frame: GatewayFrame;
  try {
    frame = msgpackCodec.decodeGateway(bytes);
    if (frame.type === 'welcome') {
      frameLimitBytes = frame.info.frameLimitBytes;
      // What the page hands over is compressed here.
      return toPage({ ...frame, info: { ...frame.info, frameLimitBytes: INFLATED_LIMIT_BYTES } });
    }
    if ('payload' in frame) {
      const isDeflated = (frame.payload.encoding & DEFLATED) !== 0;
      const payload = isDeflated ? inflated(frame.payload) : frame.payload;
      const plain = isDeflated ? bytesOf({ ...frame, payload }) : bytes;
      // The chunks of a stream are read by the stream, when it is read.
      return post(plain, 'stream' in frame ? undefined : decoded(payload));
    }
  } catch {
    // What cannot be read or inflated here cannot be there either, and there it can be told.
  }
  post(bytes);
}

function inflated({ encoding, data }: Payload): Payload {
  return {
    encoding: encoding & 0x0f,
    data: inflate(data, encoding >> DICTIONARY_SHIFT, INFLATED_LIMIT_BYTES),
  };
}

/** The data of a payload, where it is less work for the page to take them than to decode them. */
function decoded(payload: Payload): Parcel | undefined {
  // Each value is a byte at least. JSON is what a page reads as fast as anything else.
  if (payload.encoding !== PAYLOAD_CODECS.msgpack || payload.data.length < MIN_VALUES) return undefined;
  try {
    const data = decodePayload(payload);
    const form = formOf(data);
    return form === null || form.values < MIN_VALUES ? undefined : pack(data, form);
  } catch {
    // An extension of the application, which the page knows; or nothing that anybody can read, which the page tells.
    return undefined;
  }
}

function toPage(frame: GatewayFrame): void {
  post(bytesOf(frame));
}

function bytesOf(frame: GatewayFrame): Uint8Array {
  return (msgpackCodec.encodeGateway(frame) as Uint8Array).slice();
}

/** `bytes` are all of their buffer. */
function post({ buffer }: Uint8Array, parcel?: Parcel): void {
  self.postMessage(['message', buffer, parcel], [buffer as ArrayBuffer]);
}
