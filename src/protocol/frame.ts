// Every frame of protocol version 1, in two families that cannot be mixed: client → gateway and gateway → client.
import type { Code } from './codes.js';
import type { ClientId, EventName, PairId, RoomName, ServiceName, SessionId, StreamId } from './ids.js';
import type { PeerReport } from './peer-report.js';

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
} as const;
export type FrameType = keyof typeof TYPES;

/** What the application sent, still encoded: passed on as the same bytes. `data` of the none codec is empty. */
export interface Payload {
  encoding: number;
  data: Uint8Array;
}

/** `0`: volatile, at most once, never stored. `null`: kept, without a number. `1…`: kept, the sender's number in that channel. */
export type Sequence = number | null;

/** Options of a message; unknown names are ignored. */
export interface MessageOptions {
  /** Opaque id that follows the message, for tracing across clients; 1–64 characters of a name. */
  trace?: string;
  /** Clients of a room that do not get the message. */
  except?: ClientId[];
  /** Whether the publisher's own session gets it too; default true. */
  self?: boolean;
  /** Numbers below this one will not come any more in this channel: their calls were refused. */
  first?: number;
  /** The sender wants a `delivered` frame once a session of the target has handed the message to a handler. */
  delivered?: true;
  /** The message is worth nothing after this time, ms: who has not got it by then does not get it. */
  ttlMs?: number;
  /** Keep the message for a client that has no session. */
  offline?: 'keep';
  /** Of a call: where its provider goes away it may be executed once more, by another one. */
  idempotent?: true;
  /** To the receiver: the sender's number of the message in this channel; who knows it already has it twice. */
  seq?: number;
}

/** Where in a channel a kept message stands: `<epoch>:<offset>-<tag>`; null for volatile ones, and before the first one. */
export type EntryId = string;

/** Up to where a session has read a channel: a room, or with null the client's inbox. */
export type Cursor = [room: RoomName | null, id: EntryId | null];

/** Where a joining session begins to read a room: null at its end, a number that many messages before it, an id after that one. */
export type Since = null | number | EntryId;

// ── client → gateway ────────────────────────────────────────────────────────────────────────────

/** First frame of every connection. */
export interface HelloFrame {
  type: 'hello';
  version: number;
  /** Access token, unless the handshake carried it. */
  token: string | null;
  /** Session to continue, with its latest resume key; messages after the cursors are sent again. */
  resume: { session: SessionId; key: string; cursors: Cursor[] } | null;
  /** Name and version of the client's library, for logs. */
  agent: string | null;
}
export interface PongFrame {
  type: 'pong';
}
export interface TokenFrame {
  type: 'token';
  ref: number;
  token: string;
}
/** Ends the session for good; the gateway closes with 1000. */
export interface ByeFrame {
  type: 'bye';
}
export interface SendFrame {
  type: 'send';
  ref: number;
  seq: Sequence;
  options: MessageOptions;
  /** `bob`, `bob#<session>`, or a list of these. */
  to: string | string[];
  event: EventName;
  payload: Payload;
}
export interface BroadcastFrame {
  type: 'broadcast';
  ref: number;
  options: MessageOptions;
  event: EventName;
  payload: Payload;
}
export interface RequestFrame {
  type: 'request';
  ref: number;
  timeoutMs: number;
  options: MessageOptions;
  to: string;
  event: EventName;
  payload: Payload;
}
/** Answer to a `requested` frame, with its handle. */
export interface ReplyFrame {
  type: 'reply';
  handle: string;
  payload: Payload;
}
export interface RejectFrame {
  type: 'reject';
  handle: string;
  code: Code;
  text: string;
}
/** A message of `to`, with this number in its sender's count, was handed to a handler. Only for messages with `delivered`. */
export interface ReceiptFrame {
  type: 'receipt';
  /** `alice#<session>`: who sent the message. */
  to: string;
  seq: number;
}
/** Asks the sessions of `to` whether they have handed this session's message to a handler; the answer is `delivered`. */
export interface ConfirmFrame {
  type: 'confirm';
  to: string;
  seq: number;
}
/** Messages that were kept while the client had no session were handed over, up to this one: they need not be kept any more. */
export interface AckFrame {
  type: 'ack';
  id: EntryId;
}
export interface JoinFrame {
  type: 'join';
  ref: number;
  room: RoomName;
  since: Since;
}
export interface LeaveFrame {
  type: 'leave';
  ref: number;
  room: RoomName;
}
export interface LeaveAllFrame {
  type: 'leaveAll';
  ref: number;
}
export interface PublishFrame {
  type: 'publish';
  ref: number;
  seq: Sequence;
  options: MessageOptions;
  room: RoomName;
  event: EventName;
  payload: Payload;
}
export interface MembersFrame {
  type: 'members';
  ref: number;
  room: RoomName;
  cursor: string | null;
  limit: number;
}
export interface CountFrame {
  type: 'count';
  ref: number;
  room: RoomName;
}
export interface ClientsFrame {
  type: 'clients';
  ref: number;
  prefix: string;
  cursor: string | null;
  limit: number;
}
export interface OnlineFrame {
  type: 'online';
  ref: number;
  client: ClientId;
}
/** Start or stop presence events of a room that the session is in. */
export interface WatchFrame {
  type: 'watch';
  ref: number;
  room: RoomName;
  on: boolean;
}

