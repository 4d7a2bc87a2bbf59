// What a plugin is: code of an operator that runs in every worker, sees its sessions, and may decide about them.
import type { Client } from '../client/index.js';
import type { CloseCode, Code } from '../protocol/codes.js';
import type { ClientFrame, GatewayFrame, Payload } from '../protocol/frame.js';
import type { ServerVoice } from '../relay/server-voice.js';

/**
 * A plugin's module has this as its default export. Called once in each worker, before it listens; where it throws, or takes more
 * than 10 s, the gateway does not start.
 */
export type PluginFactory = (context: PluginContext, options: unknown) => Plugin | Promise<Plugin>;

/** Every hook is optional: what is not there costs nothing. Of several plugins the first that refuses decides. */
export interface Plugin {
  /**
   * Whether the verdicts of `connect` and `frameIn` count. They are waited for then, for `timeoutMs` at most, and a plugin that
   * throws, hangs or answers rubbish has refused. Without it nobody waits, and whatever goes wrong is counted and logged.
   */
  readonly decides?: boolean;
  /** A client has shown a good token: before its session begins or goes on, and for each new token of one that is connected. */
  connect?(visitor: Visitor): ConnectVerdict | Promise<ConnectVerdict>;
  /** The session was welcomed. */
  opened?(session: PluginSession, how: { resumed: boolean }): void | Promise<void>;
  /** A frame of a session, in order, before it is served; those behind it wait for the verdict. Tokens, hellos and pongs are not shown. */
  frameIn?(session: PluginSession, frame: VisibleFrame): FrameVerdict | Promise<FrameVerdict>;
  /** A frame to a session, after everything else was decided. Messages are dropped where it returns false; it cannot wait. */
  frameOut?(session: PluginSession, frame: OutgoingFrame): boolean | undefined;
  /** The session came into a room; `count` clients are in it now. */
  joined?(session: PluginSession, room: string, count: number): void;
  /** It is not in the room any more; not told at its end. */
  left?(session: PluginSession, room: string): void;
  /** The connection is gone. `over`: the session too; otherwise it may be resumed, here or elsewhere. */
  closed?(session: PluginSession, how: { code: number; over: boolean }): void;
  /** The worker ends: for 3 s at most. */
  close?(): void | Promise<void>;
}

/** Who shows a token. */
export interface Visitor {
  readonly client: string;
  /** `jti` of the token, or null. */
  readonly tokenId: string | null;
  readonly address: string;
  /** What the client calls its software; null where a token is renewed. */
  readonly agent: string | null;
  /** Whether it is the new token of a session that is connected. */
  readonly renewal: boolean;
}

/** Nothing, or why not (a code that can end a connection), or other permissions than the token's, in the words of its `perm`. */
export type ConnectVerdict = undefined | { refuse: CloseCode } | { perm: unknown };

/** Nothing, or why not. */
export type FrameVerdict = undefined | { refuse: Code; text?: string };

/** Frames that plugins see: no tokens. */
export type VisibleFrame = Exclude<ClientFrame, { type: 'hello' | 'token' | 'pong' }>;

/** A frame on its way to a session. */
export interface OutgoingFrame {
  /** Decoded when first asked for; the payload stays bytes. */
  readonly frame: GatewayFrame;
}

/** A session that this worker holds. */
export interface PluginSession {
  readonly client: string;
  readonly id: string;
  readonly address: string;
  readonly rooms: ReadonlySet<string>;
  /** The plugins' own marks; gone with the connection. */
  readonly tags: Set<string>;
  /** A kept message to this session. */
  send(event: string, data?: unknown): Promise<void>;
  /** Has it join a room that its token permits. */
  join(room: string): Promise<void>;
  /** Has it leave a room. */
  leave(room: string): Promise<void>;
  /** From one room into another. */
  move(from: string, to: string): Promise<void>;
  /** Ends the connection; with a code that says `stop` the session too. */
  close(code: CloseCode): void;
}

/** The sessions of one worker. */
export interface PluginSessions {
  readonly size: number;
  /** All of them. */
  all(): Iterable<PluginSession>;
  /** The one with this id. */
  get(id: string): PluginSession | undefined;
  /** Those of a client. */
  ofClient(client: string): PluginSession[];
  /** Those in a room. */
  inRoom(room: string): PluginSession[];
  /** Those that a plugin has given a tag: looks at all. */
  tagged(tag: string): PluginSession[];
}

/** The worker's log, with the plugin's name in each line. */
export interface PluginLog {
  /** What happens. */
  info(data: object, text: string): void;
  /** What should not happen. */
  warn(data: object, text: string): void;
  /** What somebody must look at. */
  error(data: object, text: string): void;
}

/** What a plugin has of the worker that it runs in. */
export interface PluginContext {
  readonly node: string;
  readonly worker: string;
  readonly log: PluginLog;
  /** The sessions of this worker; those of others are reached with `gateway`. */
  readonly sessions: PluginSessions;
  /** The verbs of servers: to any client, room or session, wherever it is. Receivers see the plugin's name as the sender. */
  readonly gateway: ServerVoice;
  /** A session of the plugin's own that lives in this worker, without a token: the SDK's client, with all its verbs. Hooks do not see it. */
  openSession(client: string, options?: { perm?: unknown }): Promise<Client>;
  /** The application's data in a frame. @throws ProtocolError where it cannot be decoded */
  decode(payload: Payload): unknown;
}
