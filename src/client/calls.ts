// All calls without an answer: numbers them, queues them while they cannot be written, and settles each exactly once.
import { GatewayError } from '../protocol/errors.js';
import type { ClientFrame, Payload } from '../protocol/frame.js';
import type { FollowedMessage } from './deliveries.js';
import type { Environment } from './environment.js';
import type { Lazy } from './lazy.js';
import type { Settings, WhenOffline } from './options.js';
import type { Outbox } from './outbox.js';
import type { State } from './state.js';

/** What each call of the public API takes. */
export interface CallOptions {
  /** Gives up waiting with `aborted`; a call that is still queued is then never sent. */
  signal?: AbortSignal | undefined;
  /** While there is no connection: wait in the queue, or fail with `offline`. */
  whenOffline?: WhenOffline | undefined;
}

/** For calls that nobody made, and that nobody could make again. */
export const PATIENT: CallOptions = { whenOffline: 'queue' };

/** How the receipt for a `send` that asks for one is waited for. */
export interface Receipt {
  /** Whether the call waits for it; else `onExpired` tells where none came. */
  readonly isAwaited: boolean;
  /** Longest wait of the call, ms. */
  readonly timeoutMs: number | undefined;
  onExpired(): void;
}

/** A frame that is numbered when it is written: `ref`, and of a request the time that is left, are set then. */
export type CallFrame = Exclude<
  ClientFrame,
  { type: 'hello' | 'pong' | 'bye' | 'receipt' | 'confirm' | 'ack' }
>;

/** A payload that waits for the code that compresses it. */
export interface LoadingPayload {
  /** Its size before compression. */
  bytes: number;
  ready: Promise<Payload>;
}

/** The way to the gateway, as far as calls need it. */
export interface Wire {
  readonly state: State;
  readonly open: boolean;
  /** The socket holds so much that writing more would only move the queue into it. */
  readonly congested: boolean;
  /** @throws ProtocolError where the frame cannot be written */
  write(frame: ClientFrame): void;
}

/**
 * What becomes of a written call whose answer the lost connection took along:
 * `unknown` rejects with `unknown_outcome`, because writing it again could do it twice; `repeat` is harmless to write again;
 * `wait` hopes for the answer on the next connection of the same session; `forget` has no answer: writing settles it.
 * Messages that the gateway keeps have numbers, and are the outbox's.
 */
type OnLoss = 'unknown' | 'repeat' | 'wait' | 'forget';

const ON_LOSS: { [T in CallFrame['type']]?: OnLoss } = {
  broadcast: 'unknown',
  request: 'wait',
  reply: 'forget',
  reject: 'forget',
};

interface PendingCall extends FollowedMessage {
  readonly frame: CallFrame;
  readonly onLoss: OnLoss;
  /** False where it fails with `offline` rather than wait for a connection. */
  readonly patient: boolean;
  readonly startedAt: number;
  /** False while its payload is being compressed. */
  ready: boolean;
  settled: boolean;
}

/** Most calls without an answer; further ones wait in the queue. */
const IN_FLIGHT_LIMIT_CALLS = 10_000;
/** The number after it belongs to the link's probe; 0 wants no answer. */
const LAST_REF = 0xffff_fffe;
/** Until the code for kept messages is asked for again, ms, where it could not be loaded though there is a connection. */
const RELOAD_MS = 1_000;
/** How often a full socket is looked at: WebSockets have no event for it. */
const CONGESTION_POLL_MS = 20;

export interface CallsPort {
  /** For messages that the gateway keeps. */
  readonly outboxCode: Lazy<{ Outbox: typeof Outbox }>;
  /** Little waits, after much did. */
  onDrain(): void;
}

export class Calls {
  readonly #wire: Wire;
  readonly #settings: Settings;
  readonly #environment: Environment;
  /** In order; a Set lets a call leave from the middle at once. */
  readonly #queue = new Set<PendingCall>();
  #queuedBytes = 0;
  readonly #inFlight = new Map<number, PendingCall>();
  readonly #port: CallsPort;
  /** Null until its code is there: calls that need it wait in the queue, and so does what was called after them. */
  #outbox: Outbox<PendingCall> | null = null;
  #isLoading = false;
  #failedLoads = 0;
  #cancelReload = (): void => {};
  /** Somebody should be told when less waits. */
  #isFull = false;
  #ref = 0;
  #cancelPoll = (): void => {};