/** What a chunk is: data, the end of what its side writes, or the acceptor's answer, which ends its side too. */
export type Part = (typeof PARTS)[keyof typeof PARTS];
export const PARTS = { data: 0, end: 1, answer: 2 } as const;

/** What the other side should do: nothing, tell where it stands, or send again all after `upTo`. */
export type Ask = (typeof ASKS)[keyof typeof ASKS];
export const ASKS = { nothing: 0, tell: 1, again: 2 } as const;

/**
 * Offers a stream to a session of a client (`to`), to those in a room, or to everybody whom this client may reach. Repeated
 * where the acceptance may have got lost: whoever knows the stream answers with where it stands.
 */
export interface OpenStreamFrame {
  type: 'openStream';
  stream: StreamId;
  to: string | null;
  room: RoomName | null;
  name: EventName;
  /** Of several readers: go on without those that are slow, rather than wait for them. */
  drop: boolean;
  payload: Payload;
}
/** This session is an end of the stream: it accepts it, or goes on with it on a new connection. */
export interface AttachStreamFrame {
  type: 'attachStream';
  stream: StreamId;
  /** The other end, `bob#<session>`; null where the opener of a stream to several goes on with it. */
  to: string | null;
  room: RoomName | null;
  /** Whether this session opened it. */
  opened: boolean;
  upTo: number;
  limit: number;
  drop: boolean;
}
export interface ChunkFrame {
  type: 'chunk';
  stream: StreamId;
  /** Where it stands in what its side writes: the sum of all chunks before it, each its payload and 64 bytes. */
  offset: number;
  part: Part;
  payload: Payload;
}
/** This side has everything up to `upTo`, and takes what comes before `limit`. */
export interface CreditFrame {
  type: 'credit';
  stream: StreamId;
  upTo: number;
  limit: number;
  ask: Ask;
}
/** The stream is over: `normal` where both sides are done. */
export interface CutFrame {
  type: 'cut';
  stream: StreamId;
  /** Who opened it, where this session refuses it; null where it is an end of it. */
  to: string | null;
  code: Code;
  text: string;
}

/** How a WebRTC connection of this session does; not answered. */
export interface PeerReportFrame {
  type: 'peerReport';
  digest: PeerReport;
}
/** Asks one provider of a service, the least busy one. The answer is `response`, or `error`. */
export interface ServiceCallFrame {
  type: 'call';
  ref: number;
  timeoutMs: number;
  options: MessageOptions;
  service: ServiceName;
  payload: Payload;
}

/** Asks a client, or a session of it, into a pair; nobody else can have either of the two meanwhile. The answer is `response`, or `error`. */
export interface PairFrame {
  type: 'pair';
  ref: number;
  timeoutMs: number;
  to: string;
  /** For the other side, to decide. */
  payload: Payload;
}
/** This session is an end of the pair from now on, or again on a new connection. */
export interface HoldPairFrame {
  type: 'holdPair';
  ref: number;
  pair: PairId;
  /** The other end, `bob#<session>`. */
  to: string;
}
export interface EndPairFrame {
  type: 'endPair';
  ref: number;
  pair: PairId;
  to: string;
}
/** As `clients`, without those that are in a pair. */
export interface AvailableFrame {
  type: 'available';
  ref: number;
  prefix: string;
  cursor: string | null;
  limit: number;
}

