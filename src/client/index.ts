/**
 * The SDK's door: what `signalbox/client` and the browser's `/client.js` export.
 * @module client
 */
export type { Code } from '../protocol/codes.js';
export { GatewayError, ProtocolError } from '../protocol/errors.js';
export type { BackoffRange } from './backoff.js';
export type {
  BroadcastOptions,
  CallOptions,
  DataOptions,
  JoinOptions,
  MessageCallOptions,
  PageOptions,
  PublishOptions,
  RequestOptions,
  SendOptions,
  ServiceCallOptions,
} from './call-options.js';
export { Client, type ClientEvents } from './client.js';
export type {
  Call,
  DataOf,
  DefaultEvents,
  EventOf,
  MessageHandler,
  MessageInfo,
  PresenceChange,
  RequestHandler,
  ResultOf,
  Sender,
} from './events.js';
export type { ClientOptions, SharedTabsOptions, WhenOffline } from './options.js';
export type { Accepted, ClientsPage, Member, MembersPage, SendResult } from './results.js';
export type { Room } from './room.js';
export type { Pair } from './services/pair.js';
export type { PairBeginning, PairHandler, PairOptions } from './services/pairs.js';
export type { OwnerHandler, ProvideOptions, ServiceHandler } from './services/services.js';
export type { BroadcastStream, ReaderResult } from './streams/broadcast.js';
export type { Stream } from './streams/stream.js';
export type { Carried, PathKind } from './streams/paths.js';
export type {
  OnStreamOptions,
  OpenBroadcastOptions,
  OpenOneOptions,
  OpenStreamOptions,
  StreamHandler,
} from './streams/streams.js';
export type { State, StateInfo } from './state.js';
export type { Transport, WebSocketClass, WebSocketLike } from './websocket-class.js';
