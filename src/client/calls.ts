// All calls without an answer: numbers them, queues them while they cannot be written, and settles each exactly once.
import { GatewayError } from '../protocol/errors.js';
import type { ClientFrame } from '../protocol/frame.js';
import { abortedBy } from './aborted.js';
import { type CallFrame, type CallOptions, type LoadingPayload, onLossOf, type PendingCall } from './call.js';
import type { Environment } from './environment.js';
import type { Settings } from './options.js';
import { Outbox } from './outbox.js';
import type { State } from './state.js';

/** The way to the gateway, as far as calls need it. */
export interface Wire {
  readonly state: State;
  readonly open: boolean;
  /** The socket holds so much that writing more would only move the queue into it. */
  readonly congested: boolean;
  /** @throws ProtocolError where the frame cannot be written */
  write(frame: ClientFrame): void;
}

/** The number after it belongs to the link's probe; 0 wants no answer. */
const LAST_REF = 0xffff_fffe;
/** How often a full socket is looked at: WebSockets have no event for it. */
const CONGESTION_POLL_MS = 20;

export class Calls {
  readonly #wire: Wire;
  readonly #settings: Settings;
  readonly #environment: Environment;
  readonly #outbox: Outbox;
  readonly #inFlight = new Map<number, PendingCall>();
  #ref = 0;
  #cancelPoll: (() => void) | null = null;

  constructor(wire: Wire, settings: Settings, environment: Environment) {
    this.#wire = wire;
    this.#settings = settings;
    this.#environment = environment;
    this.#outbox = new Outbox(settings.offlineQueueLimitMessages, settings.offlineQueueLimitBytes);
  }

