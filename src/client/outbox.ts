// Messages that the gateway keeps, from their first writing until some time after their acceptance, in all channels of a session.
import type { Code } from '../protocol/codes.js';
import { GatewayError } from '../protocol/errors.js';
import type { ClientFrame } from '../protocol/frame.js';
import { backoff } from './backoff.js';
import { Deliveries, type FollowedMessage } from './deliveries.js';
import type { Environment } from './environment.js';
import { Numbering } from './numbering.js';

/** Most messages without an answer: what a connection that breaks can leave in doubt. */
const WINDOW_MESSAGES = 256;
const WINDOW_BYTES = 256 * 1024;
/** How long a message is kept after it was accepted, ms: a store that fails over may lose its last seconds, and asks for them. */
const RETAIN_MS = 30_000;
const PAUSE = { minMs: 100, maxMs: 2_000 };
/** How often it is looked for what is kept or waited for long enough, ms. */
const SWEEP_MS = 1_000;
/** What may pass: the same number can be sent again. */
const PASSING: readonly Code[] = ['unavailable', 'overloaded', 'unknown_outcome'];

export interface OutboxPort {
  readonly wire: { readonly open: boolean; write(frame: ClientFrame): void };
  /** More may be written than before. */
  flush(): void;
}

/** Of the client's. */
export interface OutboxSettings {
  readonly acceptTimeoutMs: number;
  readonly offlineQueueLimitBytes: number;
}

export class Outbox<Message extends FollowedMessage> {
  readonly #settings: OutboxSettings;
  readonly #environment: Environment;
  readonly #port: OutboxPort;
  readonly #firstNumber: number;
  readonly #deliveries: Deliveries;
  readonly #channels = new Map<string, Numbering<Message>>();
  /** Channels with messages to be written again. */
  readonly #again = new Set<Numbering<Message>>();
  /** Written and not accepted, by the time of writing. */
  readonly #open = new Set<Message>();
  #openBytes = 0;
  /** Accepted, the oldest first. */
  readonly #retained = new Set<Message>();
  #retainedBytes = 0;
  #flying = 0;
  #flyingBytes = 0;
  /** Since when there is no connection; null while there is one. */
  #lostAt: number | null = null;
  /** All the time without a connection, ms. */
  #lostMs = 0;
  readonly #pauses = new Map<Numbering<Message>, () => void>();
  #cancelSweep: (() => void) | null = null;