export type ClientFrame =
  | HelloFrame
  | PongFrame
  | TokenFrame
  | ByeFrame
  | SendFrame
  | BroadcastFrame
  | RequestFrame
  | ReplyFrame
  | RejectFrame
  | ReceiptFrame
  | ConfirmFrame
  | AckFrame
  | JoinFrame
  | LeaveFrame
  | LeaveAllFrame
  | PublishFrame
  | MembersFrame
  | CountFrame
  | ClientsFrame
  | OnlineFrame
  | WatchFrame
  | OpenStreamFrame
  | AttachStreamFrame
  | ChunkFrame
  | CreditFrame
  | CutFrame
  | ServiceCallFrame
  | PairFrame
  | HoldPairFrame
  | EndPairFrame
  | AvailableFrame
  | PeerReportFrame;

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
} as const satisfies FieldsOf<ClientFrame>;

// ── gateway → client ────────────────────────────────────────────────────────────────────────────

/** What a client learns when its session begins or continues. */
export interface Welcome {
  /** Version of the gateway's software. */
  server: string;
  client: ClientId;
  session: SessionId;
  /** Secret that continues this session on a new connection; changes with each welcome. Keep it in memory only. */
  resumeKey: string;
  /** Whether the session that hello named goes on. */
  resumed: boolean;
  /** Rooms that the session is in. */
  rooms: string[];
  /** Where the inbox stands: messages after this one follow. Null before the first message that it ever had; left out by a gateway of before cursors. */
  inbox?: EntryId | null;
  /** The last message that was kept for this client while it had no session, to be acknowledged by `ack`; null where none was. */
  kept: EntryId | null;
  /** How long the session waits for a new connection, ms. */
  resumeWindowMs: number;
  /** The gateway pings after this much silence, ms; a client that hears nothing for twice as long is cut off. */
  pingIntervalMs: number;
  /** Until the access token expires, ms. */
  tokenExpiresInMs: number;
  frameLimitBytes: number;
  /** `RTCIceServer` values for `RTCPeerConnection`. */
  iceServers: { urls: string | string[]; username?: string; credential?: string }[];
}
export interface WelcomeFrame {
  type: 'welcome';
  info: Welcome;
}
export interface PingFrame {
  type: 'ping';
}
export interface OkFrame {
  type: 'ok';
  ref: number;
  /** What the call returns, by the frame that asked; see `docs/protocol.md`. */
  result: unknown;
}
/** Refusal of a call; `ref` is 0 where the frame had none. */
export interface ErrorFrame {
  type: 'error';
  ref: number;
  code: Code;
  text: string;
  /** With `out_of_order`: the number that comes next in this channel; null with all others. */
  expected: number | null;
}
export interface ExpiringFrame {
  type: 'expiring';
  inMs: number;
}
/** The connection is about to end with this close code; come back, if at all, after the hint. */
export interface GoawayFrame {
  type: 'goaway';
  close: number;
  retryAfterMs: number;
}
export interface MessageFrame {
  type: 'message';
  id: EntryId | null;
  options: MessageOptions;
  from: ClientId;
  session: SessionId;
  event: EventName;
  payload: Payload;
}
export interface RequestedFrame {
  type: 'requested';
  handle: string;
  options: MessageOptions;
  from: ClientId;
  session: SessionId;
  event: EventName;
  payload: Payload;
}
export interface ResponseFrame {
  type: 'response';
  ref: number;
  payload: Payload;
}
/** A session of `by` has handed this session's message to a handler. */
export interface DeliveredFrame {
  type: 'delivered';
  by: ClientId;
  seq: number;
}
/** Has this session handed the message of that number to a handler? If so, it answers with `receipt`. */
export interface AskedFrame {
  type: 'asked';
  from: ClientId;
  session: SessionId;
  seq: number;
}
/**
 * Messages are missing here, between what came before and what comes next. `trimmed`: a cap or a time to live of the log
 * was passed. `lost`: the store lost what it had accepted, or the whole log; what is still there is sent again.
 */
