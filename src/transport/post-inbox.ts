// The way up of an HTTP connection: numbered POSTs, handed on in order and once, although they overtake each other or come again.
import { POSTS_AHEAD_LIMIT } from '../protocol/http-transport.js';

/**
 * `taken`: handed on, now or when the same number came before. `ahead`: too many, or too many bytes, came before an earlier
 * one; or the same POST came once more while it waited, and that one is answered. `gone`: the connection ended.
 */
export type PostOutcome = 'taken' | 'ahead' | 'gone';

interface Waiting {
  body: Uint8Array;
  settle: (outcome: PostOutcome) => void;
}

export class PostInbox {
  private next = 1;
  private readonly waiting = new Map<number, Waiting>();
  private waitingBytes = 0;
  private paused: { until: number; timer: NodeJS.Timeout } | null = null;
  private ended = false;

  /**
   * @param deliver takes the frames of one POST
   * @param limitBytes of POSTs that wait for an earlier one, or for the end of a pause
   */
  constructor(
    private readonly deliver: (body: Uint8Array) => void,
    private readonly limitBytes: number,
  ) {}

  /** Calls `settle` once, when it is known what became of the POST. */
  receive(number: number, body: Uint8Array, settle: (outcome: PostOutcome) => void): void {
    if (this.ended) {
      settle('gone');
    } else if (number < this.next) {
      settle('taken');
    } else if (number === this.next && this.paused === null) {
      this.take(body, settle);
      this.drain();
    } else {
      this.keep(number, body, settle);
    }
  }

  /** Hands nothing on for this long. */
  pause(ms: number): void {
    if (this.ended) return;
    const until = performance.now() + ms;
    if (this.paused !== null && this.paused.until >= until) return;
    clearTimeout(this.paused?.timer);
    const timer = setTimeout(() => {
      this.paused = null;
      this.drain();
    }, ms).unref();
    this.paused = { until, timer };
  }

  end(): void {
    if (this.ended) return;
    this.ended = true;
    clearTimeout(this.paused?.timer);
    for (const { settle } of this.waiting.values()) settle('gone');
    this.waiting.clear();
  }

  private keep(number: number, body: Uint8Array, settle: Waiting['settle']): void {
    const same = this.waiting.get(number);
    if (same !== undefined) {
      // Its sender has given the first try up. The bytes are the same.
      same.settle('ahead');
      same.settle = settle;
      return;
    }
    if (number >= this.next + POSTS_AHEAD_LIMIT || this.waitingBytes + body.length > this.limitBytes) {
      settle('ahead');
      return;
    }
    this.waiting.set(number, { body, settle });
    this.waitingBytes += body.length;
  }

  private drain(): void {
    for (;;) {
      const waiting = this.waiting.get(this.next);
      // What is delivered may pause or end the connection.
      if (waiting === undefined || this.paused !== null || this.ended) return;
      this.waiting.delete(this.next);
      this.waitingBytes -= waiting.body.length;
      this.take(waiting.body, waiting.settle);
    }
  }

  private take(body: Uint8Array, settle: Waiting['settle']): void {
    this.next++;
    this.deliver(body);
    settle('taken');
  }
}
