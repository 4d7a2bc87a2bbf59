// All calls until they are settled, each exactly once: what waits to be written is bounded.
import { GatewayError } from '../protocol/errors.js';
import type { CallOptions, Made } from './call-options.js';
import type { CallQueue } from './call-queue.js';
import type { Receipt } from './deliveries.js';
import { Flight, type FlightPort } from './flight.js';
import type { LoadingPayload } from './payload-encoder.js';
import type { CallFrame, PendingCall } from './pending-call.js';
import { type AnswerTo, readAnswer } from './results.js';
import { onWithdrawal } from './withdrawal.js';

export interface CallDeskPort extends Omit<FlightPort, 'flush'> {
  /** Little waits, after much did. */
  onDrain(): void;
}

/** What is told of a call beside its answer. */
export interface Following {
  receipt?: Receipt | undefined;
  /** See `MessageCallOptions.onRefused`. */
  onRefused?: PendingCall['onRefused'];
}

export class CallDesk {
  readonly #port: CallDeskPort;
  readonly #queue: CallQueue<PendingCall>;
  /** The calls that were written. */
  readonly flight: Flight;

  constructor(port: CallDeskPort) {
    this.#port = port;
    this.#queue = port.queue;
    this.flight = new Flight({ ...port, flush: () => this.flush() });
  }

  /** Payload bytes that wait, or are not accepted yet. */
  get bufferedBytes(): number {
    return this.#queue.bytes + this.flight.openBytes;
  }

  /** Rejects with `bad_frame` where the answer has not the expected shape. */
  async start<Frame extends CallFrame>(
    frame: Frame,
    options: Made<CallOptions>,
    { loading, receipt, onRefused }: Following & { loading?: LoadingPayload | undefined } = {},
  ): Promise<AnswerTo<Frame>> {
    const answer = await new Promise<unknown>((resolve, reject) => {
      const isVolatile = 'seq' in frame && frame.seq === 0;
      const settle = (): boolean => {
        if (call.settled) return false;
        this.#queue.remove(call);
        stop();
        return (call.settled = true);
      };
      const call: PendingCall = {
        frame,
        isVolatile,
        onRefused,
        patient: options.patient,
        channel: isVolatile ? '' : channelOf(frame),
        bytes: loading?.bytes ?? ('payload' in frame ? frame.payload.data.length : 0),
        number: 0,
        seq: null,
        first: 0,
        until: 0,
        receipt,
        startedAt: options.madeAt,
        loading,
        ready: loading === undefined,
        settled: false,
        succeed: (answer) => settle() && resolve(answer),
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- what failed is passed on as it is
        fail: (error) => settle() && reject(error),
      };
      const withdraw = (error: unknown): void => {
        call.fail(error);
        this.flight.settled(call);
        this.flush();
      };
      const stop = onWithdrawal(options, this.#port.environment, (error) => {
        const isUnconfirmed = error.code === 'timeout' && call.isAccepted;
        withdraw(isUnconfirmed ? new GatewayError('timeout', 'Accepted, but not confirmed in time.') : error);
      });
      loading?.ready.then(
        (payload) => {
          if ('payload' in frame) frame.payload = payload;
          call.ready = true;
          this.flush();
        },
        (error: unknown) => this.flight.unmade(call, error),
      );
      this.#admit(call, options.signal);
    });
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
    const queue = this.#queue;
    this.flight.flush();
    const { offlineQueueLimitMessages, offlineQueueLimitBytes } = this.#port.settings;
    const isHigh =
      this.bufferedBytes >= offlineQueueLimitBytes / 2 || queue.calls.size >= offlineQueueLimitMessages / 2;
    if (isHigh === queue.isFull) return;
    queue.isFull = isHigh;
    if (!isHigh) this.#port.onDrain();
  }

  /** The connection is gone: settles what cannot be repeated, puts the rest in front of the queue. */
  lost(): void {
    this.#queue.lost(() => this.flight.lost());
  }

  end(error: GatewayError): void {
    this.flight.end(error);
    this.#queue.end(error);
    this.#queue.isFull = false;
  }

  #admit(call: PendingCall, signal: AbortSignal | undefined): void {
    const { frame } = call;
    const queue = this.#queue;
    const isNext = queue.calls.size === 0 && this.flight.takes(call);
    if (!queue.admits(call, signal, isNext)) return;
    // The application may write into its bytes again before the call is written, or written again.
    if ('payload' in frame && (call.channel || !isNext))
      frame.payload = { ...frame.payload, data: frame.payload.data.slice() };
    if (isNext) return this.flight.write(call);
    queue.add(call);
    this.flush();
  }
}

/** A session and its client have one inbox, so they are one channel; `#` can stand in no name. */
function channelOf(frame: CallFrame): string {
  if (frame.type === 'publish') return `#${frame.room}`;
  return frame.type === 'send' ? String(frame.to).replace(/#.*/, '') : '';
}