  constructor(wire: Wire, settings: Settings, environment: Environment, port: CallsPort) {
    this.#wire = wire;
    this.#port = port;
    this.#settings = settings;
    this.#environment = environment;
  }

  /** Payload bytes that wait, or are not accepted yet. */
  get bufferedBytes(): number {
    return this.#queuedBytes + (this.#outbox?.openBytes ?? 0);
  }

  /** `parse` makes the result of the answer; it throws where the answer has not the expected shape. */
  start<Result>(
    frame: CallFrame,
    parse: (answer: unknown) => Result | Promise<Result>,
    { signal, whenOffline }: CallOptions = {},
    { loading, receipt }: { loading?: LoadingPayload | undefined; receipt?: Receipt | undefined } = {},
  ): Promise<Result> {
    const answered = new Promise<unknown>((resolve, reject) => {
      // What is volatile and waits is no longer what it was.
      const isVolatile = 'seq' in frame && frame.seq === 0;
      const settle = (): boolean => {
        if (call.settled) return false;
        this.#dequeue(call);
        cancelTimer();
        signal?.removeEventListener('abort', abort);
        return (call.settled = true);
      };
      const call: PendingCall = {
        frame,
        onLoss: isVolatile ? 'forget' : (ON_LOSS[frame.type] ?? 'repeat'),
        patient: (whenOffline ?? (isVolatile ? 'fail' : this.#settings.whenOffline)) === 'queue',
        channel: isVolatile ? '' : channelOf(frame),
        bytes: loading?.bytes ?? ('payload' in frame ? frame.payload.data.length : 0),
        number: 0,
        seq: null,
        first: 0,
        isFlying: false,
        isAccepted: false,
        isUnsure: false,
        until: 0,
        isAwaited: receipt?.isAwaited === true,
        isReceived: false,
        startedAt: this.#environment.now(),
        ready: loading === undefined,
        settled: false,
        succeed: (answer) => settle() && resolve(answer),
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- what failed is passed on as it is
        fail: (error) => settle() && reject(error),
        missed(error) {
          if (call.isAwaited) call.fail(error);
          else if (error.code === 'expired') receipt?.onExpired();
        },
      };
      // A call in flight keeps its number until its answer came, so that it stays counted.
      const withdraw = (error: unknown): void => {
        call.fail(error);
        this.#outbox?.settled(call);
        this.flush();
      };
      const abort = (): void => withdraw(abortedBy(signal));
      signal?.addEventListener('abort', abort);
      const timeoutMs = frame.type === 'request' ? frame.timeoutMs : receipt?.timeoutMs;
      const cancelTimer =
        timeoutMs === undefined
          ? () => {}
          : this.#environment.after(timeoutMs, () => {
              withdraw(
                call.isAccepted
                  ? new GatewayError('timeout', 'Accepted, but not confirmed in time.')
                  : new GatewayError('timeout'),
              );
            });
      loading?.ready.then((payload) => {
        if ('payload' in frame) frame.payload = payload;
        call.ready = true;
        this.flush();
      }, withdraw);
      this.#admit(call, signal);
    });
    return answered.then(parse);
  }

  /** What `run` starts goes ahead of everything that waits. */
  ahead(run: () => void): void {
    const waiting = this.#takeQueue();
    run();
    for (const call of waiting) this.#enqueue(call);
    this.flush();
  }

  /** The answer to a call came, unless it was given up long ago. */
  succeed(ref: number, answer: unknown): void {
    const call = this.#land(ref);
    if (call?.channel) this.#outbox?.accepted(call, answer);
    else call?.succeed(answer);
    this.flush();
  }

