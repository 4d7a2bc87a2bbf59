// Calls on their way: writes what waits as far as the connection takes it, numbers it, and hands each call its answer.
import { GatewayError } from '../protocol/errors.js';
import type { ClientFrame, GatewayFrame } from '../protocol/frame.js';
import type { CallQueue } from './call-queue.js';
import type { Environment } from './environment.js';
import type { Settings } from './options.js';
import { Outbox } from './outbox.js';
import type { Payloads } from './payloads.js';
import type { CallFrame, PendingCall } from './pending-call.js';

/** The way to the gateway, as far as calls are written to it. */
export interface OpenWire {
  readonly open: boolean;
  /** The socket holds so much that writing more would only move the queue into it. */
  readonly congested: boolean;
  /** @throws ProtocolError where the frame cannot be written */
  write(frame: ClientFrame): void;
}

/** What the gateway says of calls. */
export type AnswerFrame = Extract<
  GatewayFrame,
  { type: 'ok' | 'error' | 'response' | 'delivered' | 'doubt' }
>;

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
  call: 'wait',
  pair: 'wait',
  reply: 'forget',
  reject: 'forget',
};

/** Most calls without an answer; further ones wait in the queue. */
const IN_FLIGHT_LIMIT_CALLS = 10_000;
/** The number after it belongs to the link's probe; 0 wants no answer. */
const LAST_REF = 0xffff_fffe;
/** Most volatile messages whose refusal somebody wants to hear: it comes soon, or never. */
const WATCHED_LIMIT_CALLS = 256;
/** How often a full socket is looked at: WebSockets have no event for it. */
const CONGESTION_POLL_MS = 20;

export interface FlightPort {
  readonly wire: OpenWire;
  readonly queue: CallQueue<PendingCall>;
  readonly settings: Settings;
  readonly environment: Environment;
  readonly decode: Payloads['decode'];
  /** What no promise can tell. */
  readonly report: (error: unknown) => void;
  /** More may be written than before: comes back as `flush()`. */
  flush(): void;
}

export class Flight {
  readonly #port: FlightPort;
  readonly #inFlight = new Map<number, PendingCall>();
  /** Of volatile messages: whom to tell of a refusal. */
  readonly #watched = new Map<number, (error: GatewayError) => void>();
  readonly #outbox: Outbox<PendingCall>;
  #ref = 0;
  #cancelPoll = (): void => {};

  constructor(port: FlightPort) {
    this.#port = port;
    this.#outbox = new Outbox(port.settings, port.environment, port);
  }

  /** Payload bytes of messages that are not accepted yet. */
  get openBytes(): number {
    return this.#outbox.openBytes;
  }

  /** Whether a call can be written now, if none waits before it. */
  takes(call: PendingCall): boolean {
    return (
      (call.ready || call.loading?.isAtHand?.() === true) &&
      this.#canWrite &&
      this.#hasRoomFor(call) &&
      this.#mayFollow(call)
    );
  }

