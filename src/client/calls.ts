// All calls without an answer: numbers them, queues them while they cannot be written, and settles each exactly once.
import { GatewayError } from '../protocol/errors.js';
import type { ClientFrame, Payload } from '../protocol/frame.js';
import { abortedBy } from './aborted.js';
import { type CallSpec, NO_PAYLOAD, type PendingCall } from './call.js';
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
  readonly #outbox: Outbox;
  readonly #inFlight = new Map<number, PendingCall>();
  #ref = 0;
  #cancelPoll: (() => void) | null = null;

  constructor(
    private readonly wire: Wire,
    private readonly settings: Settings,
    private readonly environment: Environment,
  ) {
    this.#outbox = new Outbox(settings.offlineQueueLimitMessages, settings.offlineQueueLimitBytes);
  }

  start<Result>(spec: CallSpec<Result>): Promise<Result> {
    const refusal = this.#refusal(spec);
    if (refusal !== null) return Promise.reject(refusal);
    return new Promise<Result>((resolve, reject) => {
      const call = this.#newCall(spec, resolve, reject);
      if (this.#canWrite && this.#outbox.empty && call.payload !== null) this.#write(call);
      else if (this.#outbox.fits(call.bytes)) this.#enqueue(call);
      else call.fail(new GatewayError('queue_full'));
    });
  }

  /** Ahead of everything that waits, in the given order; for what a new session must know first. */
  startFirst<Result>(specs: readonly CallSpec<Result>[]): Promise<Result>[] {
    const calls: PendingCall[] = [];
    const results = specs.map(
      (spec) => new Promise<Result>((resolve, reject) => calls.push(this.#newCall(spec, resolve, reject))),
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
      if (call === undefined || call.payload === null) return;
      this.#outbox.delete(call);
      this.#write(call);
    }
    if (!this.wire.open || this.#outbox.empty || this.#cancelPoll !== null || !this.wire.congested) return;
    this.#cancelPoll = this.environment.after(CONGESTION_POLL_MS, () => {
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
      if (call.settled) continue;
      if (call.onLoss === 'repeat') again.push(call);
      else call.fail(new GatewayError('unknown_outcome'));
    }
    for (const call of this.#outbox.takeAll()) {
      if (call.patient) again.push(call);
      else call.fail(new GatewayError('offline'));
    }
    this.#outbox.putFirst(again);
  }

  /** A new session began instead of the old one: answers to the old one's requests will not come. */
  sessionLost(): void {
    for (const [ref, call] of this.#inFlight) {
      this.#inFlight.delete(ref);
      call.fail(new GatewayError('unknown_outcome'));
    }
  }

  end(error: GatewayError): void {
    const calls = [...this.#inFlight.values(), ...this.#outbox.takeAll()];
    this.#inFlight.clear();
    this.#cancelPoll?.();
    this.#cancelPoll = null;
    for (const call of calls) call.fail(error);
  }

  get #canWrite(): boolean {
    return this.wire.open && !this.wire.congested && this.#inFlight.size < this.settings.inFlightLimitCalls;
  }

  #refusal(spec: CallSpec<unknown>): GatewayError | null {
    if (spec.signal?.aborted) return abortedBy(spec.signal);
    if (this.wire.state === 'closed') return new GatewayError('closed');
    return this.wire.open || this.#isPatient(spec) ? null : new GatewayError('offline');
  }

  #isPatient(spec: CallSpec<unknown>): boolean {
    return (spec.whenOffline ?? this.settings.whenOffline) !== 'fail';
  }

  #newCall<Result>(
    spec: CallSpec<Result>,
    resolve: (result: Result) => void,
    reject: (error: unknown) => void,
  ): PendingCall {
    const { payload = NO_PAYLOAD, signal, timeoutMs } = spec;
    let cancelTimer: (() => void) | null = null;
    const settle = (finish: () => void): void => {
      if (call.settled) return;
      call.settled = true;
      cancelTimer?.();
      signal?.removeEventListener('abort', abort);
      finish();
    };
    const call: PendingCall = {
      frame: (ref, ready) => spec.frame(ref, ready),
      onLoss: spec.onLoss,
      patient: this.#isPatient(spec),
      payload: 'ready' in payload ? null : payload,
      bytes: 'ready' in payload ? payload.bytes : payload.data.byteLength,
      settled: false,
      succeed: (answer) =>
        settle(() => {
          try {
            resolve(spec.result(answer));
          } catch (error) {
            reject(error);
          }
        }),
      fail: (error) => settle(() => reject(error)),
    };
    // Withdrawn calls leave the queue; one in flight keeps its number until its answer came, so that it stays counted.
    const withdraw = (error: GatewayError): void => {
      this.#outbox.delete(call);
      call.fail(error);
      this.flush();
    };
    const abort = (): void => withdraw(abortedBy(signal));
    signal?.addEventListener('abort', abort);
    if (timeoutMs !== undefined) {
      cancelTimer = this.environment.after(timeoutMs, () => withdraw(new GatewayError('timeout')));
    }
    if ('ready' in payload) this.#awaitPayload(call, payload.ready);
    return call;
  }

  #awaitPayload(call: PendingCall, payload: Promise<Payload>): void {
    payload.then(
      (ready) => {
        call.payload = ready;
        this.flush();
      },
      (error: unknown) => {
        this.#outbox.delete(call);
        call.fail(error);
        this.flush();
      },
    );
  }

  #enqueue(call: PendingCall): void {
    const { payload } = call;
    // The application may write into its bytes again before the call is written.
    if (payload !== null) call.payload = { encoding: payload.encoding, data: payload.data.slice() };
    this.#outbox.add(call);
    this.flush();
  }

  #write(call: PendingCall): void {
    const answered = call.onLoss !== 'forget';
    const ref = answered ? this.#nextRef() : 0;
    try {
      this.wire.write(call.frame(ref, call.payload ?? NO_PAYLOAD));
    } catch (error) {
      call.fail(error);
      return;
    }
    if (answered) this.#inFlight.set(ref, call);
    else call.succeed(undefined);
  }

  #nextRef(): number {
    do this.#ref = this.#ref >= LAST_REF ? 1 : this.#ref + 1;
    while (this.#inFlight.has(this.#ref));
    return this.#ref;
  }

  #landed(ref: number): void {
    if (this.#inFlight.delete(ref) && !this.#outbox.empty) this.flush();
  }
}
