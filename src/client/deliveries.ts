// Accepted messages whose sender wants to know that they reached somebody: a receipt is asked for, and missed in the end.
import { GatewayError } from '../protocol/errors.js';
import type { ClientFrame, ConfirmFrame } from '../protocol/frame.js';
import type { Environment } from './environment.js';
import type { KeptMessage } from './numbering.js';

/** The first wait for a receipt before it is asked for, ms; each further one is twice as long. */
const FIRST_WAIT_MS = 5_000;
const LAST_WAIT_MS = 30_000;
/** How long a receipt may take beyond the message's time to live, ms. */
const GRACE_MS = 2_000;

/** How the receipt for a message that asks for one is waited for. */
export interface Receipt {
  /** Whether the call waits for it; else it is done with the acceptance, and `onExpired` tells where none came. */
  readonly isAwaited: boolean;
  onExpired(): void;
}

/** A message that can ask for a receipt. */
export interface FollowedMessage extends KeptMessage {
  readonly frame: ClientFrame;
  readonly receipt: Receipt | undefined;
  /** The receipt may be here before the acceptance is. */
  isReceived?: boolean;
  readonly settled: boolean;
}

interface Delivery {
  readonly message: FollowedMessage;
  readonly question: ConfirmFrame;
  readonly answer: unknown;
  waitMs: number;
  /** Infinity without a time to live. */
  expiresAt: number;
  cancelWait(): void;
}

export class Deliveries {
  readonly #environment: Environment;
  /** False where there is no connection. */
  readonly #write: (frame: ConfirmFrame) => boolean;
  /** By client and number. */
  readonly #accepted = new Map<string, Delivery>();

  constructor(environment: Environment, write: (frame: ConfirmFrame) => boolean) {
    this.#environment = environment;
    this.#write = write;
  }

  /** Settles the message's call, now or when the receipt comes. */
  accepted(message: FollowedMessage, answer: unknown): void {
    const { frame, receipt, isReceived, settled } = message;
    if (!receipt?.isAwaited || isReceived) message.succeed(answer);
    if (settled || isReceived || frame.type !== 'send' || !frame.options.delivered) return;
    const key = `${message.channel} ${message.number}`;
    if (this.#accepted.has(key)) return;
    const delivery: Delivery = {
      message,
      question: { type: 'confirm', to: String(frame.to), seq: message.number },
      answer,
      waitMs: FIRST_WAIT_MS,
      expiresAt: this.#environment.now() + (frame.options.ttlMs ?? Infinity) + GRACE_MS,
      cancelWait() {},
    };
    this.#accepted.set(key, delivery);
    this.#arm(delivery);
  }

  received(by: string, seq: number): void {
    const delivery = this.#accepted.get(`${by} ${seq}`);
    if (delivery === undefined) return;
    this.#forget(delivery);
    delivery.message.succeed(delivery.answer);
  }

  /** The session goes on; receipts that came meanwhile went nowhere. */
  resumed(): void {
    const now = this.#environment.now();
    for (const delivery of this.#accepted.values()) {
      delivery.expiresAt = Math.max(delivery.expiresAt, now + GRACE_MS);
      this.#ask(delivery);
    }
  }

  /** Receipts for what was accepted in this session will not come any more. */
  clear(error: GatewayError): void {
    for (const delivery of this.#accepted.values()) this.#miss(delivery, error);
  }

  /** Nobody waits for it any more. */
  dropped(message: FollowedMessage): void {
    const delivery = this.#accepted.get(`${message.channel} ${message.number}`);
    if (delivery?.message === message) this.#forget(delivery);
  }

  #forget(delivery: Delivery): void {
    delivery.cancelWait();
    this.#accepted.delete(`${delivery.message.channel} ${delivery.question.seq}`);
  }

  #miss(delivery: Delivery, error: GatewayError): void {
    this.#forget(delivery);
    const { message } = delivery;
    if (message.receipt?.isAwaited) message.fail(error);
    else if (error.code === 'expired') message.receipt?.onExpired();
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
    if (!this.#write(delivery.question)) return;
    if (delivery.expiresAt <= this.#environment.now()) this.#miss(delivery, new GatewayError('expired'));
    else this.#arm(delivery);
  }
}
