// The SDK's front: connects, sends, asks and answers; every verb becomes a call, every frame finds its handler.
import type { GatewayError } from '../protocol/errors.js';
import { type ClientFrame, type GatewayFrame, PROTOCOL_VERSION, type Welcome } from '../protocol/frame.js';
import { isRoomName } from '../protocol/ids.js';
import { REQUEST_TIMEOUT_LIMIT_MS } from '../protocol/limits.js';
import {
  type BroadcastOptions,
  type CallOptions,
  type PageOptions,
  PATIENT,
  type RequestOptions,
  type SendOptions,
  type ServiceCallOptions,
} from './call-options.js';
import type { Make } from './caller.js';
import { Calls } from './calls.js';
import type { Dialogues } from './dialogues.js';
import { type Environment, REAL_ENVIRONMENT } from './environment.js';
import type { DataOf, DefaultEvents, EventOf, MessageHandler, RequestHandler, ResultOf } from './events.js';
import { Intake } from './intake.js';
import type { LateCode } from './late-code.js';
import { Lazy } from './lazy.js';
import { type Beginning, Link, type SessionFrame } from './link.js';
import { emitMessage, Listeners, type MessageEvents } from './listeners.js';
import { type ClientOptions, connectUrl, type Settings, settingsOf } from './options.js';
import { Payloads } from './payloads.js';
import { RequestHandlers } from './request-handlers.js';
import type { ClientsPage, SendResult } from './results.js';
import { Room, type RoomPort } from './room.js';
import type { PeerCallOptions, Peers, RTCSignalingPeer } from './rtc/rtc.js';
import type { Pair } from './services/pair.js';
import type { PairHandler, PairOptions } from './services/pairs.js';
import type { OwnerHandler, ProvideOptions } from './services/services.js';
import type { State, StateInfo } from './state.js';
import type { Stream } from './streams/stream.js';
import type { BroadcastStream } from './streams/broadcast.js';
import type {
  OnStreamOptions,
  OpenBroadcastOptions,
  OpenOneOptions,
  StreamHandler,
} from './streams/streams.js';

/** What `client.on` tells of. */
export type ClientEvents = {
  /** A move between states, and each failed try with the time until the next. */
  state: [state: State, info: StateInfo];
  /**
   * Messages of a channel (a room, or with null this client's inbox) are missing, between those handed over before and after
   * this event: `trimmed` by a limit of the log, or `lost` by the store; `missing` counts them where that is known.
   */
  gap: [gap: { room: string | null; reason: 'trimmed' | 'lost'; missing: number | null }];
  /** Nobody got a message of `send` with `ttlMs` in time. With `delivered: true` its promise tells instead. */
  expired: [message: { to: string; event: string; id: string | null }];
  /** `iceServers` are others, while connected: credentials were renewed, or a TURN server has died or returned. Peers of this client see to it. */
  iceServers: [];
  /** `bufferedBytes` is low again after it was above half of `offlineQueueLimitBytes`, or after a call was refused with `queue_full`. */
  drain: [];
  /** The gateway no longer had the session: this is a new one, its rooms are joined again, requests in flight were rejected. */
  stateLost: [session: { previous: string; current: string }];
  /** The gateway does not speak this SDK's protocol version: load a newer one. */
  upgrade: [sdk: { version: number }];
  /** What went wrong where no promise could tell; a `GatewayError` or `ProtocolError`, or what a handler threw. */
  error: [error: unknown];
};

/** One client of a gateway: connects, stays connected, sends, asks, answers. Each tab or process has its own (but see `shareTabs`); docs/client.md shows how it is used. */
export class Client<Events extends object = DefaultEvents> {
  readonly #settings: Settings;
  readonly #report = (error: unknown, printed = error): void => this.#tell(error, printed);
  readonly #listeners = new Listeners<ClientEvents>(this.#report);
  readonly #messages = new Listeners<MessageEvents>(this.#report);
  readonly #rooms = new Map<string, Room<Events>>();
  readonly #payloads: Payloads;
  readonly #intake: Intake;
  readonly #handlers: RequestHandlers;
  readonly #link: Link;
  readonly #environment: Environment;
  readonly #calls: Calls;
  readonly #late: LateCode = new Lazy(() => import('./late.js'));
  readonly #dialogueCode = new Lazy(() => import('./dialogues.js'));
  readonly #rtc = new Lazy(() => import('./rtc/rtc.js'));
  readonly #port: RoomPort = {
    dialogues: (run) => this.#dialogues(run),
    mesh: async (...mesh) => (await this.#rtc.load()).openMesh(this, this.#port, ...mesh),
    rooms: this.#rooms,
    call: (...call) => this.#calls.run(...call),
    tryWrite: (frame) => this.#tryWrite(frame),
    report: this.#report,
  };
  #dialogue: Dialogues | null = null;
  #reporting = false;

