// All calls until they are settled, each exactly once: what waits is bounded, and the code that writes it is loaded for the first.
import { GatewayError } from '../protocol/errors.js';
import { type CallFrame, CallQueue, type PendingCall } from './call-queue.js';
import type { Receipt } from './deliveries.js';
import type { Flight, FlightPort, OpenWire } from './flight.js';
import type { Lazy } from './lazy.js';
import type { WhenOffline } from './options.js';
import type { LoadingPayload } from './payloads.js';
import type { AnswerTo, readAnswer } from './results.js';
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

export interface Wire extends OpenWire {
  readonly state: State;
}

/** Until the late code is asked for again, ms, where it could not be loaded though there is a connection. */
const RELOAD_MS = 1_000;

export interface CallsPort extends Omit<FlightPort, 'queue' | 'flush'> {
  readonly wire: Wire;
  readonly code: Lazy<{ Flight: typeof Flight; readAnswer: typeof readAnswer }>;
  /** Little waits, after much did. */
  onDrain(): void;
}

export class Calls {
  readonly #port: CallsPort;
  readonly #queue = new CallQueue();
  #flight: Flight | null = null;
  #isLoading = false;
  #failedLoads = 0;
  #cancelReload = (): void => {};
  /** Somebody should be told when less waits. */
  #isFull = false;

  constructor(port: CallsPort) {
    this.#port = port;
  }

  /** Payload bytes that wait, or are not accepted yet. */
  get bufferedBytes(): number {
    return this.#queue.bytes + (this.#flight?.openBytes ?? 0);
  }

  /** The calls that were written. Null until the code for it is there: all calls wait in the queue. */
  get flight(): Flight | null {
    const { loaded } = this.#port.code;
    if (loaded !== null)
      this.#flight ??= new loaded.Flight({ ...this.#port, queue: this.#queue, flush: () => this.flush() });
    return this.#flight;
  }

  /** Rejects with `bad_frame` where the answer has not the expected shape. */
  async start<Frame extends CallFrame>(
    frame: Frame,
    { signal, whenOffline }: CallOptions = {},
    { loading, receipt }: { loading?: LoadingPayload | undefined; receipt?: Receipt | undefined } = {},
  ): Promise<AnswerTo<Frame>> {
    const answer = await new Promise<unknown>((resolve, reject) => {
      const isVolatile = 'seq' in frame && frame.seq === 0;
      const settle = (): boolean => {
        if (call.settled) return false;
        this.#queue.remove(call);
        cancelTimer();
        signal?.removeEventListener('abort', abort);
        return (call.settled = true);
      };
      const call: PendingCall = {
        frame,
        isVolatile,
        // What is volatile and waits is no longer what it was.
        patient: (whenOffline ?? (isVolatile ? 'fail' : this.#port.settings.whenOffline)) === 'queue',
        channel: isVolatile ? '' : channelOf(frame),
        bytes: loading?.bytes ?? ('payload' in frame ? frame.payload.data.length : 0),
        number: 0,
        seq: null,
        first: 0,
        until: 0,
        receipt,
        startedAt: this.#port.environment.now(),
        ready: loading === undefined,
        settled: false,
        succeed: (answer) => settle() && resolve(answer),
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- what failed is passed on as it is
        fail: (error) => settle() && reject(error),
      };
      const withdraw = (error: unknown): void => {
        call.fail(error);
        this.#flight?.settled(call);
        this.flush();
      };
      const abort = (): void => withdraw(abortedBy(signal));
      signal?.addEventListener('abort', abort);
      const timeoutMs = frame.type === 'request' ? frame.timeoutMs : receipt?.timeoutMs;
      const cancelTimer =
        timeoutMs === undefined
          ? () => {}
          : this.#port.environment.after(timeoutMs, () => {
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
    const { readAnswer } = await this.#port.code.load();
    return readAnswer<Frame['type']>(frame.type, answer);
  }

  /** What `run` starts goes ahead of everything that waits. */
  ahead(run: () => void): void {
    const waiting = this.#queue.takeAll();
    run();
    for (const call of waiting) this.#queue.add(call);
    this.flush();
  }

  /** Writes what waits, as far as the connection takes it. */
  flush(): void {
    const { calls } = this.#queue;
    const { flight } = this;
    if (flight !== null) flight.flush();
    else if (calls.size > 0) this.#load();
    const { offlineQueueLimitMessages, offlineQueueLimitBytes } = this.#port.settings;
    const isHigh =
      this.bufferedBytes >= offlineQueueLimitBytes / 2 || calls.size >= offlineQueueLimitMessages / 2;
    if (isHigh === this.#isFull) return;
    this.#isFull = isHigh;
    if (!isHigh) this.#port.onDrain();
  }

  /** The connection is gone: settles what cannot be repeated, puts the rest in front of the queue. */
  lost(): void {
    const waiting = this.#queue.takeAll();
    this.flight?.lost();
    for (const call of waiting) {
      if (call.patient) this.#queue.add(call);
      else call.fail(new GatewayError('offline'));
    }
  }

  end(error: GatewayError): void {
    this.#cancelReload();
    this.#flight?.end(error);
    for (const call of this.#queue.takeAll()) call.fail(error);
    this.#isFull = this.#isLoading = false;
  }

  #admit(call: PendingCall, signal: AbortSignal | undefined): void {
    const { frame, bytes } = call;
    const { offlineQueueLimitMessages, offlineQueueLimitBytes } = this.#port.settings;
    const queue = this.#queue;
    if (signal?.aborted) call.fail(abortedBy(signal));
    else if (this.#port.wire.state === 'closed') call.fail(new GatewayError('closed'));
    else if (!this.#port.wire.open && !call.patient) call.fail(new GatewayError('offline'));
    else {
      const flight = queue.calls.size === 0 && this.flight?.takes(call) ? this.flight : null;
      if (
        flight === null &&
        (queue.calls.size >= offlineQueueLimitMessages || queue.bytes + bytes > offlineQueueLimitBytes)
      ) {
        this.#isFull = true;
        call.fail(new GatewayError('queue_full'));
        return;
      }
      // The application may write into its bytes again before the call is written, or written again.
      if ('payload' in frame && (call.channel || flight === null))
        frame.payload = { ...frame.payload, data: frame.payload.data.slice() };
      if (flight !== null) return flight.write(call);
      queue.add(call);
      this.flush();
    }
  }

  #load(): void {
    if (this.#isLoading) return;
    this.#isLoading = true;
    this.#port.code.load().then(
      () => this.flush(),
      (error: unknown) => this.#loadFailed(error),
    );
  }

  /** Without a connection it is tried again with the next one. */
  #loadFailed(error: unknown): void {
    const tryAgain = (): void => {
      this.#isLoading = false;
      this.flush();
    };
    if (!this.#port.wire.open) this.#isLoading = false;
    else {
      this.#cancelReload = this.#port.environment.after(RELOAD_MS, tryAgain);
      if (++this.#failedLoads * RELOAD_MS < this.#port.settings.acceptTimeoutMs) return;
      this.#failedLoads = 0;
      for (const call of this.#queue.takeAll()) call.fail(error);
      this.flush();
    }
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