  /** `parse` makes the result of the answer; it throws where the answer has not the expected shape. */
  start<Result>(
    frame: CallFrame,
    parse: (answer: unknown) => Result,
    options: CallOptions = {},
    loading?: LoadingPayload,
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      const call = this.#newCall(frame, parse, options, loading, resolve, reject);
      const refusal = this.#refusal(call, options);
      if (refusal !== null) call.fail(refusal);
      else if (this.#canWrite && this.#outbox.empty && call.ready) this.#write(call);
      else this.#enqueue(call);
    });
  }

  /** Ahead of everything that waits; for what a new session must know first. Not written before `flush()`. */
  startFirst<Result>(
    frames: readonly CallFrame[],
    parse: (answer: unknown) => Result,
    options: CallOptions,
  ): Promise<Result>[] {
    const calls: PendingCall[] = [];
    const results = frames.map(
      (frame) =>
        new Promise<Result>((resolve, reject) => {
          calls.push(this.#newCall(frame, parse, options, undefined, resolve, reject));
        }),
    );
    this.#outbox.putFirst(calls);
    return results;
  }

  succeed(ref: number, answer: unknown): void {
    this.#inFlight.get(ref)?.succeed(answer);
    this.#landed(ref);
  }

  fail(ref: number, error: unknown): void {
    this.#inFlight.get(ref)?.fail(error);
    this.#landed(ref);
  }

  /** Writes what waits, as far as the connection takes it. */
  flush(): void {
    while (this.#canWrite) {
      const call = this.#outbox.first;
      if (!call?.ready) return;
      this.#outbox.delete(call);
      this.#write(call);
    }
    if (!this.#wire.open || !this.#wire.congested || this.#outbox.empty) return;
    this.#cancelPoll ??= this.#environment.after(CONGESTION_POLL_MS, () => {
      this.#cancelPoll = null;
      this.flush();
    });
  }

  /** The connection is gone: settles what cannot be repeated, puts the rest in front of the queue. */
  lost(): void {
    const again: PendingCall[] = [];
    for (const [ref, call] of this.#inFlight) {
      if (call.onLoss === 'wait' && !call.settled) continue;
      this.#inFlight.delete(ref);
      if (call.onLoss !== 'repeat') call.fail(new GatewayError('unknown_outcome'));
      else if (!call.settled) again.push(call);
    }
    for (const call of this.#outbox.takeAll()) {
      if (call.patient) again.push(call);
      else call.fail(new GatewayError('offline'));
    }
    this.#outbox.putFirst(again);
  }

  /** A new session began instead of the old one: answers to the old one's requests will not come. */
  sessionLost(): void {
    for (const call of this.#inFlight.values()) call.fail(new GatewayError('unknown_outcome'));
    this.#inFlight.clear();
  }

  end(error: GatewayError): void {
    this.#cancelPoll?.();
    this.#cancelPoll = null;
    for (const call of [...this.#inFlight.values(), ...this.#outbox.takeAll()]) call.fail(error);
    this.#inFlight.clear();
  }

  get #canWrite(): boolean {
    const { open, congested } = this.#wire;
    return open && !congested && this.#inFlight.size < this.#settings.inFlightLimitCalls;
  }

  #refusal(call: PendingCall, { signal }: CallOptions): GatewayError | null {
    if (signal?.aborted) return abortedBy(signal);
    if (this.#wire.state === 'closed') return new GatewayError('closed');
    return this.#wire.open || call.patient ? null : new GatewayError('offline');
  }

  #newCall<Result>(
    frame: CallFrame,
    parse: (answer: unknown) => Result,
    { signal, whenOffline }: CallOptions,
    loading: LoadingPayload | undefined,
    resolve: (result: Result) => void,
    reject: (error: unknown) => void,
  ): PendingCall {
    const onLoss = onLossOf(frame);
    // What is volatile and waits is no longer what it was; a reply is neither, and has nobody who could choose.
    const fallback = onLoss === 'forget' && 'seq' in frame ? 'fail' : this.#settings.whenOffline;
    let cancelTimer = (): void => {};
    const settle = (finish: () => void): void => {
      if (call.settled) return;
      call.settled = true;
      cancelTimer();
      signal?.removeEventListener('abort', abort);
      try {
        finish();
      } catch (error) {
        reject(error);
      }
    };
    const call: PendingCall = {
      frame,
      onLoss,
      patient: (whenOffline ?? fallback) === 'queue',
      bytes: loading?.bytes ?? ('payload' in frame ? frame.payload.data.byteLength : 0),
      startedAt: this.#environment.now(),
      ready: loading === undefined,
      settled: false,
      succeed: (answer) => settle(() => resolve(parse(answer))),
      fail: (error) => settle(() => reject(error)),
    };
    // A withdrawn call leaves the queue; one in flight keeps its number until its answer came, so that it stays counted.
    const withdraw = (error: unknown): void => {
      this.#outbox.delete(call);
      call.fail(error);
      this.flush();
    };
    const abort = (): void => withdraw(abortedBy(signal));
    signal?.addEventListener('abort', abort);
    if (frame.type === 'request') {
      cancelTimer = this.#environment.after(frame.timeoutMs, () => withdraw(new GatewayError('timeout')));
    }
    loading?.ready.then((payload) => {
      if ('payload' in frame) frame.payload = payload;
      call.ready = true;
      this.flush();
    }, withdraw);
    return call;
  }

  #enqueue(call: PendingCall): void {
    if (!this.#outbox.fits(call.bytes)) {
      call.fail(new GatewayError('queue_full'));
      return;
    }
    const { frame } = call;
    // The application may write into its bytes again before the call is written.
    if ('payload' in frame) frame.payload = { ...frame.payload, data: frame.payload.data.slice() };
    this.#outbox.add(call);
    this.flush();
  }

  #write(call: PendingCall): void {
    const { frame } = call;
    const answered = call.onLoss !== 'forget';
    let ref = 0;
    try {
      if (answered && 'ref' in frame) ref = frame.ref = this.#nextRef();
      if (frame.type === 'request') {
        frame.timeoutMs = Math.max(1, Math.ceil(call.startedAt + frame.timeoutMs - this.#environment.now()));
      }
      this.#wire.write(frame);
    } catch (error) {
      call.fail(error);
      return;
    }
    if (answered) this.#inFlight.set(ref, call);
    else call.succeed(undefined);
  }

  #nextRef(): number {
    do this.#ref = this.#ref < LAST_REF ? this.#ref + 1 : 1;
    while (this.#inFlight.has(this.#ref));
    return this.#ref;
  }

  #landed(ref: number): void {
    if (this.#inFlight.delete(ref) && !this.#outbox.empty) this.flush();
  }
}
