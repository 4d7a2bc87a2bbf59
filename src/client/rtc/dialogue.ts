// The talk of two ends of a peer over a line: they find each other, and each signal is handed over once and in order.
import type { Environment } from '../environment.js';
import type { Signal, SignalBody } from './signal.js';
import type { LineInfo, LineReceiver, SignalingLine, SignalingMechanism } from './signaling.js';

/** Most signals that are not acknowledged, or between one that came too early and the last before it: a negotiation with its candidates has some ten. */
const WINDOW_SIGNALS = 512;
/** Of those that came too early, most characters: thirty descriptions of a call with many tracks. What is more is asked for again, as is what it waits for. */
const EARLY_LIMIT_CHARACTERS = 1_000_000;
/** After so many signals without one to send, an acknowledgement goes alone; over an unreliable line after `ACK_DELAY_MS`. */
const ACK_EVERY_SIGNALS = 32;
const ACK_DELAY_MS = 20;
/** The same over a line with a sure way, which loses next to nothing: most that is said meanwhile carries it, so that a call costs one or two. */
const ACK_PATIENTLY_MS = 200;
/** Without an acknowledgement, what was said over a line with a sure way is said again by that, ms. */
const RESEND_SURELY_MS = 1_000;
/** What came by the quick way may have overtaken what comes by the sure one by so much, ms. */
const OVERTAKEN_MS = 100;
/** Without an acknowledgement over an unreliable line, ms: the first wait, and the longest. */
const RESEND_MIN_MS = 200;
const RESEND_MAX_MS = 2_000;
/** An end that spoke first and may not have heard of this one: how long its acknowledgement may take, ms. */
const FIRST_CONTACT_MS = 300;
/** How long an end that was closed goes on until its farewell is acknowledged, ms; over a line without a sure way only. */
const LINGER_MS = 3_000;

/** One that was said and is not acknowledged. */
interface Said {
  readonly seq: number;
  readonly body: SignalBody;
  readonly at: number;
  /** It went by the sure way, where there is one: only what tells of a loss makes it be said again. */
  isSure: boolean;
  /** The connection proves that it came, or that it need not: the clock lets it be. See `proved`. */
  isExcused: boolean;
}

export interface DialoguePort {
  onSignal(signal: SignalBody): void;
  /** The other end was closed. */
  onBye(): void;
  onFailed(error: unknown): void;
  /** More is under way than can be: the other end does not take it. */
  onOverflow(): void;
  onEnded(): void;
}

export class Dialogue implements LineReceiver {
  /** Random: who knows it has been told it by this end. */
  readonly id: string;
  readonly #info: LineInfo;
  readonly #line: SignalingLine;
  readonly #port: DialoguePort;
  readonly #environment: Environment;
  #remote: string | null = null;
  #address: string | null = null;
  #seq = 0;
  /** The last one that was handed over. */
  #received = 0;
  #unacknowledged: Said[] = [];
  readonly #early = new Map<number, { body: SignalBody; characters: number }>();
  #earlyCharacters = 0;
  /** The last one of all that came, whether there was room for it or not. */
  #highest = 0;
  #silently = 0;
  /** When this end first said something. */
  #spokeAt: number | null = null;
  #attempts = 0;
  #cancelResend: (() => void) | null = null;
  #cancelAck: (() => void) | null = null;
  #cancelMiss: (() => void) | null = null;
  #cancelLinger: (() => void) | null = null;
  /** Of what was said and heard so far nothing needs an acknowledgement: see `proved`. */
  #isProven = false;
  /** Something came that no connection proves, since this end spoke last. */
  #owesAck = false;
  #isClosing = false;
  #isClosed = false;

  constructor(mechanism: SignalingMechanism, info: LineInfo, port: DialoguePort, environment: Environment) {
    this.id = mechanism.id ?? randomId();
    this.#info = info;
    this.#port = port;
    this.#environment = environment;
    this.#line = mechanism.connect(info, this);
  }

  get ready(): Promise<void> {
    return this.#line.ready;
  }

  /** The other end's identity; null until something was heard of it. */
  get remote(): string | null {
    return this.#remote;
  }