export interface GapFrame {
  type: 'gap';
  /** Null: the inbox. */
  channel: RoomName | null;
  reason: GapReason;
  /** How many are missing; null where nobody knows. */
  missing: number | null;
  /** Where the channel stands now; null where the next message tells. */
  id: EntryId | null;
}
export type GapReason = 'trimmed' | 'lost';
/** The channel stands here now, although this session got no message: what came was not for it. */
export interface PositionFrame {
  type: 'position';
  channel: RoomName | null;
  id: EntryId | null;
}
/** The store may have lost what it accepted last: who still has such messages sends them again under their numbers. */
export interface DoubtFrame {
  type: 'doubt';
}
export interface RoomMessageFrame {
  type: 'roomMessage';
  id: EntryId | null;
  options: MessageOptions;
  room: RoomName;
  from: ClientId;
  session: SessionId;
  event: EventName;
  payload: Payload;
}
/** Who came and went since the last one, coalesced; both lists are empty where the room is too large for detail. */
export interface PresenceFrame {
  type: 'presence';
  room: RoomName;
  joined: string[];
  left: string[];
  count: number;
}
/** TURN credentials that take the place of those in the welcome, before these expire. */
export interface IceServersFrame {
  type: 'iceServers';
  servers: Welcome['iceServers'];
}

/** Somebody opens a stream to this session; `channel` is the room that it is for, if it is. */
export interface OfferFrame {
  type: 'offer';
  stream: StreamId;
  from: ClientId;
  session: SessionId;
  channel: RoomName | null;
  name: EventName;
  payload: Payload;
}
/** The other end accepted, or is there again: it has `upTo`, and wants to know where this one stands. */
export interface AttachedFrame {
  type: 'attached';
  stream: StreamId;
  from: ClientId;
  session: SessionId;
  upTo: number;
  limit: number;
}
/** A chunk of the other side. */
export interface PieceFrame {
  type: 'piece';
  stream: StreamId;
  offset: number;
  part: Part;
  payload: Payload;
}
export interface CreditedFrame {
  type: 'credited';
  stream: StreamId;
  upTo: number;
  limit: number;
  ask: Ask;
}
export interface WasCutFrame {
  type: 'wasCut';
  stream: StreamId;
  code: Code;
  text: string;
}

/** One of several readers of a stream is done (`normal`, with its answer), or will not read on. */
export interface ReaderGoneFrame {
  type: 'readerGone';
  stream: StreamId;
  from: ClientId;
  session: SessionId;
  code: Code;
  text: string;
  payload: Payload;
}

/** Somebody calls a service that this session provides; `event` is its name. The answer is `reply` or `reject`. */
export interface CalledFrame {
  type: 'called';
  /** The same once more, on a later connection, is the same call. */
  handle: string;
  options: MessageOptions;
  from: ClientId;
  session: SessionId;
  event: EventName;
  payload: Payload;
}
/** To who is in a topic of a service: so many providers are there now. */
export interface OwnersFrame {
  type: 'owners';
  service: ServiceName;
  count: number;
}
/** Somebody asks this session into a pair; `event` is the pair's id. The answer is `holdPair` and then `reply`, or `reject`. */
export interface PairingFrame {
  type: 'pairing';
  handle: string;
  options: MessageOptions;
  from: ClientId;
  session: SessionId;
  event: EventName;
  payload: Payload;
}
/** The pair is over: `normal` where the other end ended it. */
export interface UnpairedFrame {
  type: 'unpaired';
  pair: PairId;
  code: Code;
}

export type GatewayFrame =
  | WelcomeFrame
  | PingFrame
  | OkFrame
  | ErrorFrame
  | ExpiringFrame
  | GoawayFrame
  | MessageFrame
  | RequestedFrame
  | ResponseFrame
  | DeliveredFrame
  | AskedFrame
  | GapFrame
  | PositionFrame
  | DoubtFrame
  | RoomMessageFrame
  | PresenceFrame
  | OfferFrame
  | AttachedFrame
  | PieceFrame
  | CreditedFrame
  | WasCutFrame
  | ReaderGoneFrame
  | CalledFrame
  | OwnersFrame
  | PairingFrame
  | UnpairedFrame
  | IceServersFrame;

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

/** One subprotocol's way to write and read frames. Both sides of both families, so that SDK and gateway share it. */
export interface FrameCodec extends ClientSideCodec {
  encodeGateway(frame: GatewayFrame): Uint8Array | string;
  /** @throws ProtocolError `bad_frame` (not a frame: the connection ends), `unknown_type` or `bad_parameter` (with `ref`: the call is refused) */
  decodeClient(bytes: Uint8Array | string): ClientFrame;
}