  /**
   * @param url `ws://host:port`, `wss://`, `http://` or `https://`; the path is `/v1/connect` unless it has one
   * @param environment clock, timers and chance; tests bring their own
   * @throws TypeError for a URL or options that can never work
   */
  constructor(url: string, options: ClientOptions, environment: Environment = REAL_ENVIRONMENT) {
    const settings = settingsOf(options);
    this.#settings = settings;
    this.#environment = environment;
    const compression = new Lazy(() => import('./compression.js'));
    this.#payloads = new Payloads(compression, settings);
    this.#intake = new Intake(this.#payloads, {
      rooms: this.#rooms,
      write: this.#port.tryWrite,
      onGap: (gap) => this.#listeners.emit('gap', gap),
      report: this.#report,
    });
    this.#handlers = new RequestHandlers(this.#port, this.#late, settings.exposeErrors);
    const intake = this.#intake;
    this.#link = new Link(
      connectUrl(url),
      settings,
      {
        get cursors() {
          return intake.cursors;
        },
        onState: (state, info) => this.#listeners.emit('state', state, info),
        onWelcome: (previous, welcome, beginning) => this.#welcomed(previous, welcome, beginning),
        onUnknown: (data) => this.#deliver(data),
        onFrame: (frame) => this.#receive(frame),
        onToken: (token) => this.#calls.run(PATIENT, (verbs, made) => verbs.token(token, made)),
        onLost: () => this.#calls.lost(),
        onEnd: (error, isTold) => this.#ended(error, isTold),
        onError: this.#report,
      },
      environment,
    );
    this.#calls = new Calls({
      wire: this.#link,
      settings,
      environment,
      code: this.#late,
      onCode: ({ watchNetwork }) => this.#link.useHints(watchNetwork),
      compression,
      decode: (...payload) => this.#payloads.decode(...payload),
      report: this.#report,
      onDrain: () => this.#listeners.emit('drain'),
      onExpired: (message) => this.#listeners.emit('expired', message),
    });
  }

  /** This client's id, from its token; null before the first connection. */
  get id(): string | null {
    return this.#link.welcome?.client ?? null;
  }

  /** This tab, app or device; stays the same while the session can be resumed. Null before the first connection. */
  get sessionId(): string | null {
    return this.#link.welcome?.session ?? null;
  }

  /** Whether this client's session is that of all tabs, by `shareTabs`; certain once it is connected. */
  get isShared(): boolean {
    return !!this.#settings.shareTabs;
  }

  /** Where the connection stands; the event `state` tells each move. */
  get state(): State {
    return this.#link.state;
  }

  /**
   * Payload bytes of calls that wait, and of messages that are not accepted yet. To send much at the gateway's pace, wait for
   * the event `drain` while this is above half of `offlineQueueLimitBytes`; raise `offlineQueueLimitMessages` for small messages.
   */
  get bufferedBytes(): number {
    return this.#calls.bufferedBytes;
  }

  /** `RTCIceServer` values for `new RTCPeerConnection({ iceServers })`, with TURN credentials that are still good; empty before the first connection. */
  get iceServers(): Welcome['iceServers'] {
    return this.#link.welcome?.iceServers ?? [];
  }

  /**
   * Resolves when connected. While the network fails it keeps trying, and `state` events tell; an `AbortSignal` ends that
   * (`AbortSignal.timeout(5000)`). Rejects with the code of a close that says not to come back: `invalid_token`,
   * `unsupported_version`, `duplicate_client`, … After `close()` it begins a new session.
   */
  connect(options: { signal?: AbortSignal } = {}): Promise<void> {
    const connected = this.#link.connect(options.signal);
    // Beside the handshake, so that the first call need not wait for it. Where it fails, that call tries again.
    this.#calls.load();
    return connected;
  }

  /** Ends the session: peers say good-bye, other calls reject with `closed`, the gateway forgets this session's rooms. Idempotent. */
  close(): Promise<void> {
    // While there is something to say it with.
    this.#rtc.loaded?.hangUp(this);
    return this.#link.close();
  }

  /** Calls `listener` for each event of the client itself. Returns a function that removes it. */
  on<E extends keyof ClientEvents>(event: E, listener: (...args: ClientEvents[E]) => unknown): () => void {
    return this.#listeners.add(event, listener);
  }

  /**
   * Sends to all sessions of a client (`bob`), to one session (`bob#<session id>`), or to several of these. Resolves when the
   * gateway has accepted the message, which then comes once and in order; volatile ones when it is written. Rejects with
   * `not_found` (no such target, or none that this client may reach), `bad_parameter`, `bad_payload`, `too_big`,
   * `unavailable`, `unknown_outcome`, `queue_full`, `offline`, `aborted`, `closed`; with `delivered` also `timeout`, `expired`.
   */
  send<E extends EventOf<Events>>(
    to: string | readonly string[],
    event: E,
    data: DataOf<Events, E>,
    options?: SendOptions,
  ): Promise<SendResult> {
    const target = typeof to === 'string' ? to : [...to];
    return this.#calls.run(
      options,
      (verbs, made, copy) => verbs.send(target, event, copy, made),
      data,
      options?.delivered ? options.timeoutMs : undefined,
    );
  }

  /** Sends to every client that this one may reach, at most once each. Resolves when the gateway has passed it on. */
  broadcast<E extends EventOf<Events>>(
    event: E,
    data: DataOf<Events, E>,
    options?: BroadcastOptions,
  ): Promise<void> {
    return this.#calls.run(options, (verbs, made, copy) => verbs.broadcast(event, copy, made), data);
  }

  /** Calls `handler` for each message of `event` to this client, or of every event for `*`. Returns a function that removes it. */
  onMessage<E extends EventOf<Events>>(event: E, handler: MessageHandler<DataOf<Events, E>>): () => void;
  onMessage(event: '*', handler: MessageHandler<unknown>): () => void;
  onMessage(event: string, handler: MessageHandler<never>): () => void {
    return this.#messages.add(event, handler as MessageHandler<unknown>);
  }

  /**
   * Asks one client, or one session, and resolves with its answer. Rejects with `timeout`, `not_found`, `no_handler`,
   * `rejected` (its handler failed), or a code that its handler chose; with `unknown_outcome` where the session was lost.
   */
  request<E extends EventOf<Events>>(
    to: string,
    event: E,
    data: DataOf<Events, E>,
    options?: RequestOptions,
  ): Promise<ResultOf<Events, E>> {
    return this.#ask(options, (verbs, made, copy) => verbs.request(to, event, copy, made), data);
  }

  /** The other side's application decides what it answers, as with every message. */
  #ask<Options extends RequestOptions, Result>(
    options: Options | undefined,
    make: Make<Options, unknown>,
    data: unknown,
  ): Promise<Result> {
    const timeoutMs = Math.min(
      options?.timeoutMs ?? this.#settings.requestTimeoutMs,
      REQUEST_TIMEOUT_LIMIT_MS,
    );
    return this.#calls.run(options, make, data, timeoutMs) as Promise<Result>;
  }

  /**
   * Calls a service: the least busy of those who provide it answers. Rejects as `request` does: `not_found` where nobody provides
   * it or this client may not call it, `busy` where all of them have as much as they take, `provider_gone` where the one who had
   * the call went away; with `idempotent` another one gets it then, and may execute it once more.
   */
  call<E extends EventOf<Events>>(
    service: E,
    data: DataOf<Events, E>,
    options?: ServiceCallOptions,
  ): Promise<ResultOf<Events, E>> {
    return this.#ask(options, (verbs, made, copy) => verbs.callService(service, copy, made), data);
  }

  /**
   * Provides a service that other clients call: 1–100 characters of a name, without `~`. Resolves, when calls can come, with a
   * function that withdraws it once the calls that run are answered. It goes on after a reconnect and in a new session.
   * Rejects with `forbidden`, `limit`, `unavailable`, …; with a TypeError where this client provides it already.
   */
  provide<E extends EventOf<Events>>(
    service: E,
    handler: RequestHandler<DataOf<Events, E>, ResultOf<Events, E>>,
    options?: ProvideOptions,
  ): Promise<() => Promise<void>> {
    return this.#dialogues(({ services }) => services.provide(service, handler, options));
  }

  /** A room that belongs to a service: only who provides it publishes there, and who may call it may join. */
  topic(service: string, name: string): Room<Events> {
    return this.room(`~${service}~${name}`);
  }

  /**
   * Tells, while this client is in a topic of the service, whether it has a provider: when the last one went, and when there is
   * one again. Resolves with a function that removes the handler.
   */
  onOwner(service: string, handler: OwnerHandler): Promise<() => void> {
    return this.#dialogues(({ services }) => services.onOwner(service, handler));
  }

  /**
   * Answers requests for `event` with what `handler` returns. Where it throws, the asking side gets `rejected`, with the text only
   * of a `GatewayError` (whose code it gets too) or with `exposeErrors`. Returns a function that removes the handler.
   * @throws TypeError where the event has a handler
   */
  onRequest<E extends EventOf<Events>>(
    event: E,
    handler: RequestHandler<DataOf<Events, E>, ResultOf<Events, E>>,
  ): () => void {
    return this.#handlers.handle(event, handler);
  }

  /**
   * Opens a stream to a client (`bob`) or to one of its sessions (`bob#<session id>`), and resolves when its handler has it.
   * Rejects with `no_handler`, `timeout`, `not_found` (no such target, or none that this client may reach), `limit`, `unavailable`,
   * `aborted`, `closed`, or a code of the other side.
   */
  openStream(to: string, name: string, options?: OpenOneOptions): Promise<Stream> {
    return this.#dialogues(({ streams }) => streams.openTo(to, name, options));
  }

  /** Opens a stream to everybody whom this client may reach; see `Room.openStream`. */
  openBroadcast(name: string, options?: OpenBroadcastOptions): Promise<BroadcastStream> {
    return this.#dialogues(({ streams }) => streams.openToAll(null, name, options));
  }

  /**
   * Takes streams that others open to this client, or to a room that it is in. What `handler` returns is the other side's `reply`;
   * where it throws, the stream is aborted. Returns a function that removes the handler: further streams are refused with `no_handler`.
   * A name has one handler; a second one changes nothing, and is told as `error`. So is `unavailable`, where the code for streams
   * cannot be loaded now: the handler is not there then.
   */
  onStream(name: string, handler: StreamHandler, options?: OnStreamOptions): () => void {
    this.#dialogues(({ streams }) => streams.listen(name, handler, options)).catch(this.#report);
    return () => void this.#dialogues(({ streams }) => streams.unlisten(name, handler));
  }

  /**
   * Asks a client, or one session of it, into a pair: while it lasts neither of the two clients can be in another one. Rejects with `busy`
   * where one of them is in a pair or is being asked into one, `no_handler`, `rejected` or the handler's code where the other side does
   * not want it, `timeout`, `not_found`, `unavailable`, … A pair outlives a reconnect that is shorter than the gateway's `PAIR_LEASE_MS`.
   */
  pair(to: string, options?: PairOptions): Promise<Pair> {
    return this.#dialogues(({ pairs }) => pairs.ask(to, options));
  }

  /** Decides on pairs that others ask for. Resolves with a function that removes the handler; with a TypeError where there is one. */
  onPair(handler: PairHandler): Promise<() => void> {
    return this.#dialogues(({ pairs }) => pairs.listen(handler));
  }

  /** One page of the clients that are online and free for a pair, without this one; as `clients`, but a page may have fewer rows than `limit`. */
  available(options?: PageOptions & { prefix?: string }): Promise<ClientsPage> {
    return this.#calls.run(options, (verbs, made) => verbs.clients(made, 'available'));
  }

  /** The room of that name; the same object each time. @throws TypeError where it is no name */
  room(name: string): Room<Events> {
    if (!isRoomName(name)) throw new TypeError(`Not a room's name: ${name}`);
    let room = this.#rooms.get(name);
    if (room === undefined) this.#rooms.set(name, (room = new Room<Events>(name, this.#port)));
    return room;
  }

  /** Leaves every room. */
  leaveAll(options?: CallOptions): Promise<void> {
    return this.#calls.run(options, (verbs, made) => {
      this.#forgetRooms();
      return verbs.leaveAll(made);
    });
  }

  /** One page of the clients that are online and whose ids begin with `prefix`; 100 unless `limit` (at most 1000) says otherwise. */
  clients(options?: PageOptions & { prefix?: string }): Promise<ClientsPage> {
    return this.#calls.run(options, (verbs, made) => verbs.clients(made));
  }

  /** Whether a client is online; also false where this one may not know. */
  isOnline(client: string, options?: CallOptions): Promise<boolean> {
    return this.#calls.run(options, (verbs, made) => verbs.online(client, made));
  }

  async #dialogues<Result>(run: (dialogues: Dialogues) => Result | Promise<Result>): Promise<Result> {
    const code = await this.#dialogueCode.load();
    return run(
      (this.#dialogue ??= new code.Dialogues(
        this,
        this.#link,
        this.#settings,
        this.#environment,
        this.#port,
        this.#late,
        this.#intake,
        this.#rtc,
      )),
    );
  }

  #deliver(unit: GatewayFrame | string | Uint8Array): void {
    this.#dialogues((dialogues) => dialogues.deliver(unit)).catch(this.#report);
  }

  /**
   * A peer connection with a client, or one session of it: the one that there is, or a new one. Its operations of both sides may
   * overlap (see `RTCSignalingPeer`). `configuration` is that of `RTCPeerConnection`; its `iceServers` are the gateway's unless given.
   * The other side calls `peer` too, or has an `onPeer` handler. Resolves when this client is connected.
   */
  async peer(
    to: string,
    configuration?: RTCConfiguration,
    options?: PeerCallOptions,
  ): Promise<RTCSignalingPeer> {
    return (await this.#rtc.load()).peersOf(this, this.#port).peer(to, configuration, options);
  }

  /** Takes the peers that other clients make. Resolves, when calls can come, with a function that removes the handler. */
  async onPeer(...handler: Parameters<Peers['onPeer']>): Promise<() => void> {
    return (await this.#rtc.load()).peersOf(this, this.#port).onPeer(...handler);
  }

  /** Of what can be said again. */
  #tryWrite(frame: ClientFrame): boolean {
    if (this.#link.open) this.#link.write(frame);
    return this.#link.open;
  }

  #welcomed(previous: string | null, welcome: Welcome, beginning: Beginning): void {
    const isResumed = beginning === 'resumed';
    const { desk } = this.#calls;
    desk?.flight.welcomed(isResumed);
    this.#intake.welcomed(welcome);
    // Without it no room was joined yet.
    desk?.ahead(() => {
      for (const room of this.#rooms.values()) room.restore(isResumed ? welcome.rooms : []);
    });
    this.#calls.load();
    if (beginning === 'lost')
      this.#listeners.emit('stateLost', { previous: previous ?? '', current: welcome.session });
  }

  #forgetRooms(): void {
    for (const room of this.#rooms.values()) room.forget();
  }

  #ended(error: GatewayError, isTold: boolean): void {
    this.#forgetRooms();
    // Whoever is sent away does not know what became of the calls in flight; whoever closes does not ask.
    if (error.code !== 'closed') this.#calls.lost();
    this.#calls.end(error);
    if (error.code === 'unsupported_version') this.#listeners.emit('upgrade', { version: PROTOCOL_VERSION });
    if (error.code !== 'closed' && !isTold) this.#report(error);
  }

  #receive(frame: SessionFrame): void {
    switch (frame.type) {
      case 'message':
        return this.#intake.message(frame, (...message) => emitMessage(this.#messages, ...message));
      case 'roomMessage':
        return this.#intake.message(
          frame,
          (...message) => this.#rooms.get(frame.room)?.receive(...message) ?? false,
        );
      case 'presence':
      case 'asked':
      case 'gap':
      case 'position':
        return this.#intake.notice(frame);
      case 'iceServers':
        if (this.#link.welcome) this.#link.welcome.iceServers = frame.servers;
        this.#listeners.emit('iceServers');
        return;
      case 'requested':
        return this.#handlers.take(frame.handle, (responder) =>
          this.#intake.decode(
            frame,
            (...message) => void responder.answer(frame.handle, ...message),
            (error) => void responder.unreadable(frame.handle, error),
          ),
        );
      case 'called':
      case 'owners':
      case 'pairing':
      case 'unpaired':
        return this.#deliver(frame);
      default:
        if ('stream' in frame) return this.#deliver(frame);
        // The rest are answers: none comes before the first call.
        this.#calls.desk?.flight.receive(frame);
    }
  }

  /** Nobody awaits what went wrong here; a mistake in a handler must not vanish because nobody listens either. */
  #tell(error: unknown, printed: unknown): void {
    if (this.#reporting || !this.#listeners.has('error')) {
      console.error('signalbox:', printed);
      return;
    }
    this.#reporting = true;
    try {
      this.#listeners.emit('error', error);
    } finally {
      this.#reporting = false;
    }
  }
}
