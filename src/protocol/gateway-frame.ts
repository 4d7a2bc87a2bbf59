// The frames of a gateway: gateway → client.
import type { Code } from './codes.js';
import type { Payload, MessageOptions, EntryId, Part, Ask } from './frame-parts.js';
import type { ClientId, EventName, PairId, RoomName, ServiceName, SessionId, StreamId } from './ids.js';

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
  /** Counts the connections of the session: grows with each welcome, by more than one where a welcome got lost. Left out by older gateways. */
  generation?: number;
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
