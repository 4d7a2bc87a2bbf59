// Keeps one connection up: dials, says hello, resumes the session, waits between tries, and knows when to stop.
import { type Code, codeOfClose, comesBack } from '../protocol/codes.js';
import { GatewayError } from '../protocol/errors.js';
import {
  type ClientFrame,
  type ClientSideCodec,
  type Cursor,
  type GatewayFrame,
  type HelloFrame,
  PROTOCOL_VERSION,
  type Welcome,
} from '../protocol/frame.js';
import { msgpackClientCodec } from '../protocol/msgpack-codec.js';
import { offerSubprotocols } from '../protocol/subprotocol.js';
import { backoff } from './backoff.js';
import { Connection } from './connection.js';
import type { Environment } from './environment.js';
import { findWebSocket } from './find-websocket.js';
import { Lazy } from './lazy.js';
import type { WatchNetwork } from './network-hints.js';
import type { Settings } from './options.js';
import { canMove, type State, type StateInfo } from './state.js';
import { TokenSource } from './token-source.js';
import type { WebSocketClass } from './websocket-class.js';
import { abortedBy } from './withdrawal.js';

/** How a session began: `lost` means that an older one was asked for and is gone. */
export type Beginning = 'new' | 'resumed' | 'lost';

/** What is for the session, and not for its connection. */
export type SessionFrame = Exclude<GatewayFrame, { type: 'welcome' | 'ping' | 'goaway' | 'expiring' }>;

export interface LinkPort {
  /** Where a resumed session goes on reading. */
  readonly cursors: Cursor[];
  onState(state: State, info: StateInfo): void;
  /** `previous` is the session that was asked for. */
  onWelcome(previous: string | null, welcome: Welcome, beginning: Beginning): void;
  onFrame(frame: SessionFrame): void;
  /** A new token for the session that goes on, to be told to the gateway; resolves with its life time, ms, where that is known. */
  onToken(token: string): Promise<number | null>;
  /** A frame of a type that the codec does not know. */
  onUnknown(data: string | Uint8Array): void;
  /** The connection is gone and another one will be tried. */
  onLost(): void;
  /** For good: `closed` by the application, or the code with which the gateway sent the client away; told to who waits for `connect()`. */
  onEnd(error: GatewayError, isTold: boolean): void;
  onError(error: unknown): void;
}

/** A caller of `connect()`, to be told how it went. */
type Waiter = (error?: GatewayError) => void;

/** A connection that lived so long makes the next wait a short one again, ms. */
const STABLE_MS = 10_000;
/** How long `close()` waits for the gateway to close after bye, ms. */
const FAREWELL_MS = 1_000;
/** Until a new token is tried to be had again, ms, while the old one is good. */
const RENEW_AGAIN_MS = 5_000;
/** Most bytes that the socket may hold before calls wait in the queue. */
const SOCKET_BUFFER_LIMIT_BYTES = 1024 * 1024;
/** Belongs to no call, so that the answer is heard and then ignored. */
const PROBE_REF = 0xffff_ffff;
const NOTHING: StateInfo = { code: null, close: null, retryInMs: null };

export class Link {
  readonly #url: string;
  readonly #settings: Settings;
  readonly #port: LinkPort;
  readonly #environment: Environment;
  #state: State = 'idle';
  #welcome: Welcome | null = null;
  #connection: Connection | null = null;
  /** Where to resume; the key is in memory only, because a copied one would kill the original session. */
  #resume: Omit<NonNullable<HelloFrame['resume']>, 'cursors'> | null = null;
  /** Counts the tries: what belongs to an older one is void. */
  #round = 0;
  #failures = 0;
  #connectedAt = 0;
  #goaway: { close: number; retryAfterMs: number } | null = null;
  #cancelDeadline: () => void = () => {};
  #cancelRetry: (() => void) | null = null;
  #cancelRenewal: () => void = () => {};
  /** Null until there is code for it. */
  #watchNetwork: WatchNetwork | null = null;
  #stopHints: () => void = () => {};
  #offline = false;
  #farewell: Promise<void> = Promise.resolve();
  readonly #jsonCodec = new Lazy(() => import('../protocol/json-codec.js'));
  readonly #ways = new Lazy(() => import('./ways.js'));
  readonly #waiters = new Set<Waiter>();
  readonly #tokens: TokenSource;

  constructor(url: string, settings: Settings, port: LinkPort, environment: Environment) {
    this.#url = url;
    this.#settings = settings;
    this.#port = port;
    this.#environment = environment;
    this.#tokens = new TokenSource(settings.token, () => environment.now());
  }

  get state(): State {
    return this.#state;
  }

  /** The newest welcome of the session; null before the first. */
  get welcome(): Welcome | null {
    return this.#welcome;
  }

  get open(): boolean {
    return this.#state === 'connected';
  }

