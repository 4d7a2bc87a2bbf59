// The frames of a client: client → gateway.
import type { Code } from './codes.js';
import type { Payload, Sequence, MessageOptions, EntryId, Cursor, Since, Part, Ask } from './frame-parts.js';
import type { ClientId, EventName, PairId, RoomName, ServiceName, SessionId, StreamId } from './ids.js';
import type { PeerReport } from './peer-report.js';

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
/**
 * Leaves a standing offer with the session, in the place of the one that was there: who asks for it by the option `standing` of a
 * `send` gets it as a message of this session with that event, once. Without a payload there is none any more.
 */
export interface StandingOfferFrame {
  type: 'standingOffer';
  ref: number;
  /** The session is told it, and nobody else by the gateway, when the offer was handed out. */
  id: string;
  event: EventName;
  payload: Payload;
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
  | PeerReportFrame
  | StandingOfferFrame;
