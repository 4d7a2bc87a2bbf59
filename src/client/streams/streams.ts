// The streams of a client: opens and accepts them, hands each frame to its stream, and brings them all to a new connection.
import { type Code, CODES } from '../../protocol/codes.js';
import { GatewayError, ProtocolError } from '../../protocol/errors.js';
import { ASKS, type ClientFrame, type GatewayFrame, type OpenStreamFrame } from '../../protocol/frame.js';
import { isEventName, type RoomName, type StreamId } from '../../protocol/ids.js';
import { STREAM_CHUNK_LIMIT_BYTES, STREAM_WINDOW_LIMIT_BYTES } from '../../protocol/limits.js';
import type { Serializers } from '../../protocol/serializers.js';
import type { DialoguePort } from '../dialogue-port.js';
import type { Sender } from '../events.js';
import { Broadcast, type BroadcastStream, noReaders } from './broadcast.js';
import type { Stream } from './stream.js';
import { StreamCodec } from './stream-codec.js';
import { codeOf } from './reason.js';
import { StreamEnd } from './stream-end.js';
import type { StreamHost, StreamOptions } from './stream-host.js';

/** Options of every way to open a stream. */
export interface OpenStreamOptions {
  /** Data for the other side's handler, at most 32 KiB. */
  meta?: unknown;
  /** Name of the serializer for `meta` and for what this side writes; default: what the client's `serializers` say of the stream's name. */
  serializer?: string;
  /** Longest wait for somebody to accept, ms; default 10 000. Of a stream to several: how long readers may come in, default 1 000. */
  timeoutMs?: number;
  /** Most bytes that wait here for the application to read them; default 1 MiB. */
  windowBytes?: number;
  /** Most bytes that are kept until the other side has them; default 2 MiB. */
  sendBufferBytes?: number;
  /** Gives up, or aborts the stream with `aborted`. */
  signal?: AbortSignal;
}
/** Options of `client.openStream`. */
export interface OpenOneOptions extends OpenStreamOptions {
  /**
   * `best`: begins through the gateway, goes on over a data channel as soon as there is one, and comes back when that breaks. Where either side
   * has no WebRTC it stays with the gateway, which is the default.
   */
  via?: 'gateway' | 'best';
  /** For `best`: of this side's end of the connection, where there is none to that session yet; its `iceServers` are the gateway's unless given. */
  rtcConfiguration?: RTCConfiguration;
}
/** Options of `room.openStream` and `client.openBroadcast`. */
export interface OpenBroadcastOptions extends OpenStreamOptions {
  /** The slowest reader: `wait` for it (default), or `drop` who holds up others for 2 s, which gets `slow_reader`. */
  slow?: 'wait' | 'drop';
}
/** Options of `onStream`. */
export interface OnStreamOptions {
  /** Name of the serializer for what this side writes and answers; default: what the client's `serializers` say of the stream's name. */
  serializer?: string;
  /** Most streams of this name at once; further ones are refused with `limit`. Default: as many as the gateway allows. */
  limit?: number;
  /** Most bytes of each that wait for the handler to read them; default 1 MiB. */
  windowBytes?: number;
  /** `gateway`: also those that were opened with `via: 'best'` stay there, and their openers learn no network address of this client. Default `best`. */
  via?: 'gateway' | 'best';
  /** For `best`: of this side's end of the connection, where there is none to that session yet; its `iceServers` are the gateway's unless given. */
  rtcConfiguration?: RTCConfiguration;
}

/** Takes a stream that somebody opens; what it returns, or resolves with, is the opener's `reply`. */
export type StreamHandler = (stream: Stream, from: Sender, meta: unknown) => unknown;

interface Listener {
  readonly handler: StreamHandler;
  readonly limit: number;
  readonly windowBytes: number;
  readonly codec: StreamCodec;
  /** Null: its streams stay with the gateway. */
  readonly rtcConfiguration: RTCConfiguration | null;
  open: number;
}

