// An open loop: messages are sent at times that were fixed beforehand, whether or not earlier ones have arrived.
import { performance } from 'node:perf_hooks';
import { Samples } from '../statistics.mjs';
import { DirectTraffic } from './direct.mjs';

/** In flight at most: a system that falls so far behind has failed. */
const SLOTS = 1 << 17;

/**
 * Latency counts from the time at which a message should have left, so that a sender that is held up does not hide what its messages
 * would have waited (coordinated omission). The loop never sleeps: timers are late by up to a millisecond, more than what is measured.
 */
export class Schedule {
  #traffic;
  #noteFault;
  #intervalMs;
  #startedAt = 0;
  /** Messages whose time has come. */
  #due = 0;
  #lateness = null;
  #sending = false;

  constructor({ driver, pairs, ratePerSecond, payload, noteFault }) {
    this.#traffic = new DirectTraffic({ driver, pairs, slots: SLOTS, payload, noteFault });
    this.#noteFault = noteFault;
    this.#intervalMs = 1000 / ratePerSecond;
  }

  start() {
    this.#sending = true;
    this.#startedAt = performance.now();
    this.#turn();
  }

  #turn = () => {
    if (!this.#sending) return;
    const now = performance.now();
    for (;;) {
      const dueAt = this.#startedAt + this.#due * this.#intervalMs;
      if (dueAt > now) break;
      this.#sendOne(dueAt, now);
    }
    setImmediate(this.#turn);
  };

  #sendOne(dueAt, now) {
    const { sides } = this.#traffic;
    const slot = this.#due % SLOTS;
    if (this.#traffic.isInFlight(slot)) {
      this.#sending = false;
      this.#noteFault(`${SLOTS} messages are under way: the system does not keep up with the rate`);
      return;
    }
    this.#traffic.send(sides[this.#due % sides.length], slot, dueAt);
    this.#lateness?.add(now - dueAt);
    this.#due++;
  }

  mark() {
    this.#lateness = new Samples();
    this.#traffic.mark();
  }

  async stop() {
    const interval = this.#traffic.unmark();
    this.#sending = false;
    return { ...interval, latenessMs: this.#lateness.taken(), ...(await this.#traffic.settle()) };
  }
}