  /** @param firstNumber of each channel; above 1 where lower ones may have been used in this session */
  constructor(settings: OutboxSettings, environment: Environment, port: OutboxPort, firstNumber = 1) {
    this.#settings = settings;
    this.#firstNumber = firstNumber;
    this.#environment = environment;
    this.#port = port;
    this.#deliveries = new Deliveries(environment, (frame) => {
      const { wire } = port;
      if (wire.open) wire.write(frame);
      return wire.open;
    });
  }

  /** Payload bytes that were written and are not accepted. */
  get openBytes(): number {
    return this.#openBytes;
  }

  /** Whether the connection takes one more. */
  hasRoomFor({ bytes }: Message): boolean {
    return (
      this.#flying === 0 || (this.#flying < WINDOW_MESSAGES && this.#flyingBytes + bytes <= WINDOW_BYTES)
    );
  }

  /** Whether the channel takes one that was not written before. */
  takesNew({ channel }: Message): boolean {
    return this.#channels.get(channel)?.takesNew ?? true;
  }

  /** What is to be written again now. */
  again(): Message | undefined {
    for (const { again } of this.#again) if (again !== undefined && this.hasRoomFor(again)) return again;
    return undefined;
  }

  /** Numbers the message, which is written right after. */
  add(message: Message): void {
    const numbering = this.#numberingOf(message);
    numbering.number(message);
    if (numbering.isDone) this.#again.delete(numbering);
    this.#flying++;
    this.#flyingBytes += message.bytes;
    this.#enter(message);
  }

  /** What somebody else has written in this session under these numbers, and in their order; nobody knows whether it was stored. */
  adopt(messages: readonly Message[]): void {
    for (const message of messages) {
      this.#numberingOf(message).adopt(message);
      this.#enter(message);
    }
    for (const numbering of this.#channels.values()) this.#settle(numbering);
  }

  #numberingOf({ channel }: Message): Numbering<Message> {
    let numbering = this.#channels.get(channel);
    if (numbering === undefined) this.#channels.set(channel, (numbering = new Numbering(this.#firstNumber)));
    return numbering;
  }

  #enter(message: Message): void {
    if (this.#open.has(message)) return;
    this.#open.add(message);
    this.#openBytes += message.bytes;
    // What was accepted before and is asked for again has nobody to tell that it failed.
    message.until = this.#connectedMs + (message.until > 0 ? RETAIN_MS : this.#settings.acceptTimeoutMs);
    this.#cancelSweep ??= this.#environment.after(SWEEP_MS, () => this.#sweep());
  }

  accepted(message: Message, answer: unknown): void {
    const numbering = this.#landed(message);
    if (numbering === null) return;
    numbering.accepted(message);
    this.#close(message);
    message.isAccepted = true;
    message.until = this.#environment.now() + RETAIN_MS;
    this.#retained.add(message);
    this.#retainedBytes += message.bytes;
    this.#trim();
    this.#deliveries.accepted(message, answer);
    this.#settle(numbering);
  }

  /** A session of `by` has handed over the message with that number. */
  received(by: string, seq: number): void {
    for (const message of this.#open)
      if (message.channel === by && message.number === seq) message.isReceived = true;
    this.#deliveries.received(by, seq);
  }

  /** The call of a message ended by itself. */
  settled(message: Message): void {
    this.#deliveries.dropped(message);
  }

  /** `expected`: what the gateway says with `out_of_order`; null from an older one. */
  refused(message: Message, error: GatewayError, expected: number | null): void {
    const numbering = this.#landed(message);
    if (numbering === null) return;
    const { code } = error;
    const isPassing = PASSING.includes(code);
    message.isUnsure ||= code === 'unknown_outcome';
    if (!isPassing && code !== 'out_of_order') this.#giveUp(message, error);
    else if (message.until <= this.#connectedMs) this.#giveUp(message, error);
    else numbering.failed(message, isPassing ? undefined : expected);
    this.#settle(numbering);
  }

  /** It could not be written at all. */
  unwritable(message: Message, error: unknown): void {
    const numbering = this.#landed(message);
    if (numbering !== null) this.#giveUp(message, error);
  }

  /** The connection is gone, with the answers of these. */
  lost(messages: readonly Message[]): void {
    this.#lostAt ??= this.#environment.now();
    for (const message of messages) this.#landed(message)?.lost(message);
    for (const numbering of this.#channels.values()) this.#settle(numbering);
  }

  resumed(): void {
    this.#lostMs = this.#environment.now() - this.#connectedMs;
    this.#lostAt = null;
  }

  /** The store may have lost what it accepted last: it gets again what is still here, and drops what it has. */
  doubt(): void {
    this.#trim();
    for (const numbering of this.#channels.values()) {
      numbering.doubt();
      this.#settle(numbering);
    }
  }

  /** Receipts that came while there was no connection went nowhere. */
  askAgain(): void {
    this.#deliveries.resumed();
  }

  /** Nothing of it will be answered any more: neither the session nor its numbers go on. */
  clear(error: GatewayError, missed = error): void {
    for (const cancel of this.#pauses.values()) cancel();
    this.#pauses.clear();
    this.#cancelSweep?.();
    this.#cancelSweep = null;
    this.#channels.clear();
    this.#again.clear();
    const messages = [...this.#open];
    this.#open.clear();
    this.#retained.clear();
    this.#openBytes = this.#retainedBytes = this.#flying = this.#flyingBytes = 0;
    for (const message of messages) message.fail(error);
    this.#deliveries.clear(missed);
  }

  /** Time with a connection, ms. */
  get #connectedMs(): number {
    return (this.#lostAt ?? this.#environment.now()) - this.#lostMs;
  }

  /** Null where it was given up meanwhile. */
  #landed(message: Message): Numbering<Message> | null {
    if (!this.#open.has(message)) return null;
    if (message.isFlying) {
      this.#flying--;
      this.#flyingBytes -= message.bytes;
    }
    return this.#channels.get(message.channel) ?? null;
  }

  #close(message: Message): void {
    if (this.#open.delete(message)) this.#openBytes -= message.bytes;
  }

  #giveUp(message: Message, cause: unknown): void {
    this.#channels.get(message.channel)?.drop(message);
    this.#close(message);
    // An earlier writing of it may have been stored.
    message.fail(message.isUnsure ? new GatewayError('unknown_outcome', undefined, { cause }) : cause);
  }

  /** Once nothing of a channel that stopped is without answer, it begins again; after a pause where trying at once is no use. */
  #settle(numbering: Numbering<Message>): void {
    if (!numbering.isReadyToRestart || this.#pauses.has(numbering)) return;
    const { attempts, needsPause } = numbering;
    if (!needsPause && attempts === 0) return this.#restart(numbering);
    const ms = backoff(attempts, this.#environment.random(), PAUSE);
    const cancel = this.#environment.after(ms, () => {
      this.#pauses.delete(numbering);
      this.#restart(numbering);
      this.#port.flush();
    });
    this.#pauses.set(numbering, cancel);
  }

  #restart(numbering: Numbering<Message>): void {
    for (const message of numbering.restart()) {
      if (message.isAccepted) {
        this.#release(message);
        message.isAccepted = false;
        // A refusal says nothing about the first time.
        message.isUnsure = true;
      } else if (numbering.isUnrepeatable(message)) this.#giveUp(message, null);
    }
    if (!numbering.isDone) this.#again.add(numbering);
  }

  #release(message: Message): void {
    if (this.#retained.delete(message)) this.#retainedBytes -= message.bytes;
  }

  #trim(): void {
    const now = this.#environment.now();
    for (const message of this.#retained) {
      if (message.until > now && this.#retainedBytes <= this.#settings.offlineQueueLimitBytes) return;
      this.#release(message);
      this.#channels.get(message.channel)?.drop(message);
    }
  }

  #sweep(): void {
    this.#cancelSweep = null;
    this.#trim();
    for (const message of this.#open) {
      if (this.#lostAt !== null || message.until > this.#connectedMs) break;
      message.isUnsure ||= message.isFlying === true;
      const numbering = this.#landed(message);
      this.#giveUp(message, new GatewayError('unavailable'));
      if (numbering !== null) this.#settle(numbering);
    }
    if (this.#open.size + this.#retained.size > 0) {
      this.#cancelSweep = this.#environment.after(SWEEP_MS, () => this.#sweep());
    }
    this.#port.flush();
  }
}