/** Somebody waits for the stream to be accepted. */
interface Opening {
  readonly frame: OpenStreamFrame;
  readonly isBroadcast: boolean;
  accept(): void;
  refuse(error: Error): void;
}

const WINDOW_BYTES = 1024 * 1024;
/** Below this a full chunk would not fit. */
const WINDOW_FLOOR_BYTES = 2 * STREAM_CHUNK_LIMIT_BYTES;
const SEND_BUFFER_BYTES = 2 * 1024 * 1024;
const OPEN_TIMEOUT_MS = 10_000;
const GATHER_READERS_MS = 1_000;
/** While nobody has accepted, the offer is made again so often: it, or the answer, may be lost, ms. */
const OFFER_AGAIN_MS = 2_000;
/** Accepted streams that are remembered when they are over; offers are repeated for some seconds only. */
const OVER_LIMIT = 256;
const WATCH_EVERY_MS = 1_000;
/** `WebSocket` has no event for a socket that drains, ms. */
const CONGESTION_POLL_MS = 5;
/** A session that is away may come back for as long as the gateway keeps it; so much longer is waited, ms. */
const SILENCE_GRACE_MS = 15_000;

export class Streams {
  readonly #port: DialoguePort;
  readonly #serializers: Serializers | undefined;
  readonly #host: StreamHost;
  readonly #climb: (stream: StreamEnd) => void;
  readonly #streams = new Map<string, StreamEnd>();
  readonly #broadcasts = new Map<string, Broadcast>();
  readonly #opening = new Map<string, Opening>();
  readonly #listeners = new Map<string, Listener>();
  /** Accepted ones that are over, the newest: their handler has run, and does not run again where the offer is repeated. */
  readonly #over = new Map<string, Code>();
  #stopWatching: (() => void) | null = null;
  #isPumpingLater = false;

