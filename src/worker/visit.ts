// One connection's life: greeted, attached to a session, served, gone.
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import type { Metrics } from '../metrics.js';
import { CODES, type CloseCode, codeOfClose } from '../protocol/codes.js';
import { GatewayError, ProtocolError } from '../protocol/errors.js';
import { type ClientFrame, type HelloFrame, PROTOCOL_VERSION } from '../protocol/frame.js';
import type { RoomName, SessionId, WorkerId } from '../protocol/ids.js';
import type { Feed } from '../relay/feed.js';
import type { Feeds } from '../relay/feeds.js';
import type { Pairs } from '../relay/pairs.js';
import type { Services } from '../relay/services.js';
import type { Streams } from '../relay/streams.js';
import type { PluginHost } from '../plugin/plugin-host.js';
import type { Topics } from '../relay/topics.js';
import type { Authenticator, Identity } from '../session/authenticator.js';
import type { Connection, ConnectionHandlers } from '../session/connection.js';
import type { Endings } from '../session/endings.js';
import { mayJoin } from '../session/permissions.js';
import type { SessionRegistry } from '../session/registry.js';
import type { RandomPool } from '../session/random-pool.js';
import { PLUGIN_ADDRESS } from '../plugin/memory-socket.js';
import { RETRY_SPREAD_MS, Session } from '../session/session.js';
import { hashOfKey } from '../session/resume-key.js';
import { PARTITIONS } from '../session/store/partition.js';
import type { AttachRequest, AttachResult, Position, Store } from '../session/store/store.js';
import type { TurnBroker } from '../session/turn-broker.js';
import type { TimerWheel } from '../session/wheel.js';
import type { Throttle } from '../session/throttle.js';
import { Arrival } from './arrival.js';
import { ChannelEntry, type InboxStart } from './channel-entry.js';
import type { Newcomers } from './newcomers.js';
import type { Verbs } from './verbs.js';
import type { WaitingLine } from './waiting-line.js';

/** Sessions of one plugin's client over all nodes: those of earlier workers wait for their resume window. */
const PLUGIN_SESSIONS_LIMIT = 10_000;
/** Looks of a page of `available` into the store that count as one message. */
const LOOKS_PER_MESSAGE = 32;

export interface VisitOptions {
  config: Config;
  worker: WorkerId;
  version: string;
  store: Store;
  endings: Endings;
  registry: SessionRegistry;
  feeds: Feeds;
  streams: Streams;
  services: Services;
  pairs: Pairs;
  topics: Topics;
  verbs: Verbs;
  /** The verbs, behind the plugins where there are some. */
  served: Pick<Verbs, 'handle'>;
  /** Null where there are none. */
  plugins: Pick<PluginHost, 'admit' | 'opened' | 'closed' | 'tap'> | null;
  wheel: TimerWheel;
  throttle: Throttle;
  authenticator: Authenticator;
  random: RandomPool;
  turn: TurnBroker;
  metrics: Metrics;
  log: Logger;
  /** A connection that was accepted is gone. */
  left: (connection: Connection) => void;
}

/** What a visit needs of the gateway that it is part of. */
interface Host {
  readonly draining: boolean;
  /** Sessions that go on are told that the store may have lost messages. */
  readonly isInDoubt: boolean;
  readonly hellos: WaitingLine;
  readonly newcomers: Newcomers;
  attach(
    request: AttachRequest,
    known: ReadonlyMap<RoomName | null, Position>,
  ): Promise<{
    result: AttachResult;
    positions: ReadonlyMap<RoomName, Position> | null;
    fencedBy: CloseCode | null;
  }>;
}

const DONE = Promise.resolve();

/** Nobody yet, being attached (or waiting for it), a session, gone. */
type Phase = 'greeting' | 'attaching' | 'open' | 'closing' | 'closed';

/** A session that the store has attached, on its way to be served. */
interface Arrived {
  /** What the store says of it: not copied, for a copy of an object costs as much as all the rest of the welcome. */
  attached: Extract<AttachResult, { status: 'attached' }>;
  resumeKey: string;
  agent: string | null;
  feed: Feed;
  /** Up to where it has read its channels; of its inbox under null. */
  cursors: ReadonlyMap<RoomName | null, Position>;
}

export class Visit implements ConnectionHandlers {
  private phase: Phase = 'greeting';
  private session: Session | null = null;
  /** Null from the welcome on: idle connections are many. */
  private arrival: Arrival | null;

  constructor(
    private readonly connection: Connection,
    credential: string | Identity | null,
    private readonly options: VisitOptions,
    private readonly host: Host,
  ) {
    options.metrics.connections.add(1);
    // Absolute: neither pings nor half a frame move it.
    const deadline = options.wheel.in(options.config.sessions.helloTimeoutMs, () => {
      this.close('auth_timeout');
    });
    this.arrival = new Arrival(credential, deadline);
    host.newcomers.enter(this);
  }