  /** `expected`: see `ErrorFrame`. */
  fail(ref: number, error: unknown, expected: number | null = null): void {
    const call = this.#land(ref);
    if (call?.channel && error instanceof GatewayError) this.#outbox?.refused(call, error, expected);
    else call?.fail(error);
    this.flush();
  }

  /** Writes what waits, as far as the connection takes it. */
  flush(): void {
    this.#cancelPoll();
    for (;;) {
      const call = this.#canWrite ? this.#outbox?.again() : undefined;
      if (call === undefined) break;
      this.#write(call);
    }
    for (const call of this.#queue) {
      if (!call.ready || !this.#canWrite || !this.#hasRoomFor(call)) break;
      // Its channel waits for answers; others need not.
      if (!this.#mayFollow(call)) continue;
      this.#dequeue(call);
      this.#write(call);
    }
    if (this.#queue.size > 0 && this.#wire.congested) {
      this.#cancelPoll = this.#environment.after(CONGESTION_POLL_MS, () => this.flush());
    }
    const { offlineQueueLimitMessages, offlineQueueLimitBytes } = this.#settings;
    const isHigh =
      this.bufferedBytes >= offlineQueueLimitBytes / 2 || this.#queue.size >= offlineQueueLimitMessages / 2;
    if (isHigh === this.#isFull) return;
    if (isHigh) this.#isFull = true;
    else {
      this.#isFull = false;
      this.#port.onDrain();
    }
  }

  /** The connection is gone: settles what cannot be repeated, puts the rest in front of the queue. */
  lost(): void {
    const waiting = this.#takeQueue();
    const kept: PendingCall[] = [];
    for (const [ref, call] of this.#inFlight) {
      if (call.onLoss === 'wait' && !call.settled) continue;
      this.#inFlight.delete(ref);
      if (call.channel) kept.push(call);
      else if (call.onLoss !== 'repeat') call.fail(new GatewayError('unknown_outcome'));
      else if (!call.settled) this.#enqueue(call);
    }
    this.#outbox?.lost(kept);
    for (const call of waiting) {
      if (call.patient) this.#enqueue(call);
      else call.fail(new GatewayError('offline'));
    }
  }

  resumed(): void {
    this.#outbox?.resumed();
  }

  /** The session went on: receipts may have been missed. */
  askAgain(): void {
    this.#outbox?.askAgain();
  }

  received(by: string, seq: number): void {
    this.#outbox?.received(by, seq);
  }

  /** The store may have lost what it accepted last. */
  doubt(): void {
    this.#outbox?.doubt();
    this.flush();
  }

  /** A new session began instead of the old one: answers to the old one's requests will not come. */
  sessionLost(): void {
    const error = new GatewayError('unknown_outcome');
    for (const call of this.#inFlight.values()) call.fail(error);
    this.#inFlight.clear();
    this.#outbox?.clear(error);
  }

  end(error: GatewayError): void {
    this.#cancelPoll();
    this.#cancelReload();
    for (const call of [...this.#inFlight.values(), ...this.#takeQueue()]) call.fail(error);
    this.#inFlight.clear();
    this.#outbox?.clear(error.code === 'closed' ? error : new GatewayError('unknown_outcome'), error);
    this.#isFull = this.#isLoading = false;
  }

  #land(ref: number): PendingCall | undefined {
    const call = this.#inFlight.get(ref);
    this.#inFlight.delete(ref);
    return call;
  }

  get #canWrite(): boolean {
    return this.#wire.open && !this.#wire.congested && this.#inFlight.size < IN_FLIGHT_LIMIT_CALLS;
  }

  #admit(call: PendingCall, signal: AbortSignal | undefined): void {
    const { frame, bytes } = call;
    const { offlineQueueLimitMessages, offlineQueueLimitBytes } = this.#settings;
    if (signal?.aborted) call.fail(abortedBy(signal));
    else if (this.#wire.state === 'closed') call.fail(new GatewayError('closed'));
    else if (!this.#wire.open && !call.patient) call.fail(new GatewayError('offline'));
    else {
      if (call.channel) this.#openOutbox();
      const mayWrite =
        this.#canWrite &&
        this.#queue.size === 0 &&
        call.ready &&
        this.#hasRoomFor(call) &&
        this.#mayFollow(call);
      if (
        !mayWrite &&
        (this.#queue.size >= offlineQueueLimitMessages || this.#queuedBytes + bytes > offlineQueueLimitBytes)
      ) {
        this.#isFull = true;
        call.fail(new GatewayError('queue_full'));
        return;
      }
      // The application may write into its bytes again before the call is written, or written again.
      if ('payload' in frame && (call.channel || !mayWrite))
        frame.payload = { ...frame.payload, data: frame.payload.data.slice() };
      if (mayWrite) return this.#write(call);
      this.#enqueue(call);
      this.flush();
    }
  }

  #hasRoomFor(call: PendingCall): boolean {
    if (!call.channel) return true;
    this.#openOutbox();
    return this.#outbox !== null && this.#outbox.hasRoomFor(call);
  }

  #mayFollow(call: PendingCall): boolean {
    return !call.channel || this.#outbox?.takesNew(call) === true;
  }

  #openOutbox(): void {
    const { outboxCode } = this.#port;
    if (outboxCode.loaded !== null)
      this.#outbox ??= new outboxCode.loaded.Outbox(this.#settings, this.#environment, {
        wire: this.#wire,
        flush: () => this.flush(),
      });
    else if (!this.#isLoading) {
      this.#isLoading = true;
      outboxCode.load().then(
        () => this.flush(),
        (cause: unknown) => this.#loadFailed(cause),
      );
    }
  }

  /** Without a connection it is tried again with the next one. */
  #loadFailed(cause: unknown): void {
    const tryAgain = (): void => {
      this.#isLoading = false;
      this.flush();
    };
    if (!this.#wire.open) this.#isLoading = false;
    else {
      this.#cancelReload = this.#environment.after(RELOAD_MS, tryAgain);
      if (++this.#failedLoads * RELOAD_MS < this.#settings.acceptTimeoutMs) return;
      this.#failedLoads = 0;
      for (const call of this.#queue)
        if (call.channel) call.fail(new GatewayError('unavailable', undefined, { cause }));
      this.flush();
    }
  }

  #enqueue(call: PendingCall): void {
    this.#queue.add(call);
    this.#queuedBytes += call.bytes;
  }

  #dequeue(call: PendingCall): void {
    if (this.#queue.delete(call)) this.#queuedBytes -= call.bytes;
  }

  #takeQueue(): PendingCall[] {
    const calls = [...this.#queue];
    for (const call of calls) this.#dequeue(call);
    return calls;
  }

  #write(call: PendingCall): void {
    const { frame } = call;
    const answered = call.onLoss !== 'forget';
    let ref = 0;
    try {
      // Written again it keeps its number: the answer to the first writing may still come.
      if (answered && 'ref' in frame) ref = frame.ref ||= this.#nextRef();
      if (call.channel && 'seq' in frame) {
        this.#outbox?.add(call);
        frame.seq = call.seq;
        if (call.first > 0) frame.options.first = call.first;
        else delete frame.options.first;
      }
      if (frame.type === 'request') {
        frame.timeoutMs = Math.max(1, Math.ceil(call.startedAt + frame.timeoutMs - this.#environment.now()));
      }
      this.#wire.write(frame);
    } catch (error) {
      if (call.channel) this.#outbox?.unwritable(call, error);
      else call.fail(error);
      return;
    }
    if (answered) this.#inFlight.set(ref, call);
    else call.succeed(undefined);
  }

  #nextRef(): number {
    do this.#ref = (this.#ref % LAST_REF) + 1;
    while (this.#inFlight.has(this.#ref));
    return this.#ref;
  }
}

/** A session and its client have one inbox, so they are one channel; `#` can stand in no name. */
function channelOf(frame: CallFrame): string {
  if (frame.type === 'publish') return `#${frame.room}`;
  return frame.type === 'send' ? String(frame.to).replace(/#.*/, '') : '';
}

export function abortedBy(signal: AbortSignal | undefined): GatewayError {
  return new GatewayError('aborted', undefined, { cause: signal?.reason });
}