  /** @param climb finds a stream a better path than the gateway */
  constructor(port: DialoguePort, serializers: Serializers | undefined, climb: (stream: StreamEnd) => void) {
    this.#port = port;
    this.#serializers = serializers;
    this.#climb = climb;
    this.#host = {
      get isOpen() {
        return port.isOpen();
      },
      get isCongested() {
        return port.isCongested();
      },
      now: () => port.clock.now(),
      put: (frame) => this.#put(frame),
      pumpLater: () => this.#pumpLater(),
      done: ({ id }) => {
        this.#streams.delete(id);
        this.#broadcasts.delete(id);
      },
    };
  }

  /** See `Client.openStream`. */
  async openTo(to: string, name: string, options: OpenOneOptions = {}): Promise<Stream> {
    const rtcConfiguration = options.via === 'best' ? (options.rtcConfiguration ?? {}) : null;
    const settings = this.#settings(name, options);
    const stream = new StreamEnd(this.#host, { ...settings, peer: null, rtcConfiguration });
    const frame = this.#frame(settings, options, { to });
    await this.#open(frame, options, {
      timeoutMs: options.timeoutMs ?? OPEN_TIMEOUT_MS,
      begin: () => {
        this.#streams.set(stream.id, stream);
      },
      fail: (error) => {
        stream.fail(error);
      },
    });
    this.#abortWith(options.signal, stream);
    if (rtcConfiguration !== null) this.#climb(stream);
    return stream;
  }

  /** See `Room.openStream`; to everybody where there is no room. */
  async openToAll(
    room: string | null,
    name: string,
    options: OpenBroadcastOptions = {},
  ): Promise<BroadcastStream> {
    const drop = options.slow === 'drop';
    const settings = this.#settings(name, options);
    const broadcast = new Broadcast(this.#host, { ...settings, peer: null }, { room, drop });
    const frame = this.#frame(settings, options, { room, drop });
    await this.#open(frame, options, {
      timeoutMs: options.timeoutMs ?? GATHER_READERS_MS,
      begin: () => {
        this.#broadcasts.set(broadcast.id, broadcast);
      },
      fail: (error) => {
        broadcast.fail(error);
      },
      // Readers have that time to come in; without any there is nobody to write to.
      isFull: () => broadcast.readers > 0,
    });
    this.#abortWith(options.signal, broadcast);
    return broadcast;
  }

  /** See `Client.onStream`. */
  listen(name: string, handler: StreamHandler, options: OnStreamOptions = {}): void {
    if (this.#listeners.has(name)) throw new TypeError(`There is a handler for streams ${name} already.`);
    const listener: Listener = {
      handler,
      limit: options.limit ?? Infinity,
      windowBytes: windowOf(options.windowBytes),
      codec: this.#codec(name, options),
      rtcConfiguration: options.via === 'gateway' ? null : (options.rtcConfiguration ?? {}),
      open: 0,
    };
    this.#listeners.set(name, listener);
  }

  unlisten(name: string, handler: StreamHandler): void {
    if (this.#listeners.get(name)?.handler === handler) this.#listeners.delete(name);
  }

  find(id: string): StreamEnd | undefined {
    return this.#streams.get(id);
  }

  /** Of a connection with that session, by which a stream may leave the gateway; null where there is no such stream. */
  wayOut({ client, session }: Sender): RTCConfiguration | null {
    for (const { peer, rtcConfiguration } of this.#streams.values())
      if (rtcConfiguration !== null && peer?.session === session && peer.client === client)
        return rtcConfiguration;
    return null;
  }

  receive(frame: GatewayFrame): void {
    switch (frame.type) {
      case 'offer':
        return this.#offered(frame);
      case 'attached': {
        const { stream, upTo, limit } = frame;
        const peer: Sender = { client: frame.from, session: frame.session };
        const broadcast = this.#broadcasts.get(stream);
        if (broadcast !== undefined) return broadcast.attached(peer, upTo);
        const end = this.#known(stream);
        if (end === undefined) return;
        end.peer ??= peer;
        if (end.peer.session === peer.session) end.attached(upTo, limit);
        return this.#opening.get(stream)?.accept();
      }
      case 'piece':
        this.#known(frame.stream)?.arrived(frame);
        return;
      case 'credited': {
        const opening = this.#opening.get(frame.stream);
        if (opening !== undefined && !opening.isBroadcast) {
          if (frame.ask === ASKS.tell) this.#put(opening.frame);
          return;
        }
        const end = this.#broadcasts.get(frame.stream) ?? this.#streams.get(frame.stream);
        if (end === undefined) this.#unknown(frame.stream);
        else end.credited(frame);
        return;
      }
      case 'readerGone':
        return this.#broadcasts.get(frame.stream)?.readerGone(frame);
      case 'wasCut': {
        const { stream, code, text } = frame;
        this.#opening.get(stream)?.refuse(new GatewayError(code, text || undefined));
        this.#streams.get(stream)?.wasCut(code, text);
        this.#broadcasts.get(stream)?.wasCut(code, text);
        return;
      }
      default:
        return;
    }
  }

  /** A connection of the same session: every stream says where it stands. */
  resumed(): void {
    for (const stream of this.#streams.values()) {
      const { peer } = stream;
      if (peer === null) continue;
      stream.resume();
      this.#attach(stream, `${peer.client}#${peer.session}`);
    }
    for (const broadcast of this.#broadcasts.values()) {
      // Also while it opens: what its readers have allowed already, the new connection's gateway has not heard.
      broadcast.resume();
      const { id: stream, room, drop } = broadcast;
      // Those who came in say where they stand before it counts them; who has not is offered it once more.
      if (broadcast.readers > 0 || !this.#opening.has(stream))
        this.#put({ type: 'attachStream', stream, to: null, room, opened: true, upTo: 0, limit: 0, drop });
    }
    for (const { frame } of this.#opening.values()) this.#put(frame);
  }

  /** The session is another one, or over: so are its streams. */
  end(error: GatewayError): void {
    for (const opening of [...this.#opening.values()]) opening.refuse(error);
    for (const stream of [...this.#streams.values(), ...this.#broadcasts.values()]) stream.fail(error);
  }

  // ── opening ─────────────────────────────────────────────────────────────────────────────────────

  #codec(name: string, { serializer }: { serializer?: string }): StreamCodec {
    return new StreamCodec(this.#serializers, name, serializer);
  }

  #settings(name: string, options: OpenStreamOptions): Omit<StreamOptions, 'peer'> {
    const { sendBufferBytes = SEND_BUFFER_BYTES } = options;
    const codec = this.#codec(name, options);
    const windowBytes = windowOf(options.windowBytes);
    return { id: newId(), name, codec, opened: true, windowBytes, sendBufferBytes };
  }

  #frame(
    { id: stream, name, codec }: Omit<StreamOptions, 'peer'>,
    { meta }: OpenStreamOptions,
    to: { to: string } | { room: string | null; drop: boolean },
  ): OpenStreamFrame {
    if (!isEventName(name)) throw new ProtocolError('bad_parameter', 'Not a name of a stream.');
    const payload = codec.encode(meta);
    if (payload.data.length > STREAM_CHUNK_LIMIT_BYTES)
      throw new ProtocolError('too_big', 'meta may have 32 KiB.');
    const target = { to: null, room: null, drop: false, ...to };
    return { type: 'openStream', stream, name, payload, ...target, room: target.room as RoomName | null };
  }

  #open(
    frame: OpenStreamFrame,
    { signal }: OpenStreamOptions,
    to: { timeoutMs: number; begin(): void; fail(error: Error): void; isFull?: () => boolean },
  ): Promise<void> {
    const { stream } = frame;
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        cancelTimeout();
        cancelAgain();
        signal?.removeEventListener('abort', abort);
        this.#opening.delete(stream);
      };
      const opening: Opening = {
        frame,
        isBroadcast: to.isFull !== undefined,
        accept: () => {
          settle();
          resolve();
        },
        refuse: (error) => {
          settle();
          to.fail(error);
          reject(error);
        },
      };
      const giveUp = (error: GatewayError): void => {
        this.#put({ type: 'cut', stream, to: null, code: 'aborted', text: '' });
        opening.refuse(error);
      };
      const abort = (): void => {
        giveUp(new GatewayError('aborted', undefined, { cause: signal?.reason }));
      };
      const offer = (): void => {
        if (!opening.isBroadcast) cancelAgain = this.#port.clock.after(OFFER_AGAIN_MS, offer);
        this.#put(frame);
      };
      let cancelAgain = (): void => {};
      const cancelTimeout = this.#port.clock.after(to.timeoutMs, () => {
        if (to.isFull?.() === true) opening.accept();
        else giveUp(to.isFull === undefined ? new GatewayError('timeout') : noReaders());
      });
      signal?.addEventListener('abort', abort);
      this.#opening.set(stream, opening);
      to.begin();
      this.#watch();
      if (signal?.aborted) abort();
      // Also while the code for streams was on its way.
      else if (this.#port.isClosed()) opening.refuse(new GatewayError('closed'));
      else offer();
    });
  }

  #abortWith(signal: AbortSignal | undefined, stream: Pick<Stream, 'abort'>): void {
    signal?.addEventListener('abort', () => {
      stream.abort('aborted');
    });
  }

  // ── accepting ───────────────────────────────────────────────────────────────────────────────────

  #offered({ stream: id, from: client, session, name, payload }: GatewayFrame & { type: 'offer' }): void {
    const peer: Sender = { client, session };
    const known = this.#streams.get(id);
    if (known !== undefined) {
      // Offered again: that it was accepted got lost.
      if (known.peer?.session === session && !known.opened) this.#attach(known, `${client}#${session}`);
      return;
    }
    const listener = this.#listeners.get(name);
    const ended = this.#over.get(id);
    if (ended !== undefined || listener === undefined || listener.open >= listener.limit) {
      const code = ended ?? (listener === undefined ? 'no_handler' : 'limit');
      this.#put({ type: 'cut', stream: id, to: `${client}#${session}`, code, text: '' });
      return;
    }
    const { windowBytes, codec, rtcConfiguration } = listener;
    const sendBufferBytes = SEND_BUFFER_BYTES;
    const options = { id, name, codec, opened: false, peer, windowBytes, sendBufferBytes, rtcConfiguration };
    const stream = new StreamEnd(this.#host, options);
    this.#streams.set(id, stream);
    this.#watch();
    this.#attach(stream, `${client}#${session}`);
    listener.open++;
    const over = (error?: unknown): void => {
      listener.open--;
      this.#over.set(id, error === undefined ? 'unknown_outcome' : codeOf(error));
      const [oldest] = this.#over.keys();
      if (this.#over.size > OVER_LIMIT && oldest !== undefined) this.#over.delete(oldest);
    };
    stream.closed.then(() => over(), over);
    void this.#run(listener.handler, stream, peer, () => codec.decode(payload));
  }

  async #run(handler: StreamHandler, stream: StreamEnd, from: Sender, read: () => unknown): Promise<void> {
    let meta: unknown;
    try {
      meta = read();
    } catch (error) {
      // Told with its bytes, and no handler is called with what it cannot use.
      this.#port.tell(error);
      stream.abort(codeOf(error));
      return;
    }
    try {
      const result = await handler(stream, from, meta);
      // Who writes on by itself answers when it is done with that.
      if (stream.writable.locked && !stream.send.isEnded) await stream.written;
      stream.answer(result);
      stream.discard();
    } catch (error) {
      if (stream.isOver) return;
      const isTyped = error instanceof GatewayError || error instanceof ProtocolError;
      if (!isTyped) this.#port.tell(error);
      const code = isTyped && CODES[error.code].close === null ? error.code : 'rejected';
      stream.abort(code, isTyped ? error.message.slice(0, 200) : '');
    }
  }

  #attach({ id: stream, opened, receive }: StreamEnd, to: string): void {
    this.#put({ type: 'attachStream', stream, to, room: null, opened, ...receive.tell(), drop: false });
  }

  // ── all of them ─────────────────────────────────────────────────────────────────────────────────

  #put(frame: ClientFrame): void {
    if (this.#port.isOpen()) this.#port.put(frame);
  }

  #known(stream: StreamId): StreamEnd | undefined {
    const known = this.#streams.get(stream);
    if (known === undefined) this.#unknown(stream);
    return known;
  }

  #unknown(stream: StreamId): void {
    this.#put({ type: 'cut', stream, to: null, code: 'not_found', text: '' });
  }

  #pumpLater(): void {
    if (this.#isPumpingLater) return;
    this.#isPumpingLater = true;
    this.#port.clock.after(CONGESTION_POLL_MS, () => {
      this.#isPumpingLater = false;
      for (const stream of this.#streams.values()) stream.pump();
      for (const broadcast of this.#broadcasts.values()) broadcast.pump();
    });
  }

  #watch(): void {
    this.#stopWatching ??= this.#port.clock.after(WATCH_EVERY_MS, () => {
      this.#stopWatching = null;
      if (this.#streams.size + this.#broadcasts.size === 0) return;
      this.#watch();
      const limitMs = (this.#port.link()?.resumeWindowMs ?? 0) + SILENCE_GRACE_MS;
      for (const stream of [...this.#streams.values()])
        if (!this.#opening.has(stream.id)) stream.watch(limitMs);
      for (const broadcast of [...this.#broadcasts.values()])
        if (!this.#opening.has(broadcast.id)) broadcast.watch(limitMs);
    });
  }
}

function windowOf(bytes = WINDOW_BYTES): number {
  return Math.min(Math.max(bytes, WINDOW_FLOOR_BYTES), STREAM_WINDOW_LIMIT_BYTES);
}

function newId(): StreamId {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCharCode(...bytes))
    .replace(/\+/g, '-')
    .replace(/\//g, '_')
    .replace(/=+$/, '') as StreamId;
}