  frame(bytes: Uint8Array | string): void {
    const { metrics } = this.options;
    metrics.bytesIn.add('', bytes.length);
    if (this.phase === 'closing') return;
    let frame: ClientFrame;
    try {
      frame = this.connection.codec.decodeClient(bytes);
    } catch (error) {
      this.refuseFrame(error);
      return;
    }
    metrics.framesIn.add(frame.type);
    const { session } = this;
    if (this.phase === 'open' && session !== null) {
      session.lastHeardAt = performance.now();
      this.serve(session, frame, bytes.length);
    } else if (this.phase === 'greeting' && frame.type === 'hello') {
      this.greet(frame);
    } else if (this.phase === 'attaching' && frame.type !== 'hello') {
      if (this.arrival?.keep(frame, bytes.length) === false) this.close('bad_frame');
    } else {
      this.close('bad_frame');
    }
  }

  /** @returns false when the frame was one too many: the connection is closed */
  private serve(session: Session, frame: ClientFrame, bytes: number): boolean {
    const affordable = this.options.throttle.take(session, bytes, costOf(frame), session.lastHeardAt);
    if (affordable) this.options.served.handle(session, frame);
    return affordable;
  }

  /** Undecodable bytes end the connection; a decodable frame with a wrong field only its call. */
  private refuseFrame(error: unknown): void {
    if (!(error instanceof ProtocolError)) throw error;
    if (error.code === 'bad_frame' || this.session === null) {
      this.close('bad_frame');
    } else {
      this.session.lastHeardAt = performance.now();
      this.options.throttle.take(this.session, 0);
      this.options.verbs.refuse(this.session, error.ref, error.code, error.message);
    }
  }

  private greet(hello: HelloFrame): void {
    this.phase = 'attaching';
    this.host.newcomers.leave(this);
    this.host.hellos.enter({
      begin: () =>
        this.isLeaving
          ? DONE
          : this.attach(hello).catch((error: unknown) => {
              this.refuse(error);
            }),
      refuse: () => {
        this.close('overloaded');
      },
    });
  }

  private refuse(error: unknown): void {
    if (error instanceof ProtocolError && error.code === 'invalid_token') {
      this.close('invalid_token');
    } else if (error instanceof GatewayError) {
      this.options.metrics.storeErrors.inc({ kind: error.code });
      this.close('overloaded');
    } else {
      this.options.log.error({ err: error }, 'attach failed');
      this.close('internal_error');
    }
  }

  private async attach(hello: HelloFrame): Promise<void> {
    const { options } = this;
    if (hello.version !== PROTOCOL_VERSION) {
      this.close('unsupported_version');
      return;
    }
    if (this.host.draining) {
      this.close('restart');
      return;
    }
    const credential = hello.token ?? this.arrival?.credential ?? null;
    if (credential === null) throw new ProtocolError('invalid_token');
    const verified =
      typeof credential === 'string' ? await options.authenticator.verify(credential) : credential;
    const identity = await this.admit(verified, hello);
    if (typeof identity === 'string') {
      this.close(identity);
      return;
    }
    const feed = options.feeds.hold({ kind: 'inbox', client: identity.client });
    try {
      await this.attachAs(identity, hello, feed);
    } finally {
      options.feeds.release(feed);
    }
  }

  /** Who it is for the plugins too; or the code with which it is sent away. */
  private admit(identity: Identity, { agent }: HelloFrame): Identity | Promise<Identity | CloseCode> {
    const { address } = this.connection;
    return this.options.plugins?.admit(identity, { address, agent, renewal: false }) ?? identity;
  }

  private async attachAs(identity: Identity, hello: HelloFrame, feed: Feed): Promise<void> {
    const { config, store, worker, random, log } = this.options;
    const { client } = identity;
    const { resume } = hello;
    const isPlugins = this.connection.address === PLUGIN_ADDRESS;
    const resumeKey = random.text(32);
    const told = new Map(resume?.cursors);
    const request: AttachRequest = {
      client,
      worker,
      resume: resume === null ? null : { session: resume.session, keyHash: hashOfKey(resume.key) },
      fresh: random.text(16) as SessionId,
      keyHash: hashOfKey(resumeKey),
      // A plugin has one session in each worker of all nodes, under one client id.
      duplicates: isPlugins ? 'allow' : config.sessions.duplicateClient,
      sessionsLimit: isPlugins ? PLUGIN_SESSIONS_LIMIT : config.sessions.sessionsPerClientLimit,
    };
    const { result, positions, fencedBy } = await this.host.attach(request, told);
    if (result.status === 'refused') {
      this.close(result.code);
      return;
    }
    const ref = { client, session: result.session, generation: result.generation };
    if (fencedBy !== null) {
      this.close(fencedBy);
      return;
    }
    if (this.isLeaving || this.host.draining) {
      // The client went away, or the worker is about to, while the store worked: the session waits.
      void this.options.endings.tell(ref, false);
      this.close('restart');
      return;
    }
    if (positions === null) {
      // Nobody can say where its rooms stand; a connection that works can.
      void this.options.endings.tell(ref, false);
      this.close('overloaded');
      return;
    }
    const session = new Session(ref, identity, this.connection, config.limits.outboxLimitBytes, log);
    for (const room of result.rooms) {
      // Permissions are those of the token of now: a room that it no longer permits is left.
      if (mayJoin(identity.permissions, room)) session.enter(room);
      else void store.leave(ref, room).catch(() => undefined);
    }
    const cursors = result.resumed ? new Map([...told, ...positions]) : positions;
    this.open(session, { attached: result, resumeKey, agent: hello.agent, feed, cursors });
  }

