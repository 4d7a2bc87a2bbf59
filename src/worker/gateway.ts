// The sessions of one worker: greets connections, attaches sessions to them, hands frames to the verbs.
import { createHash, randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import { connectionLogger } from '../log.js';
import type { Metrics } from '../metrics.js';
import { CODES, type CloseCode, codeOfClose } from '../protocol/codes.js';
import { GatewayError, ProtocolError } from '../protocol/errors.js';
import { type ClientFrame, type HelloFrame, PROTOCOL_VERSION } from '../protocol/frame.js';
import type { SessionId, WorkerId } from '../protocol/ids.js';
import type { Authenticator, Identity } from '../session/authenticator.js';
import type { Connection, ConnectionHandlers } from '../session/connection.js';
import { mayJoin } from '../session/permissions.js';
import type { SessionRegistry } from '../session/registry.js';
import { Session } from '../session/session.js';
import type { Store, StoreEvent } from '../session/store/store.js';
import type { Throttle } from '../session/throttle.js';
import type { TimerWheel } from '../session/wheel.js';
import type { Router } from '../relay/router.js';
import type { Verbs } from './verbs.js';

/** Frames that may come between hello and welcome: a client that does not wait is still served in order. */
const EARLY_FRAMES_LIMIT = 64;
/** The same in bytes: nobody has shown a token yet. */
const EARLY_LIMIT_BYTES = 512 * 1024;
/** When a client that was told to come back should try at the earliest, ms. */
const RETRY_AFTER_MS = 1000;

export interface GatewayOptions {
  config: Config;
  worker: WorkerId;
  version: string;
  store: Store;
  registry: SessionRegistry;
  router: Router;
  verbs: Verbs;
  wheel: TimerWheel;
  throttle: Throttle;
  authenticator: Authenticator;
  metrics: Metrics;
  log: Logger;
}

/** One connection's way: nobody yet, being attached, a session, gone. */
type Phase = 'greeting' | 'attaching' | 'open' | 'closed';

export class Gateway {
  private draining = false;

  constructor(private readonly options: GatewayOptions) {}

  /** Takes a new connection; `token` is the one that came with the handshake. */
  accept(connection: Connection, token: string | null): ConnectionHandlers {
    return new Visit(connection, token, this.options, () => this.draining).handlers;
  }

  /** The store says that a newer connection or session took over. */
  fence(event: Extract<StoreEvent, { type: 'fence' }>): void {
    const session = this.options.registry.get(event.session);
    if (session === undefined || session.ref.generation > event.generation) return;
    this.end(session, event.code);
  }

  /** Ends every connection in batches, so that a drain is no storm; resolves when all are gone or time is up. */
  async drain(timeoutMs: number): Promise<void> {
    this.draining = true;
    const sessions = [...this.options.registry.all()];
    const batches = 20;
    const pauseMs = Math.min(100, timeoutMs / batches / 2);
    const size = Math.ceil(sessions.length / batches);
    for (let at = 0; at < sessions.length; at += size) {
      for (const session of sessions.slice(at, at + size)) this.end(session, 'restart');
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    const deadline = performance.now() + timeoutMs;
    while (this.options.registry.size > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (const session of this.options.registry.all()) session.connection.terminate();
  }

  private end(session: Session, code: CloseCode): void {
    const comeBack = CODES[code].then === 'resume';
    session.close(code, CODES[code].close, comeBack ? Math.round(Math.random() * RETRY_AFTER_MS) : 0);
  }
}

/** The life of one connection. */
class Visit {
  private phase: Phase = 'greeting';
  private session: Session | null = null;
  private early: ClientFrame[] = [];
  private earlyBytes = 0;
  private readonly helloDeadline;
  readonly handlers: ConnectionHandlers = {
    frame: (bytes) => {
      this.receive(bytes);
    },
    closed: (number) => {
      this.leave(number);
    },
  };

  constructor(
    private readonly connection: Connection,
    private readonly token: string | null,
    private readonly options: GatewayOptions,
    private readonly isDraining: () => boolean,
  ) {
    options.metrics.connections.inc();
    // Absolute: neither pings nor half a frame move it.
    this.helloDeadline = options.wheel.in(options.config.sessions.helloTimeoutMs, () => {
      if (this.phase !== 'open') this.close('auth_timeout');
    });
  }

  private receive(bytes: Uint8Array | string): void {
    const { metrics, throttle } = this.options;
    metrics.bytesIn.inc(bytes.length);
    let frame: ClientFrame;
    try {
      frame = this.connection.codec.decodeClient(bytes);
    } catch (error) {
      this.refuseFrame(error);
      return;
    }
    metrics.framesIn.inc({ type: frame.type });
    const { session } = this;
    if (this.phase === 'open' && session !== null) {
      throttle.take(session, bytes.length);
      session.lastHeardAt = performance.now();
      this.options.verbs.handle(session, frame);
    } else if (this.phase === 'greeting' && frame.type === 'hello') {
      this.greet(frame);
    } else if (this.phase === 'attaching' && frame.type !== 'hello' && this.fitsEarly(bytes.length)) {
      this.early.push(frame);
    } else {
      this.close('bad_frame');
    }
  }

  private fitsEarly(bytes: number): boolean {
    this.earlyBytes += bytes;
    return this.early.length < EARLY_FRAMES_LIMIT && this.earlyBytes <= EARLY_LIMIT_BYTES;
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
    this.attach(hello).catch((error: unknown) => {
      if (error instanceof ProtocolError && error.code === 'invalid_token') {
        this.close('invalid_token');
      } else if (error instanceof GatewayError) {
        this.options.metrics.storeErrors.inc({ kind: error.code });
        this.close('overloaded');
      } else {
        this.options.log.error({ err: error }, 'attach failed');
        this.close('internal_error');
      }
    });
  }

  private async attach(hello: HelloFrame): Promise<void> {
    const { options } = this;
    const { config, store, worker } = options;
    if (hello.version !== PROTOCOL_VERSION) {
      this.close('unsupported_version');
      return;
    }
    if (this.isDraining()) {
      this.close('restart');
      return;
    }
    const token = hello.token ?? this.token;
    if (token === null) throw new ProtocolError('invalid_token');
    const identity = await options.authenticator.verify(token);
    const resumeKey = randomBytes(32).toString('base64url');
    const result = await store.attach({
      client: identity.client,
      worker,
      resume:
        hello.resume === null ? null : { session: hello.resume.session, keyHash: hashOf(hello.resume.key) },
      fresh: randomBytes(16).toString('base64url') as SessionId,
      keyHash: hashOf(resumeKey),
      duplicates: config.sessions.duplicateClient,
      sessionsLimit: config.sessions.sessionsPerClientLimit,
    });
    if (result.status === 'refused') {
      this.close(result.code);
      return;
    }
    const ref = { client: identity.client, session: result.session, generation: result.generation };
    if (this.hasLeft()) {
      // The client went away while the store worked: the session waits for its next connection.
      await store.detach(ref);
      return;
    }
    const { client, session: id } = ref;
    const log = connectionLogger(options.log, { client, session: id, address: this.connection.address });
    const session = new Session(ref, identity, this.connection, config.limits.outboxLimitBytes, log);
    for (const room of result.rooms) {
      // Permissions are those of the token of now: a room that it no longer permits is left.
      if (mayJoin(identity.permissions, room)) session.rooms.add(room);
      else void store.leave(ref, room).catch(() => undefined);
    }
    this.open(session, resumeKey, result.resumed, identity, hello.agent);
  }

  private open(
    session: Session,
    resumeKey: string,
    resumed: boolean,
    identity: Identity,
    agent: string | null,
  ): void {
    const { config, metrics, registry, verbs, version } = this.options;
    this.phase = 'open';
    this.session = session;
    this.helloDeadline.cancel();
    session.lastHeardAt = performance.now();
    const older = registry.get(session.ref.session);
    registry.add(session);
    if (older !== undefined) older.close('superseded', CODES.superseded.close, 0);
    metrics.sessions.set(registry.size);
    metrics.attachments.inc({ kind: resumed ? 'resumed' : 'fresh' });
    verbs.watchOver(session);
    session.send({
      type: 'welcome',
      info: {
        server: version,
        client: session.ref.client,
        session: session.ref.session,
        resumeKey,
        resumed,
        rooms: [...session.rooms],
        resumeWindowMs: config.sessions.resumeWindowMs,
        pingIntervalMs: config.sessions.pingIntervalMs,
        tokenExpiresInMs: Math.max(0, identity.expiresAtMs - Date.now()),
        frameLimitBytes: config.limits.frameLimitBytes,
        iceServers: config.iceServers,
      },
    });
    session.log.debug({ agent, resumed }, 'session attached');
    const { early } = this;
    this.early = [];
    for (const frame of early) verbs.handle(session, frame);
  }

  private leave(number: number): void {
    const { metrics, registry, router, store, log } = this.options;
    const { session } = this;
    this.phase = 'closed';
    this.helloDeadline.cancel();
    metrics.connections.dec();
    // A client may close with any number from 3000 on: each would be a time series of its own.
    metrics.closes.inc({ code: codeOfClose(number) === null ? 'other' : number });
    if (session === null) return;
    session.stopDeadlines();
    router.drop(session);
    if (!registry.remove(session)) return;
    metrics.sessions.set(registry.size);
    session.log.debug({ code: number }, 'connection closed');
    // 1000 is the client's own word that the session is over; everything else may come back.
    const done = session.ended || number === 1000 ? store.end(session.ref) : store.detach(session.ref);
    done.catch((error: unknown) => {
      metrics.storeErrors.inc({ kind: 'detach' });
      log.warn({ err: error }, 'the store was not told of a closed connection; its lease ends it');
    });
  }

  private hasLeft(): boolean {
    return this.phase === 'closed';
  }

  private close(code: CloseCode): void {
    const { connection } = this;
    const comeBack = CODES[code].then === 'resume';
    if (this.phase !== 'closed') {
      const retryAfterMs = comeBack ? Math.round(RETRY_AFTER_MS * (1 + Math.random())) : 0;
      connection.send(
        connection.codec.encodeGateway({ type: 'goaway', close: CODES[code].close, retryAfterMs }),
      );
    }
    connection.close(code);
  }
}

function hashOf(resumeKey: string): string {
  return createHash('sha256').update(resumeKey).digest('base64url');
}
