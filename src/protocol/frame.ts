// Every frame of protocol version 1, in two families that cannot be mixed: client → gateway and gateway → client.
import type { ClientFrame } from './client-frame.js';
import type { GatewayFrame, PieceFrame } from './gateway-frame.js';

export * from './client-frame.js';
export * from './frame-parts.js';
export * from './gateway-frame.js';

export const PROTOCOL_VERSION = 1;

/**
 * Type numbers, given out in ranges: 0–15 session, 16–31 messages, 32–47 rooms, 48–63 presence, 64–79 streams,
 * 80–95 pairing and services, 96–111 RTC, 112–127 uplinks and extensions. A number is never reused.
 */
export const TYPES = {
  hello: 0,
  welcome: 1,
  ping: 2,
  pong: 3,
  token: 4,
  ok: 5,
  error: 6,
  expiring: 7,
  goaway: 8,
  bye: 9,

  send: 16,
  message: 17,
  broadcast: 18,
  request: 19,
  requested: 20,
  reply: 21,
  reject: 22,
  response: 23,
  receipt: 24,
  confirm: 25,
  ack: 26,
  delivered: 27,
  asked: 28,
  gap: 29,
  position: 30,
  doubt: 31,

  join: 32,
  leave: 33,
  leaveAll: 34,
  publish: 35,
  roomMessage: 36,

  members: 48,
  count: 49,
  clients: 50,
  online: 51,
  watch: 52,
  presence: 53,

  openStream: 64,
  offer: 65,
  attachStream: 66,
  attached: 67,
  chunk: 68,
  piece: 69,
  credit: 70,
  credited: 71,
  cut: 72,
  wasCut: 73,
  readerGone: 75,

  call: 80,
  called: 81,
  owners: 82,
  pair: 83,
  pairing: 84,
  holdPair: 85,
  endPair: 86,
  unpaired: 87,
  available: 88,

  iceServers: 96,
  peerReport: 97,
  standingOffer: 98,
} as const;
export type FrameType = keyof typeof TYPES;

/** Fields of each frame in their order on the wire, after the type number; a `payload` comes last, as two elements. */
export const CLIENT_FIELDS = {
  hello: ['version', 'token', 'resume', 'agent'],
  pong: [],
  token: ['ref', 'token'],
  bye: [],
  send: ['ref', 'seq', 'options', 'to', 'event', 'payload'],
  broadcast: ['ref', 'options', 'event', 'payload'],
  request: ['ref', 'timeoutMs', 'options', 'to', 'event', 'payload'],
  reply: ['handle', 'payload'],
  reject: ['handle', 'code', 'text'],
  receipt: ['to', 'seq'],
  confirm: ['to', 'seq'],
  ack: ['id'],
  join: ['ref', 'room', 'since'],
  leave: ['ref', 'room'],
  leaveAll: ['ref'],
  publish: ['ref', 'seq', 'options', 'room', 'event', 'payload'],
  members: ['ref', 'room', 'cursor', 'limit'],
  count: ['ref', 'room'],
  clients: ['ref', 'prefix', 'cursor', 'limit'],
  online: ['ref', 'client'],
  watch: ['ref', 'room', 'on'],
  openStream: ['stream', 'to', 'room', 'name', 'drop', 'payload'],
  attachStream: ['stream', 'to', 'room', 'opened', 'upTo', 'limit', 'drop'],
  chunk: ['stream', 'offset', 'part', 'payload'],
  credit: ['stream', 'upTo', 'limit', 'ask'],
  cut: ['stream', 'to', 'code', 'text'],
  call: ['ref', 'timeoutMs', 'options', 'service', 'payload'],
  pair: ['ref', 'timeoutMs', 'to', 'payload'],
  holdPair: ['ref', 'pair', 'to'],
  endPair: ['ref', 'pair', 'to'],
  available: ['ref', 'prefix', 'cursor', 'limit'],
  peerReport: ['digest'],
  standingOffer: ['ref', 'id', 'event', 'payload'],
} as const satisfies FieldsOf<ClientFrame>;

/** As `CLIENT_FIELDS`. */
export const GATEWAY_FIELDS = {
  welcome: ['info'],
  ping: [],
  ok: ['ref', 'result'],
  error: ['ref', 'code', 'text', 'expected'],
  expiring: ['inMs'],
  goaway: ['close', 'retryAfterMs'],
  message: ['id', 'options', 'from', 'session', 'event', 'payload'],
  requested: ['handle', 'options', 'from', 'session', 'event', 'payload'],
  response: ['ref', 'payload'],
  delivered: ['by', 'seq'],
  asked: ['from', 'session', 'seq'],
  gap: ['channel', 'reason', 'missing', 'id'],
  position: ['channel', 'id'],
  doubt: [],
  roomMessage: ['id', 'options', 'room', 'from', 'session', 'event', 'payload'],
  presence: ['room', 'joined', 'left', 'count'],
  offer: ['stream', 'from', 'session', 'channel', 'name', 'payload'],
  attached: ['stream', 'from', 'session', 'upTo', 'limit'],
  piece: ['stream', 'offset', 'part', 'payload'],
  credited: ['stream', 'upTo', 'limit', 'ask'],
  wasCut: ['stream', 'code', 'text'],
  readerGone: ['stream', 'from', 'session', 'code', 'text', 'payload'],
  called: ['handle', 'options', 'from', 'session', 'event', 'payload'],
  owners: ['service', 'count'],
  pairing: ['handle', 'options', 'from', 'session', 'event', 'payload'],
  unpaired: ['pair', 'code'],
  iceServers: ['servers'],
} as const satisfies FieldsOf<GatewayFrame>;

/** The gateway's frames by their numbers. */
export const GATEWAY_TYPES: ReadonlyMap<number, GatewayFrame['type']> = new Map(
  (Object.keys(GATEWAY_FIELDS) as GatewayFrame['type'][]).map((type) => [TYPES[type], type]),
);

/** Which fields frames have, by type. */
type FieldsOf<Frame extends { type: string }> = {
  [T in Frame['type']]: readonly Exclude<keyof Extract<Frame, { type: T }>, 'type'>[];
};

interface WireFormat {
  readonly subprotocol: string;
  readonly binary: boolean;
}

/** What a client needs of a subprotocol: to write its frames and read the gateway's. */
export interface ClientSideCodec extends WireFormat {
  encodeClient(frame: ClientFrame): Uint8Array | string;
  /** @throws ProtocolError as `decodeClient` */
  decodeGateway(bytes: Uint8Array | string): GatewayFrame;
}

/** A frame in two pieces of memory: what stands before the bytes of its payload, and those, which nobody changes. */
export interface SplitFrame {
  readonly head: Uint8Array;
  readonly body: Uint8Array;
}

/** One subprotocol's way to write and read frames. Both sides of both families, so that SDK and gateway share it. */
export interface FrameCodec extends ClientSideCodec {
  encodeGateway(frame: GatewayFrame): Uint8Array | string;
  /** The same of a chunk of a stream, whose payload is not copied; a codec whose frames are text has no such form. */
  splitPiece?(piece: PieceFrame): SplitFrame;
  /** @throws ProtocolError `bad_frame` (not a frame: the connection ends), `unknown_type` or `bad_parameter` (with `ref`: the call is refused) */
  decodeClient(bytes: Uint8Array | string): ClientFrame;
}