  flush(): void {
    const { queue, wire, environment } = this.#port;
    this.#cancelPoll();
    for (;;) {
      const call = this.#canWrite ? this.#outbox.again() : undefined;
      // One whose payload never came back from where it was encoded is given up before long.
      if (call === undefined || !call.ready) break;
      this.write(call);
    }
    for (const call of queue.calls) {
      if (!call.ready || !this.#canWrite || !this.#hasRoomFor(call)) break;
      // Its channel waits for answers; others need not.
      if (!this.#mayFollow(call)) continue;
      queue.remove(call);
      this.write(call);
    }
    if (queue.calls.size > 0 && wire.congested)
      this.#cancelPoll = environment.after(CONGESTION_POLL_MS, () => this.#port.flush());
  }

  write(call: PendingCall): void {
    const { frame } = call;
    const { wire, environment } = this.#port;
    const answered = onLossOf(call) !== 'forget';
    let ref = 0;
    try {
      // Written again it keeps its number: the answer to the first writing may still come.
      if ((answered || call.onRefused) && 'ref' in frame) ref = frame.ref ||= this.#nextRef();
      if (call.channel && 'seq' in frame) {
        this.#outbox.add(call);
        frame.seq = call.seq;
        if (call.first > 0) frame.options.first = call.first;
        else delete frame.options.first;
      }
      if ('timeoutMs' in frame) {
        frame.timeoutMs = Math.max(1, Math.ceil(call.startedAt + frame.timeoutMs - environment.now()));
      }
      if (call.ready) wire.write(frame);
      else call.loading?.carry?.(() => wire.write(frame));
    } catch (error) {
      if (call.channel) this.#outbox.unwritable(call, error);
      else call.fail(error);
      return;
    }
    if (answered) this.#inFlight.set(ref, call);
    else {
      if (call.onRefused) this.#watch(ref, call.onRefused);
      call.succeed(undefined);
    }
  }

  receive(frame: AnswerFrame): void {
    switch (frame.type) {
      case 'ok':
        return this.succeed(frame.ref, frame.result);
      case 'error': {
        const error = new GatewayError(frame.code, frame.text);
        const told = this.#watched.get(frame.ref);
        if (told !== undefined) {
          this.#watched.delete(frame.ref);
          return told(error);
        }
        // Of a volatile message, or of no call at all.
        return frame.ref === 0 ? this.#port.report(error) : this.fail(frame.ref, error, frame.expected);
      }
      case 'response':
        return this.#port.decode(
          frame.payload,
          (data) => this.succeed(frame.ref, data),
          (error) => this.fail(frame.ref, error),
          askedOf(this.#inFlight.get(frame.ref)?.frame),
          true,
        );
      case 'delivered':
        return this.#outbox.received(frame.by, frame.seq);
      case 'doubt':
        return this.doubt();
      default:
        frame satisfies never;
    }
  }

  /** The answer to a call came, unless it was given up long ago. */
  succeed(ref: number, answer: unknown): void {
    const call = this.#land(ref);
    if (call?.channel) this.#outbox.accepted(call, answer);
    else call?.succeed(answer);
    this.#port.flush();
  }

  /** `expected`: see `ErrorFrame`. */
  fail(ref: number, error: unknown, expected: number | null = null): void {
    const call = this.#land(ref);
    if (call?.channel && error instanceof GatewayError) this.#outbox.refused(call, error, expected);
    else call?.fail(error);
    this.#port.flush();
  }

  /** Its payload cannot be made after all; it may have been written. */
  unmade(call: PendingCall, error: unknown): void {
    const { frame } = call;
    if ('ref' in frame && this.#inFlight.get(frame.ref) === call) this.#inFlight.delete(frame.ref);
    if (call.channel) this.#outbox.unwritable(call, error);
    call.fail(error);
    this.#port.flush();
  }

  /** The call ended by itself. In flight it keeps its number until its answer came, so that it stays counted. */
  settled(call: PendingCall): void {
    this.#outbox.settled(call);
  }

  /** The connection is gone: settles what cannot be repeated, and queues the rest. */
  lost(): void {
    this.#watched.clear();
    const { queue } = this.#port;
    const kept: PendingCall[] = [];
    for (const [ref, call] of this.#inFlight) {
      const onLoss = onLossOf(call);
      if (onLoss === 'wait' && !call.settled) continue;
      this.#inFlight.delete(ref);
      if (call.channel) kept.push(call);
      else if (onLoss !== 'repeat') call.fail(new GatewayError('unknown_outcome'));
      else if (!call.settled) queue.add(call);
    }
    this.#outbox.lost(kept);
  }

  /** There is a connection again: of the same session, or of a new one, where answers to the old one's requests will not come. */
  welcomed(isResumed: boolean): void {
    if (!isResumed) this.sessionLost();
    this.#outbox.resumed();
    if (isResumed) this.#outbox.askAgain();
  }

  /** The store may have lost what it accepted last. */
  doubt(): void {
    this.#outbox.doubt();
    this.#port.flush();
  }

  sessionLost(): void {
    const error = new GatewayError('unknown_outcome');
    this.#failAll(error);
    this.#outbox.clear(error);
  }

  end(error: GatewayError): void {
    this.#cancelPoll();
    this.#failAll(error);
    this.#outbox.clear(error.code === 'closed' ? error : new GatewayError('unknown_outcome'), error);
  }

  #watch(ref: number, told: (error: GatewayError) => void): void {
    const [oldest] = this.#watched.keys();
    if (oldest !== undefined && this.#watched.size >= WATCHED_LIMIT_CALLS) this.#watched.delete(oldest);
    this.#watched.set(ref, told);
  }

  #failAll(error: GatewayError): void {
    for (const call of this.#inFlight.values()) call.fail(error);
    this.#inFlight.clear();
  }

  #land(ref: number): PendingCall | undefined {
    const call = this.#inFlight.get(ref);
    this.#inFlight.delete(ref);
    return call;
  }

  get #canWrite(): boolean {
    const { wire } = this.#port;
    return wire.open && !wire.congested && this.#inFlight.size < IN_FLIGHT_LIMIT_CALLS;
  }

  #hasRoomFor(call: PendingCall): boolean {
    return !call.channel || this.#outbox.hasRoomFor(call);
  }

  #mayFollow(call: PendingCall): boolean {
    return !call.channel || this.#outbox.takesNew(call);
  }

  #nextRef(): number {
    do this.#ref = (this.#ref % LAST_REF) + 1;
    while (this.#inFlight.has(this.#ref) || this.#watched.has(this.#ref));
    return this.#ref;
  }
}

function onLossOf({ frame, isVolatile }: PendingCall): OnLoss {
  return isVolatile ? 'forget' : (ON_LOSS[frame.type] ?? 'repeat');
}

/** What a request was about; its answer is read with it. */
function askedOf(frame: CallFrame | undefined): string {
  if (frame?.type === 'request') return frame.event;
  return frame?.type === 'call' ? frame.service : '~pair';
}