  /** For an end that has nothing to offer yet: makes itself heard of. */
  greet(): void {
    if (this.#remote !== null || this.#seq > 0 || this.#isClosing) return;
    this.#write(0, { type: 'hello' });
    this.#scheduleResend();
  }

  send(body: SignalBody): void {
    if (this.#isClosing) return;
    this.#push(body);
  }

  /** Where nobody has answered: what was said may have come to nobody, and somebody may be there by now. */
  callAgain(): void {
    const spokeAt = this.#spokeAt ?? Infinity;
    if (this.#remote === null && this.#environment.now() - spokeAt > RESEND_SURELY_MS) this.#again();
  }

  /**
   * The two ends are connected by what they agreed on first: each description has come, and candidates that have not are not needed. Over
   * a line with a sure way nothing of that is acknowledged alone or said again by the clock, nor are the candidates that still follow; the
   * first word about something else ends that. What is missing is then asked for as ever. Words about turns are proved by nothing.
   */
  proved(): void {
    if (this.#line.hasSureWay !== true || this.#line.isReliable) return;
    this.#isProven = true;
    for (const said of this.#unacknowledged) said.isExcused ||= isProof(said.body);
    this.#cancelResend?.();
    this.#cancelResend = null;
    this.#scheduleResend();
    if (this.#owesAck) return;
    this.#cancelAck?.();
    this.#cancelAck = null;
  }

  #push(body: SignalBody): void {
    if (this.#unacknowledged.length >= WINDOW_SIGNALS) return this.#port.onOverflow();
    this.#notice(body);
    // Nobody is left to say a farewell again.
    const isSure = body.type === 'bye';
    const at = this.#environment.now();
    this.#unacknowledged.push({ seq: ++this.#seq, body, at, isSure, isExcused: this.#isProven });
    this.#write(this.#seq, body, isSure);
    this.#scheduleResend();
  }

  /** Tells the other end. Over an unreliable line it lingers until that is heard. */
  close(): void {
    if (this.#isClosing) return;
    if (this.#remote !== null || this.#seq > 0) this.#push({ type: 'bye' });
    this.#isClosing = true;
    this.#attempts = 0;
    this.#cancelResend?.();
    this.#cancelResend = null;
    if (this.#isSure || this.#unacknowledged.length === 0) return this.#end();
    this.#scheduleResend();
    this.#cancelLinger = this.#environment.after(LINGER_MS, () => this.#end());
  }

  onSignal(signal: Signal, from: string): void {
    if (this.#isClosed) return;
    const [sender, to, seq, ack] = signal.route;
    if (to !== null && to !== this.id) return;
    const isFirst = this.#remote === null;
    if (!isFirst && sender !== this.#remote) return;
    // What says `gone` of an end that was never heard of is about an older one.
    if (isFirst && signal.type === 'gone') return;
    this.#remote = sender;
    this.#address = from;
    if (to !== null) this.#acknowledged(ack);
    // It spoke without knowing of this end, which had said something already: that may have gone to nobody.
    else if (isFirst && this.#seq > 0) this.#meet(signal.type === 'hello');
    this.#take(signal, seq);
  }

  onResync(): void {
    if (this.#isClosed || this.#remote === null) return this.#again();
    this.#write(0, { type: 'sync' });
    // What is excused the other end has, or asks for; its acknowledgement says which.
    if (this.#unacknowledged.some(({ isExcused }) => !isExcused)) this.#again();
  }

  onDropped(seq: number): void {
    const said = this.#unacknowledged.find((one) => one.seq === seq);
    if (said !== undefined && !said.isSure && !this.#isClosed) this.#saySurely([said]);
  }

  onFailed(error: unknown): void {
    if (!this.#isClosing) this.#port.onFailed(error);
  }

  onEnded(): void {
    if (!this.#isClosing) this.#port.onEnded();
  }

  /** Everything that is not acknowledged, once more. */
  #again(): void {
    if (this.#isClosed) return;
    this.#saySurely(this.#unacknowledged);
    if (this.#seq === 0 && this.#remote === null && !this.#isClosing) this.#write(0, { type: 'hello' });
  }

  #saySurely(those: readonly Said[]): void {
    for (const said of those) {
      said.isSure = true;
      said.isExcused = false;
      this.#write(said.seq, said.body);
    }
  }

  /** What has a number arrives in the end without being said again by the clock. */
  get #isSure(): boolean {
    return this.#line.isReliable || this.#line.hasSureWay === true;
  }

  #meet(isNew: boolean): void {
    const spokeLongAgo = this.#environment.now() - (this.#spokeAt ?? 0) > FIRST_CONTACT_MS;
    if (isNew || spokeLongAgo) return this.#again();
    if (!this.#isSure) return;
    // Usually both spoke at the same time, and its acknowledgement is on the way.
    this.#cancelResend?.();
    this.#cancelResend = this.#environment.after(FIRST_CONTACT_MS, () => {
      this.#cancelResend = null;
      this.#again();
    });
  }

  #acknowledged(ack: number): void {
    const before = this.#unacknowledged.length;
    this.#unacknowledged = this.#unacknowledged.filter(({ seq }) => seq > ack);
    if (this.#unacknowledged.length === before) return;
    this.#attempts = 0;
    if (this.#unacknowledged.length > 0) return;
    this.#cancelResend?.();
    this.#cancelResend = null;
    if (this.#isClosing) this.#end();
  }

  #take(signal: Signal, seq: number): void {
    if (seq === 0) return this.#takeNotice(signal);
    if (seq > this.#received + WINDOW_SIGNALS) return;
    if (seq <= this.#received) {
      this.#owesAck ||= !isProof(signal);
      return this.#confirm(true);
    }
    // What was said before it is of no use any more, and may never come.
    if (signal.type === 'bye') this.#skipTo(seq);
    if (seq > this.#received + 1 && this.#early.size === 0) this.#miss();
    this.#keep(seq, signal);
    for (;;) {
      const early = this.#early.get(this.#received + 1);
      if (early === undefined) break;
      this.#early.delete(++this.#received);
      this.#earlyCharacters -= early.characters;
      this.#silently++;
      const { body: next } = early;
      this.#notice(next);
      this.#owesAck ||= !isProof(next);
      if (next.type === 'bye') this.#port.onBye();
      else if (!this.#isClosing) this.#port.onSignal(next);
    }
    this.#confirm(false);
  }

  /** The next one always has room. */
  #keep(seq: number, body: SignalBody): void {
    this.#highest = Math.max(this.#highest, seq);
    const characters = seq === this.#received + 1 ? 0 : JSON.stringify(body).length;
    if (this.#early.has(seq) || this.#earlyCharacters + characters > EARLY_LIMIT_CHARACTERS) return;
    this.#earlyCharacters += characters;
    this.#early.set(seq, { body, characters });
  }

  /** What came before went to nobody, or is about to come. */
  #miss(): void {
    if (this.#line.isReliable) return this.#write(0, { type: 'sync' });
    if (this.#isSure)
      this.#cancelMiss ??= this.#environment.after(OVERTAKEN_MS, () => {
        this.#cancelMiss = null;
        if (this.#highest > this.#received) this.#write(0, { type: 'sync' });
      });
  }

  #skipTo(seq: number): void {
    this.#received = seq - 1;
    this.#early.clear();
    this.#earlyCharacters = 0;
  }

  #takeNotice({ type }: Signal): void {
    if (type === 'sync') {
      this.#again();
      this.#write(0, { type: 'ack' });
    } else if (type === 'gone') this.#port.onBye();
  }

  #notice({ type }: SignalBody): void {
    if (type !== 'candidate') this.#isProven = false;
  }

  #confirm(isRepeated: boolean): void {
    if (this.#isClosed || (this.#isProven && !isRepeated)) return;
    if (this.#line.isReliable && !isRepeated) {
      if (this.#silently >= ACK_EVERY_SIGNALS) this.#write(0, { type: 'ack' });
      return;
    }
    const ms = this.#isSure && !isRepeated ? ACK_PATIENTLY_MS : ACK_DELAY_MS;
    this.#cancelAck ??= this.#environment.after(ms, () => {
      this.#cancelAck = null;
      this.#write(0, { type: 'ack' }, false);
    });
  }

  #scheduleResend(): void {
    if (this.#line.isReliable || this.#cancelResend !== null) return;
    if (this.#isSure) return this.#scheduleSurely();
    // A farewell has little time.
    const factor = this.#isClosing ? 1 : 2 ** this.#attempts++;
    const ms = Math.min(RESEND_MIN_MS * factor, RESEND_MAX_MS);
    this.#cancelResend = this.#environment.after(ms, () => {
      this.#cancelResend = null;
      this.#again();
      if (this.#unacknowledged.length > 0 || this.#remote === null) this.#scheduleResend();
    });
  }

  #scheduleSurely(): void {
    const next = this.#unacknowledged.find(isLeftToClock);
    if (next === undefined) return;
    const ms = next.at + RESEND_SURELY_MS - this.#environment.now();
    this.#cancelResend = this.#environment.after(Math.max(0, ms), () => {
      this.#cancelResend = null;
      const due = this.#environment.now() - RESEND_SURELY_MS;
      this.#saySurely(this.#unacknowledged.filter((said) => isLeftToClock(said) && said.at <= due));
      this.#scheduleSurely();
    });
  }

  #write(seq: number, body: SignalBody, isSure = true): void {
    this.#silently = 0;
    this.#owesAck = false;
    this.#spokeAt ??= this.#environment.now();
    this.#cancelAck?.();
    this.#cancelAck = null;
    const { name } = this.#info;
    this.#line.send(
      { ...body, route: [this.id, this.#remote, seq, this.#received], ...(name === '' ? {} : { name }) },
      this.#address,
      isSure,
    );
  }

  #end(): void {
    this.#isClosed = true;
    this.#cancelResend?.();
    this.#cancelAck?.();
    this.#cancelMiss?.();
    this.#cancelLinger?.();
    this.#line.close();
  }
}

function isLeftToClock({ isSure, isExcused }: Said): boolean {
  return !isSure && !isExcused;
}

/** A connection that is there proves that what made it came. */
function isProof({ type }: SignalBody): boolean {
  return type === 'offer' || type === 'answer' || type === 'candidate';
}

/** 72 random bits: two ends of one pair must differ, and a third must not guess. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(9));
  return btoa(String.fromCharCode(...bytes));
}
