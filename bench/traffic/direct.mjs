// Messages from client to client, each known by the number of its slot: sent, awaited at one client, and checked there.
import { performance } from 'node:perf_hooks';
import { Samples } from '../statistics.mjs';

/** The first characters of a payload say which message of all in flight it is. */
const SLOT_DIGITS = 8;
const VERIFY_EVERY = 512;
/** Given up for lost when nothing has arrived for this long after the end, ms. */
const SILENCE_LIMIT_MS = 3_000;

export class DirectTraffic {
  /** Called with the side that got a message, its slot, and when. */
  arrived = () => {};
  sides;
  #driver;
  #payload;
  #noteFault;
  /** When the message of a slot was sent, or should have been, ms; 0 while none is in flight. */
  #since;
  /** The side that must get the message of a slot. */
  #receiver;
  #sent = 0;
  #received = 0;
  #interval = null;

  constructor({ driver, pairs, slots, payload, noteFault }) {
    this.#driver = driver;
    this.#payload = '.'.repeat(payload);
    this.#noteFault = noteFault;
    this.#since = new Float64Array(slots);
    this.#receiver = new Int32Array(slots);
    this.sides = pairs.flatMap(([a, b], pair) => [
      this.#side(a, b, 2 * pair, 2 * pair + 1),
      this.#side(b, a, 2 * pair + 1, 2 * pair),
    ]);
  }

  #side(end, other, index, otherIndex) {
    const bytes = this.#driver.write(other.id, this.#payload, end.id);
    const at = bytes.length - this.#driver.tail - this.#payload.length;
    const side = { end, other, index, otherIndex, bytes, at };
    end.onMessage = (message) => this.#take(side, message);
    return side;
  }

  /** The measured interval begins. */
  mark() {
    this.#interval = { since: performance.now(), samples: new Samples() };
  }

  /** The interval ends: latencies of what arrived in it. */
  unmark() {
    const { since, samples } = this.#interval;
    this.#interval = null;
    return { elapsedMs: performance.now() - since, latenciesMs: samples.taken() };
  }

  /** What is in flight arrives, or is lost. */
  async settle() {
    let seen = -1;
    let since = performance.now();
    while (this.#received < this.#sent && performance.now() - since < SILENCE_LIMIT_MS) {
      if (seen !== this.#received) since = performance.now();
      seen = this.#received;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return { sent: this.#sent, received: this.#received };
  }

  get received() {
    return this.#received;
  }

  isInFlight(slot) {
    return this.#since[slot] > 0;
  }

  /** @param since what its latency counts from */
  send(side, slot, since) {
    let rest = slot;
    for (let i = side.at + SLOT_DIGITS - 1; i >= side.at; i--) {
      side.bytes[i] = 0x30 + (rest % 10);
      rest = Math.floor(rest / 10);
    }
    this.#driver.number?.(side.bytes, side.end.count++);
    this.#since[slot] = since;
    this.#receiver[slot] = side.otherIndex;
    this.#sent++;
    // ws copies before it masks, so the bytes can be used again.
    side.end.socket.send(side.bytes, { binary: this.#driver.binary });
  }

  #take(side, message) {
    const now = performance.now();
    const slot = this.#slotOf(message);
    const since = this.#since[slot];
    if (!(since > 0) || this.#receiver[slot] !== side.index) {
      this.#noteFault('a message arrived twice, changed, or at the wrong client');
      return;
    }
    this.#since[slot] = 0;
    if (this.#received++ % VERIFY_EVERY === 0) this.#verify(side, slot, message);
    this.#interval?.samples.add(now - since);
    this.arrived(side, slot, now);
  }

  #slotOf(message) {
    const start = message.length - this.#driver.tail - this.#payload.length;
    let slot = 0;
    for (let i = start; i < start + SLOT_DIGITS; i++) slot = slot * 10 + message[i] - 0x30;
    return slot;
  }

  #verify(side, slot, message) {
    const payload = String(slot).padStart(SLOT_DIGITS, '0') + this.#payload.slice(SLOT_DIGITS);
    if (!this.#driver.verify(message, side.other.id, payload))
      this.#noteFault('a message said something else than was sent');
  }
}
