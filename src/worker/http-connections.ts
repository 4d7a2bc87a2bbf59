// The HTTP connections that this worker holds, by their secrets; an ended one is remembered for a while, to say why.
import type { HttpConnection } from '../transport/http-connection.js';
import { LongPollConnection } from '../transport/long-poll.js';
import type { TimerWheel } from '../session/wheel.js';

/**
 * `taken`: a POST was handed on. `frames`: a poll has its answer. `again`: a newer poll took its place. `out_of_order`: too far
 * ahead of the last. `wrong_type`: a body of the other codec, or a poll of an event stream. `gone`: the connection ended, and why
 * is in `close`. `none`: there is no such connection. `unavailable`: nobody knows; the same request may be made again.
 */
export type ErrandOutcome =
  'taken' | 'frames' | 'again' | 'out_of_order' | 'wrong_type' | 'gone' | 'none' | 'unavailable';

export interface Errand {
  work: 'post' | 'poll';
  number: number;
  binary: boolean;
  body: Uint8Array;
}
export interface ErrandAnswer {
  outcome: ErrandOutcome;
  close: number;
  body: Uint8Array;
}

/** How long an ended connection is remembered, ms: what was under way when it ended comes in by then. */
const MEMORY_MS = 10_000;
/** Most that are remembered; the oldest go first. */
const MEMORY_LIMIT = 10_000;
const NOTHING = new Uint8Array(0);

export class HttpConnections {
  private readonly live = new Map<string, HttpConnection>();
  private readonly ended = new Map<string, number>();

  constructor(private readonly wheel: Pick<TimerWheel, 'in'>) {}

  add(secret: string, connection: HttpConnection): void {
    this.live.set(secret, connection);
  }

  /** @param close the number with which it ended */
  remove(secret: string, close: number): void {
    this.live.delete(secret);
    this.ended.set(secret, close);
    const oldest = this.ended.keys().next();
    if (this.ended.size > MEMORY_LIMIT && oldest.done !== true) this.ended.delete(oldest.value);
    this.wheel.in(MEMORY_MS, () => {
      this.ended.delete(secret);
    });
  }

  /** Calls `settle` once. */
  run(secret: string, errand: Errand, settle: (answer: ErrandAnswer) => void): void {
    const connection = this.live.get(secret);
    const say = (outcome: ErrandOutcome, close = 0): void => {
      settle({ outcome, close, body: NOTHING });
    };
    if (connection === undefined) {
      const close = this.ended.get(secret);
      if (close === undefined) say('none');
      else say('gone', close);
    } else if (errand.work === 'poll') {
      if (connection instanceof LongPollConnection) this.poll(connection, secret, errand.number, settle);
      else say('wrong_type');
    } else if (errand.binary !== connection.codec.binary) {
      say('wrong_type');
    } else {
      connection.post(errand.number, errand.body, (outcome) => {
        if (outcome === 'gone') say('gone', connection.closeNumber);
        else say(outcome === 'ahead' ? 'out_of_order' : outcome);
      });
    }
  }

  private poll(
    connection: LongPollConnection,
    secret: string,
    number: number,
    settle: (answer: ErrandAnswer) => void,
  ): void {
    connection.poll(number, (outcome) => {
      if (typeof outcome === 'object') settle({ outcome: 'frames', ...outcome });
      else if (outcome === 'gone') settle({ outcome, close: this.ended.get(secret) ?? 1006, body: NOTHING });
      else settle({ outcome: outcome === 'unknown' ? 'out_of_order' : outcome, close: 0, body: NOTHING });
    });
  }
}