  get congested(): boolean {
    return (this.#connection?.bufferedBytes ?? 0) > SOCKET_BUFFER_LIMIT_BYTES;
  }

  /** @throws ProtocolError where the frame cannot be written; only while `open` */
  write(frame: ClientFrame): void {
    this.#connection?.write(frame);
  }

  /** A frame that is written already. @throws ProtocolError `too_big` */
  put(bytes: string | Uint8Array): void {
    this.#connection?.put(bytes);
  }

  /** See `Client.connect`. */
  connect(signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) return Promise.reject(abortedBy(signal));
    if (this.open) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        waiter(abortedBy(signal));
        if (this.#waiters.size === 0 && this.#state === 'connecting') this.#giveUp('idle', NOTHING);
      };
      const waiter: Waiter = (error) => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener('abort', abort);
        if (error === undefined) resolve();
        else reject(error);
      };
      signal?.addEventListener('abort', abort);
      this.#waiters.add(waiter);
      if (this.#state === 'idle' || this.#state === 'closed') this.#begin();
    });
  }

  /** Ends the session. Resolves when the gateway knows, or a second later. */
  close(): Promise<void> {
    if (this.#state === 'closed') return this.#farewell;
    const connection = this.open ? this.#connection : null;
    if (connection !== null) {
      this.#connection = null;
      this.#farewell = this.#bye(connection);
    }
    this.#stop(new GatewayError('closed'), { ...NOTHING, code: 'closed' });
    return this.#farewell;
  }

  async #bye(connection: Connection): Promise<void> {
    connection.write({ type: 'bye' });
    const cancel = this.#environment.after(FAREWELL_MS, () => connection.drop());
    await connection.ended;
    cancel();
  }

  #begin(): void {
    this.#failures = 0;
    this.#resume = null;
    this.#offline = false;
    this.#move('connecting');
    this.#takeHints();
    this.#port.onState('connecting', NOTHING);
    void this.#dial();
  }

  /** From now on it goes by what the browser says of the network. */
  useHints(watchNetwork: WatchNetwork): void {
    this.#watchNetwork = watchNetwork;
    if (this.#state !== 'idle' && this.#state !== 'closed') this.#takeHints();
  }

  #takeHints(): void {
    if (this.#watchNetwork === null) return;
    this.#stopHints = this.#watchNetwork({
      online: () => {
        this.#offline = false;
        this.#hurry();
      },
      offline: () => (this.#offline = true),
      visible: () => this.#hurry(),
    });
  }

  /** The network may be back: no more waiting, and an old connection has to show that it lives. */
  #hurry(): void {
    if (this.#cancelRetry !== null) void this.#dial();
    else if (this.open && this.#welcome !== null) {
      this.#connection?.probe({ type: 'online', ref: PROBE_REF, client: this.#welcome.client });
    }
  }

  async #dial(): Promise<void> {
    this.#clearTimers();
    const round = ++this.#round;
    this.#cancelDeadline = this.#environment.after(this.#settings.connectTimeoutMs, () => this.#lost(1006));
    try {
      const codec = await this.#loadCodec();
      const token = await this.#tokens.get();
      const WebSocketClass = await findWebSocket(this.#settings, this.#failures, this.#ways);
      if (round !== this.#round) return;
      this.#open(WebSocketClass, token, codec, round);
    } catch (cause) {
      if (round === this.#round) this.#dialFailed(cause);
    }
  }

  /** The default is part of the entry; the other is loaded by those who ask for it. */
  async #loadCodec(): Promise<ClientSideCodec> {
    return this.#settings.codec === 'msgpack'
      ? msgpackClientCodec
      : (await this.#jsonCodec.load()).jsonClientCodec;
  }

  #dialFailed(cause: unknown): void {
    if (cause instanceof GatewayError && cause.code === 'unavailable') {
      // No token, or no codec, for now.
      this.#port.onError(cause);
      this.#lost(1006);
      return;
    }
    // The platform forbids this URL (a page of https and a ws: URL), or there is no WebSocket, or that is no token: no try can help.
    const error =
      cause instanceof GatewayError ? cause : new GatewayError('unavailable', undefined, { cause });
    this.#stop(error, { ...NOTHING, code: error.code });
  }

  #open(WebSocketClass: WebSocketClass, token: string, codec: ClientSideCodec, round: number): void {
    const hello = codec.encodeClient({
      type: 'hello',
      version: PROTOCOL_VERSION,
      token: null,
      resume: this.#resume && { ...this.#resume, cursors: this.#port.cursors },
      agent: this.#settings.agent,
    });
    const current = (): boolean => round === this.#round;
    this.#goaway = null;
    this.#connection = new Connection(
      new WebSocketClass(this.#url, offerSubprotocols(this.#settings.codec, token, hello)),
      codec,
      hello,
      {
        onFrame: (frame) => current() && this.#receive(frame),
        onError: (error) => current() && this.#port.onError(error),
        onUnknown: (data) => current() && this.#port.onUnknown(data),
        onClose: (close) => current() && this.#lost(close),
      },
      this.#environment,
    );
  }

  #receive(frame: GatewayFrame): void {
    if (frame.type === 'welcome') this.#welcomed(frame.info);
    else if (frame.type === 'goaway') this.#goaway = frame;
    else if (frame.type === 'expiring') void this.#renew(this.#environment.now() + frame.inMs);
    else if (this.open && frame.type !== 'ping') this.#port.onFrame(frame);
  }

  #welcomed(welcome: Welcome): void {
    const previous = this.#resume?.session ?? null;
    this.#clearTimers();
    this.#resume = { session: welcome.session, key: welcome.resumeKey };
    this.#welcome = welcome;
    this.#connectedAt = this.#environment.now();
    this.#connection?.watch(2 * welcome.pingIntervalMs, welcome.frameLimitBytes);
    this.#tokens.learn(welcome.tokenExpiresInMs);
    if (!this.#move('connected')) return;
    // Before the event: what waited goes out ahead of what its listeners send.
    this.#port.onWelcome(previous, welcome, previous === null ? 'new' : welcome.resumed ? 'resumed' : 'lost');
    // What it told may have made a listener close the client.
    if (!this.open) return;
    this.#port.onState('connected', NOTHING);
    this.#settleWaiters();
  }

  /** A new token for the connection that goes on. What may pass is tried again until the old one expires. */
  async #renew(until: number): Promise<void> {
    const round = this.#round;
    try {
      const lifetimeMs = await this.#port.onToken(await this.#tokens.renew());
      if (lifetimeMs !== null) this.#tokens.learn(lifetimeMs);
    } catch (error) {
      // The next connection begins with a new token.
      if (round !== this.#round) return;
      this.#port.onError(error);
      const isPassing = error instanceof GatewayError && error.code === 'unavailable';
      if (isPassing && this.#environment.now() + RENEW_AGAIN_MS < until)
        this.#cancelRenewal = this.#environment.after(RENEW_AGAIN_MS, () => void this.#renew(until));
    }
  }

  /** The connection, or a try to get one, ended without the application's doing. */
  #lost(closeSeen: number): void {
    const wasOpen = this.open;
    const { close, code } = this.#reason(closeSeen);
    const isOver = !comesBack(close);
    // Neither a token that is used up nor one that was refused is offered again.
    if ((isOver || code === 'token_expired') && (!this.#tokens.forget() || isOver))
      return this.#stop(new GatewayError(code), { code, close, retryInMs: null });
    if (wasOpen && this.#environment.now() - this.#connectedAt >= STABLE_MS) this.#failures = 0;
    const retryInMs = this.#nextDelay();
    this.#goaway = null;
    this.#abandon();
    this.#cancelRetry = this.#environment.after(retryInMs, () => void this.#dial());
    if (wasOpen) {
      this.#move('reconnecting');
      this.#port.onLost();
    }
    this.#port.onState(this.#state, { code, close, retryInMs });
  }

  /** A goaway announced the close; the network may have lost the close itself. */
  #reason(closeSeen: number): { close: number; code: Code } {
    const close =
      this.#goaway !== null && (closeSeen === 1005 || closeSeen === 1006) ? this.#goaway.close : closeSeen;
    return { close, code: codeOfClose(close) ?? (comesBack(close) ? 'connection_lost' : 'policy') };
  }

  #nextDelay(): number {
    const range = this.#settings.backoff;
    // Trying is useless until the browser says `online`; the long wait is for browsers that do not say it.
    if (this.#offline) return range.maxMs;
    return (this.#goaway?.retryAfterMs ?? 0) + backoff(this.#failures++, this.#environment.random(), range);
  }

  #stop(error: GatewayError, info: StateInfo): void {
    this.#giveUp('closed', info, () => {
      this.#port.onEnd(error, this.#waiters.size > 0);
      this.#settleWaiters(error);
    });
  }

  #giveUp(state: 'idle' | 'closed', info: StateInfo, before: () => void = () => {}): void {
    this.#abandon();
    this.#stopHints();
    this.#resume = null;
    if (!this.#move(state)) return;
    before();
    this.#port.onState(state, info);
  }

  /** Forgets the present try or connection. */
  #abandon(): void {
    this.#round++;
    this.#clearTimers();
    this.#connection?.drop();
    this.#connection = null;
  }

  #clearTimers(): void {
    this.#cancelDeadline();
    this.#cancelRenewal();
    this.#cancelRetry?.();
    this.#cancelRetry = null;
  }

  #settleWaiters(error?: GatewayError): void {
    for (const waiter of [...this.#waiters]) waiter(error);
  }

  #move(state: State): boolean {
    if (!canMove(this.#state, state)) return false;
    this.#state = state;
    return true;
  }
}
