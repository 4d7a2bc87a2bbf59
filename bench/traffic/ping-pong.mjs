// A closed loop: a fixed number of messages is in flight, and each that arrives is answered by another at once.
import { performance } from 'node:perf_hooks';
import { DirectTraffic } from './direct.mjs';

export class PingPong {
  #traffic;
  #inFlight;
  #perPair;
  #next = 0;
  #answering = true;

  /**
   * @param window messages in flight per pair: whoever gets one answers its sender
   * @param inFlight in place of it, messages in flight in all: each that arrives lets the next client in turn send one, so
   *   that any number of clients can share the same load
   */
  constructor({ driver, pairs, window, inFlight, payload, noteFault }) {
    this.#perPair = inFlight === undefined ? window : 0;
    this.#inFlight = inFlight ?? pairs.length * window;
    this.#traffic = new DirectTraffic({ driver, pairs, slots: this.#inFlight, payload, noteFault });
    this.#traffic.arrived = (side, slot, now) => {
      if (this.#answering) this.#traffic.send(this.#perPair > 0 ? side : this.#nextSide(), slot, now);
    };
  }

  #nextSide() {
    const { sides } = this.#traffic;
    const side = sides[this.#next];
    this.#next = (this.#next + 1) % sides.length;
    return side;
  }

  start() {
    const { sides } = this.#traffic;
    for (let slot = 0; slot < this.#inFlight; slot++) {
      // Half of a pair's window starts at each of its ends.
      const side =
        this.#perPair > 0 ? sides[2 * Math.floor(slot / this.#perPair) + (slot % 2)] : this.#nextSide();
      this.#traffic.send(side, slot, performance.now());
    }
  }

  get received() {
    return this.#traffic.received;
  }

  mark() {
    this.#traffic.mark();
  }

  async stop() {
    const interval = this.#traffic.unmark();
    return { ...interval, ...(await this.settle()) };
  }

  /** Nobody answers any more, and what is in flight arrives. */
  settle() {
    this.#answering = false;
    return this.#traffic.settle();
  }
}
