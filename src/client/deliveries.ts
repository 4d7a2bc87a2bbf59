// Messages whose sender wants to know that they reached somebody: a receipt is waited for, asked for, and missed in the end.
import { GatewayError } from '../protocol/errors.js';
import type { ConfirmFrame, SendFrame } from '../protocol/frame.js';
import { abortedBy } from './calls.js';
import type { Environment } from './environment.js';

/** The first wait for a receipt before it is asked for, ms; each further one is twice as long. */
const FIRST_WAIT_MS = 5_000;
const LAST_WAIT_MS = 30_000;
/** How long a receipt may take beyond the message's time to live, ms. */
const GRACE_MS = 2_000;

interface Delivery {
  readonly frame: SendFrame;
  waitMs: number;
  /** Infinity before its acceptance, and for a message without a time to live. */
  expiresAt: number;
  cancelWait(): void;
  /** Received, or given up. */
  settle(error?: GatewayError): void;
}

export interface DeliveryLimits {
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
}

export class Deliveries {
  readonly #environment: Environment;
  /** False where there is no connection. */
  readonly #write: (frame: ConfirmFrame) => boolean;
  /** Not accepted yet, or not even numbered. */
  readonly #sent = new Set<Delivery>();
  /** By client and number. */
  readonly #accepted = new Map<string, Delivery>();

  constructor(environment: Environment, write: (frame: ConfirmFrame) => boolean) {
    this.#environment = environment;
    this.#write = write;
  }

  /**
   * Resolves with the result of `send` when that did and a receipt came. Rejects with `expired`, `timeout` or `aborted`, or as
   * `send` does. The signal that `send` gets fires when nobody waits any more.
   */
  async follow<Result>(
    frame: SendFrame,
    send: (signal: AbortSignal) => Promise<Result>,
    { signal, timeoutMs = Infinity }: DeliveryLimits = {},
  ): Promise<Result> {
    const controller = new AbortController();
    let settle: Delivery['settle'] = () => {};
    const received = new Promise<void>((resolve, reject) => {
      settle = (error) => (error === undefined ? resolve() : reject(error));
    });
    const delivery: Delivery = { frame, waitMs: FIRST_WAIT_MS, expiresAt: Infinity, cancelWait() {}, settle };
    const abort = (): void => {
      settle(abortedBy(signal));
      controller.abort(signal?.reason);
    };
    const cancelTimeout =
      timeoutMs === Infinity
        ? () => {}
        : this.#environment.after(timeoutMs, () => {
            const isAccepted = !this.#sent.has(delivery);
            settle(
              new GatewayError('timeout', isAccepted ? 'Accepted, but not confirmed in time.' : undefined),
            );
            controller.abort();
          });
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
    this.#sent.add(delivery);
    try {
      const accepted = send(controller.signal).then((result) => {
        if (this.#sent.delete(delivery)) this.#wait(delivery);
        return result;
      });
      const [result] = await Promise.all([accepted, received]);
      return result;
    } finally {
      cancelTimeout();
      delivery.cancelWait();
      signal?.removeEventListener('abort', abort);
      this.#sent.delete(delivery);
      this.#accepted.delete(keyOf(clientOf(frame), frame.seq));
    }
  }

  /** The receipt may be here before the acceptance is. */
  received(by: string, seq: number): void {
    const delivery =
      this.#accepted.get(keyOf(by, seq)) ??
      [...this.#sent].find(({ frame }) => frame.seq === seq && clientOf(frame) === by);
    delivery?.settle();
  }

  /** The session goes on; receipts that came meanwhile went nowhere. */
  resumed(): void {
    const now = this.#environment.now();
    for (const delivery of this.#accepted.values()) {
      delivery.expiresAt = Math.max(delivery.expiresAt, now + GRACE_MS);
      this.#ask(delivery);
    }
  }

  /** Receipts for what was written in this session will not come any more. */
  end(error: GatewayError): void {
    for (const delivery of [...this.#sent, ...this.#accepted.values()]) {
      if (delivery.frame.seq !== null) delivery.settle(error);
    }
  }

  /** The acceptance came. */
  #wait(delivery: Delivery): void {
    const { frame } = delivery;
    this.#accepted.set(keyOf(clientOf(frame), frame.seq), delivery);
    delivery.expiresAt = this.#environment.now() + (frame.options.ttlMs ?? Infinity) + GRACE_MS;
    this.#arm(delivery);
  }

  #arm(delivery: Delivery): void {
    delivery.cancelWait();
    const ms = Math.min(delivery.waitMs, delivery.expiresAt - this.#environment.now());
    delivery.cancelWait = this.#environment.after(ms, () => {
      delivery.waitMs = Math.min(2 * delivery.waitMs, LAST_WAIT_MS);
      this.#ask(delivery);
    });
  }

  /** Without a connection no receipt can come, and none be missed: the next one goes on. */
  #ask(delivery: Delivery): void {
    const { frame, expiresAt } = delivery;
    if (!this.#write({ type: 'confirm', to: String(frame.to), seq: frame.seq ?? 0 })) return;
    if (expiresAt <= this.#environment.now()) delivery.settle(new GatewayError('expired'));
    else this.#arm(delivery);
  }
}

function clientOf({ to }: SendFrame): string {
  return String(to).replace(/#.*/, '');
}

function keyOf(client: string, seq: number | null): string {
  return `${client} ${seq}`;
}