  private open(session: Session, arrived: Arrived): void {
    const { config, metrics, registry, turn, verbs, version } = this.options;
    const { resumeKey, feed, cursors } = arrived;
    const { resumed, kept } = arrived.attached;
    this.phase = 'open';
    this.session = session;
    session.lastHeardAt = session.welcomedAt = performance.now();
    const older = registry.get(session.ref.session);
    // What the store kept for the client, or what the session missed, comes after the welcome.
    const entry = new ChannelEntry(session, feed, this.options.feeds);
    registry.add(session);
    if (older !== undefined) older.close('superseded', CODES.superseded.close, 0);
    metrics.sessions.set(registry.size);
    metrics.attachments.add(resumed ? 'resumed' : 'fresh');
    verbs.watchOver(session);
    const inbox = inboxStart(arrived);
    session.send({
      type: 'welcome',
      info: {
        server: version,
        client: session.ref.client,
        session: session.ref.session,
        resumeKey,
        resumed,
        generation: session.ref.generation,
        rooms: [...session.rooms],
        inbox: inbox.after,
        kept: kept?.last ?? null,
        resumeWindowMs: config.sessions.resumeWindowMs,
        pingIntervalMs: config.sessions.pingIntervalMs,
        tokenExpiresInMs: Math.max(0, session.identity.expiresAtMs - Date.now()),
        frameLimitBytes: config.limits.frameLimitBytes,
        iceServers: turn.iceServers(session.identity),
      },
    });
    this.options.plugins?.opened(session, resumed);
    if (resumed && this.host.isInDoubt) session.send({ type: 'doubt' });
    if (session.logs('debug')) session.log.debug({ agent: arrived.agent, resumed }, 'session attached');
    entry.enter(inbox, cursors);
    for (const room of session.rooms) this.options.topics.follow(session, room);
    const early = this.arrival?.early ?? [];
    this.endArrival();
    for (const { frame, bytes } of early) if (!this.serve(session, frame, bytes)) return;
  }

  closed(number: number): void {
    const { metrics, registry, feeds, left } = this.options;
    const { session } = this;
    this.phase = 'closed';
    this.host.newcomers.leave(this);
    this.endArrival();
    left(this.connection);
    metrics.connections.add(-1);
    // A client may close with any number from 3000 on: each would be a time series of its own.
    metrics.closes.add(codeOfClose(number) === null ? 'other' : String(number));
    if (session === null) return;
    session.stopDeadlines();
    const isNewest = registry.remove(session);
    feeds.leaveAll(session);
    this.options.streams.leave(session);
    this.options.plugins?.closed(session, number, isNewest && (session.ended || number === 1000));
    if (!isNewest) return;
    this.options.services.leave(session);
    this.options.pairs.leave(session, session.ended || number === 1000);
    metrics.sessions.set(registry.size);
    if (session.logs('debug')) session.log.debug({ code: number }, 'connection closed');
    // 1000 is the client's own word that the session is over; everything else may come back.
    if (!session.isEndTold) void this.options.endings.tell(session.ref, session.ended || number === 1000);
  }

  private endArrival(): void {
    this.arrival?.end();
    this.arrival = null;
  }

  private get isLeaving(): boolean {
    return this.phase === 'closing' || this.phase === 'closed';
  }

  private close(code: CloseCode): void {
    const { connection } = this;
    const comeBack = CODES[code].then === 'resume';
    if (this.phase === 'closing') return;
    if (this.phase !== 'closed') {
      this.phase = 'closing';
      const retryAfterMs = comeBack ? Math.round(RETRY_SPREAD_MS * (1 + Math.random())) : 0;
      connection.send(
        connection.codec.encodeGateway({ type: 'goaway', close: CODES[code].close, retryAfterMs }),
      );
    }
    connection.close(code);
  }
}

/** Where it says that it is; otherwise where the log stands, or before what was kept while nobody was there. */
function inboxStart({ attached: { resumed, kept, inbox }, cursors }: Arrived): InboxStart {
  const isFirst = !resumed && kept !== null;
  // Null is a position too: before the first entry.
  const cursor = cursors.get(null);
  const start = isFirst ? kept.after : inbox;
  return { after: cursor === undefined ? start : cursor, now: inbox, isFirst };
}

/** What a frame counts against the rates: each target of a list is a message of its own. */
function costOf(frame: ClientFrame): number {
  // A look into the store for each partition that has clients of the page.
  if (frame.type === 'available') return Math.ceil(Math.min(frame.limit, PARTITIONS) / LOOKS_PER_MESSAGE);
  return frame.type === 'send' && Array.isArray(frame.to) ? frame.to.length : 1;
}
