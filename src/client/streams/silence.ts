// How long the other end of a stream was not heard, and what that calls for: to ask it, to leave a path, to give up.

/** It is asked where it stands, ms. */
const ASK_AFTER_MS = 3_000;
/** The same while there is nothing to wait for, ms. */
const ASK_IDLE_AFTER_MS = 15_000;
/** The same of a path beside the gateway, which may break without a word, ms; and how long it may take to answer. */
const ASK_ON_PATH_AFTER_MS = 1_000;
const PATH_ANSWER_LIMIT_MS = 2_500;

export class Silence {
  readonly #now: () => number;
  #heardAt = 0;
  /** The same, by the way that this side sends by. */
  #heardOnWayAt = 0;
  #askedAt = 0;

  constructor(now: () => number) {
    this.#now = now;
    this.begin();
  }

  /** A new connection: what was before does not count. */
  begin(): void {
    this.#heardAt = this.#heardOnWayAt = this.#askedAt = this.#now();
  }

  heard(onWay: boolean): void {
    this.#heardAt = this.#now();
    if (onWay) this.#heardOnWayAt = this.#heardAt;
  }

  /** This side sends by another way now. */
  wayChanged(): void {
    this.#heardOnWayAt = this.#askedAt = this.#now();
  }

  /** @param limitMs after so much it is over */
  look({
    isAwaited,
    onPath,
    limitMs,
  }: {
    isAwaited: boolean;
    onPath: boolean;
    limitMs: number;
  }): 'wait' | 'ask' | 'leave' | 'end' {
    const now = this.#now();
    if (now - this.#heardAt > limitMs) return 'end';
    const isUnanswered = onPath && this.#askedAt > this.#heardOnWayAt;
    if (isUnanswered) return now - this.#askedAt >= PATH_ANSWER_LIMIT_MS ? 'leave' : 'wait';
    const afterMs = !isAwaited ? ASK_IDLE_AFTER_MS : onPath ? ASK_ON_PATH_AFTER_MS : ASK_AFTER_MS;
    if (now - this.#heardOnWayAt < afterMs || now - this.#askedAt < afterMs) return 'wait';
    this.#askedAt = now;
    return 'ask';
  }
}
