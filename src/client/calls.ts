// Calls as the application makes them: they wait, in order and bounded, until the code that writes them is there.
import type { GatewayError } from '../protocol/errors.js';
import type { CallDesk, CallDeskPort } from './call-desk.js';
import type { CallOptions, Made } from './call-options.js';
import type { Make } from './caller.js';
import { CallQueue, type QueuePort, type WaitingCall } from './call-queue.js';
import type * as late from './late.js';
import type { LateCode } from './late-code.js';
import type { PendingCall } from './pending-call.js';
import { snapshotOf } from './snapshot.js';
import type { Verbs, VerbsPort } from './verbs.js';
import { onWithdrawal } from './withdrawal.js';

/** Until the late code is asked for again, ms, where it could not be loaded though there is a connection. */
const RELOAD_MS = 1_000;

/** The way to the gateway, as far as calls look at it. */
export type Wire = CallDeskPort['wire'] & QueuePort['wire'];

export interface CallsPort extends Omit<CallDeskPort, 'queue'>, VerbsPort {
  readonly wire: Wire;
  readonly code: LateCode;
  /** Once, when it is there. */
  onCode(code: typeof late): void;
}

/** A call whose code is on its way. */
interface EarlyCall extends WaitingCall {
  make(verbs: Verbs): void;
}

export class Calls {
  readonly #port: CallsPort;
  readonly #early: CallQueue<EarlyCall>;
  /** What makes calls; null until the code for it is there. */
  desk: CallDesk | null = null;
  #verbs: Verbs | null = null;
  #isLoading = false;
  #failedLoads = 0;
  #cancelReload = (): void => {};

  constructor(port: CallsPort) {
    this.#port = port;
    this.#early = new CallQueue(port);
  }

  /** Payload bytes that wait, or are not accepted yet. */
  get bufferedBytes(): number {
    return this.#early.bytes + (this.desk?.bufferedBytes ?? 0);
  }

  run<Options extends CallOptions & { volatile?: boolean }, Result>(
    given: Options = {} as Options,
    make: Make<Options, Result>,
    data?: unknown,
    timeoutMs?: number,
  ): Promise<Result> {
    const { environment, settings } = this.#port;
    // What is volatile and waits is no longer what it was.
    const whenOffline = given.whenOffline ?? (given.volatile ? 'fail' : settings.whenOffline);
    // The application may change its options, and its data below, before the call is made.
    const options: Made<Options> = {
      ...given,
      timeoutMs,
      madeAt: environment.now(),
      patient: whenOffline === 'queue',
    };
    this.load();
    if (this.#verbs !== null) return make(this.#verbs, options, data);
    return new Promise((resolve, reject) => {
      const snapshot = settings.serializers?.snapshot(data, make, options) ?? snapshotOf(data);
      const call: EarlyCall = {
        bytes: snapshot.bytes,
        patient: options.patient,
        make(verbs) {
          stop();
          resolve(make(verbs, options, snapshot.data));
        },
        fail(error) {
          stop();
          // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- what failed is passed on as it is
          reject(error);
        },
      };
      const stop = onWithdrawal(options, environment, (error) => {
        this.#early.remove(call);
        call.fail(error);
      });
      if (this.#early.admits(call, options.signal)) this.#early.add(call);
    });
  }

  /** Has the code loaded: again a second after it could not be had, and with each new connection. */
  load(): void {
    if (this.#isLoading || this.desk !== null) return;
    this.#isLoading = true;
    this.#port.code.use(
      (code) => this.#open(code),
      (error) => this.#loadFailed(error),
    );
  }

  /** The connection is gone. */
  lost(): void {
    this.desk?.lost();
    this.#early.lost();
  }

  end(error: GatewayError): void {
    this.#cancelReload();
    this.desk?.end(error);
    this.#early.end(error);
    this.#early.isFull = this.#isLoading = false;
  }

  #open(code: typeof late): void {
    // A client that was closed meanwhile may have asked twice.
    if (this.desk !== null) return;
    const { CallDesk, Verbs } = code;
    const queue = new CallQueue<PendingCall>(this.#port);
    const desk = (this.desk = new CallDesk({ ...this.#port, queue }));
    const verbs = (this.#verbs = new Verbs(desk, this.#port));
    for (const call of this.#early.takeAll()) call.make(verbs);
    queue.isFull ||= this.#early.isFull;
    desk.flush();
    this.#port.onCode(code);
  }

  /** Without a connection it is tried again with the next one. */
  #loadFailed(error: unknown): void {
    this.#isLoading = false;
    const { wire, environment, settings } = this.#port;
    if (!wire.open || this.#early.calls.size === 0) return;
    this.#isLoading = true;
    this.#cancelReload = environment.after(RELOAD_MS, () => {
      this.#isLoading = false;
      this.load();
    });
    if (++this.#failedLoads * RELOAD_MS < settings.acceptTimeoutMs) return;
    this.#failedLoads = 0;
    this.#early.end(error);
  }
}
