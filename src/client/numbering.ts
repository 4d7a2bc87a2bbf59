// The numbers of one channel: which message may be written next, and which ones again after a refusal or a loss.

/** A message that the gateway keeps; it has one number in its channel for as long as the session lasts. */
export interface KeptMessage {
  /** The client or room that it is for. */
  readonly channel: string;
  /** Of its payload. */
  readonly bytes: number;
  /** 0 until it is first written. */
  number: number;
  /** What is written as its number. */
  seq: number | null;
  /** What is written with it: no number below this one will come; 0 for nothing. */
  first: number;
  isFlying?: boolean;
  isAccepted?: boolean;
  /** It was written, and nobody knows whether it was stored. */
  isUnsure?: boolean;
  /** When waiting for its acceptance ends, then when it need not be kept any more. */
  until: number;
  succeed(answer: unknown): void;
  fail(error: unknown): void;
}

/**
 * The gateway stores number n only after n − 1, unless n says by `first` that nothing below it will come. So messages are
 * written one behind the other while all goes well. Behind a hole, or after anything went wrong, the next one waits until
 * nothing is without answer, because only then it is certain what will not come; and the gateway must have asked for it.
 */
export class Numbering<Message extends KeptMessage> {
  #next: number;
  /** The highest number that the gateway is known to have. */
  #stored = 0;
  /** The number that was written last; -1 where the next one cannot simply follow it. */
  #tail = 0;
  #flying = 0;
  /** Where the gateway wants to go on. */
  #expected = Infinity;
  /**
   * The gateway has asked for a number, or gets all that is kept again, since it last took one. Only then it is told that
   * some will not come: it may have lost accepted ones in the meantime, and those come first.
   */
  #isAsked = false;
  #isStopped = false;
  /** The last one was refused: one after the other, until one is accepted. */
  #isCareful = false;
  /** An older gateway does not tell what it expects, and does not know `first`: no more numbers. */
  #isNumberless = false;
  /** All that may have to be written again, by number. */
  readonly #messages = new Map<number, Message>();
  #again: Message[] = [];
  /** How often in a row it had to begin again. */
  attempts = 0;
  /** Beginning again at once would be no use. */
  needsPause = false;

  constructor(firstNumber = 1) {
    this.#next = firstNumber;
  }

  /** The message that is to be written again now. */
  get again(): Message | undefined {
    const [message] = this.#again;
    return message !== undefined && this.#mayWrite(message.number) ? message : undefined;
  }

  get isDone(): boolean {
    return this.#again.length === 0;
  }

  /** Whether a message may be written for the first time. */
  get takesNew(): boolean {
    return this.isDone && this.#mayWrite(this.#next);
  }

  /** Something went wrong, and every answer is in. */
  get isReadyToRestart(): boolean {
    return this.#isStopped && this.#flying === 0;
  }

  /** Gives the message its number, just before it is written. */
  number(message: Message): void {
    if (message.number === 0) this.#messages.set((message.number = this.#next++), message);
    else this.#again.shift();
    const { number } = message;
    message.seq = this.#isNumberless ? null : number;
    const isBehindHole = number > this.#stored + 1 && number !== this.#tail + 1;
    message.first = isBehindHole && this.#isAsked ? number : 0;
    this.#tail = number;
    this.#flying++;
    message.isFlying = true;
  }

  /** One that somebody else has written under its number. */
  adopt(message: Message): void {
    this.#messages.set(message.number, message);
    this.#next = Math.max(this.#next, message.number + 1);
    this.#isStopped = message.isUnsure = true;
  }

  accepted(message: Message): void {
    this.#land(message);
    this.#stored = Math.max(this.#stored, message.number);
    this.#isCareful = this.#isAsked = false;
    this.attempts = 0;
  }

  /** It is not stored, but can be later. `expected` is what the gateway says with `out_of_order`; undefined for all other codes. */
  failed(message: Message, expected?: number | null): void {
    this.#land(message);
    this.#isStopped = this.#isCareful = true;
    if (expected === undefined) this.needsPause = true;
    else if (expected === null) this.#isNumberless = true;
    else this.#expected = Math.min(this.#expected, expected);
  }

  /** The connection took its answer along. */
  lost(message: Message): void {
    this.#land(message);
    this.#isStopped = message.isUnsure = true;
  }

  /** The gateway may have lost accepted ones, and would ask for them only after something new; an answer on its way may be from before. */
  doubt(): void {
    if (this.#isNumberless) return;
    for (const { isAccepted, isFlying, number } of this.#messages.values()) {
      if (!isAccepted && !isFlying) continue;
      this.#expected = Math.min(this.#expected, number);
      this.#isStopped = this.#isCareful = true;
    }
  }

  /** Will not be written again: refused for good, given up, or kept long enough. */
  drop(message: Message): void {
    this.#land(message);
    this.#messages.delete(message.number);
    if (message.isAccepted) return;
    this.#again = this.#again.filter((other) => other !== message);
    this.#tail = -1;
    this.#isCareful = true;
  }

  /** Begins again with everything that has no acceptance, and what the gateway has lost since; returns it. */
  restart(): readonly Message[] {
    if (this.#expected < Infinity) {
      this.#stored = this.#expected - 1;
      this.#isAsked = true;
    }
    this.#again = [...this.#messages.values()].filter(
      ({ isAccepted, number }) => !isAccepted || number >= this.#expected,
    );
    this.#expected = Infinity;
    this.#tail = -1;
    this.#isStopped = this.needsPause = false;
    this.attempts++;
    return this.#again;
  }

  /** Whether writing it again could store it twice: it has no number by which the store would know it. */
  isUnrepeatable({ isUnsure }: KeptMessage): boolean {
    return isUnsure === true && this.#isNumberless;
  }

  #mayWrite(number: number): boolean {
    return !this.#isStopped && (this.#flying === 0 || (number === this.#tail + 1 && !this.#isCareful));
  }

  #land(message: Message): void {
    if (message.isFlying) this.#flying--;
    message.isFlying = false;
  }
}
