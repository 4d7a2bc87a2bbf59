// Pairs of clients that keep a window of messages in flight: whoever gets a message sends one back at once.
import { performance } from 'node:perf_hooks';

/** The first characters of a payload say which message of all in flight it is. */
const SLOT_DIGITS = 8;
const VERIFY_EVERY = 512;
/** Given up for lost when nothing has arrived for this long after the end, ms. */
const SILENCE_LIMIT_MS = 3_000;

export class PingPong {
  #driver;
  #window;
  #payload;
  #noteFault;
  #sides;
  /** When the message of a slot was sent, ms; 0 while none is in flight. */
  #sentAt;
  #sent = 0;
  #received = 0;
  #echoing = true;
  #interval = null;

  constructor({ driver, pairs, window, payload, noteFault }) {
    this.#driver = driver;
    this.#window = window;
    this.#payload = '.'.repeat(payload);
    this.#noteFault = noteFault;
    this.#sentAt = new Float64Array(pairs.length * window);
    this.#sides = pairs.flatMap(([a, b], index) => [this.#side(a, b, index), this.#side(b, a, index)]);
  }

  #side(end, other, pair) {
    const bytes = this.#driver.write(other.id, this.#payload);
    const at = bytes.length - this.#driver.tail - this.#payload.length;
    const side = { end, other, pair, bytes, at, count: 0 };
    end.onMessage = (message) => this.#take(side, message);
    return side;
  }

  start() {
    for (let slot = 0; slot < this.#sentAt.length; slot++) {
      // Half of a pair's window starts at each of its ends.
      this.#send(this.#sides[2 * Math.floor(slot / this.#window) + (slot % 2)], slot, performance.now());
    }
  }

  /** The measured interval begins. */
  mark() {
    this.#interval = { since: performance.now(), samples: new Samples() };
  }

  /** The interval ends; then what is in flight arrives, or is lost. */
  async stop() {
    const { since, samples } = this.#interval;
    const elapsedMs = performance.now() - since;
    this.#interval = null;
    this.#echoing = false;
    await this.#untilQuiet();
    return {
      elapsedMs,
      latenciesMs: samples.taken(),
      sent: this.#sent,
      received: this.#received,
    };
  }

  async #untilQuiet() {
    let seen = -1;
    let since = performance.now();
    while (this.#received < this.#sent && performance.now() - since < SILENCE_LIMIT_MS) {
      if (seen !== this.#received) since = performance.now();
      seen = this.#received;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  #send(side, slot, now) {
    let rest = slot;
    for (let i = side.at + SLOT_DIGITS - 1; i >= side.at; i--) {
      side.bytes[i] = 0x30 + (rest % 10);
      rest = Math.floor(rest / 10);
    }
    this.#driver.number?.(side.bytes, side.count++);
    this.#sentAt[slot] = now;
    this.#sent++;
    // ws copies before it masks, so the bytes can be used again.
    side.end.socket.send(side.bytes, { binary: this.#driver.binary });
  }

  #take(side, message) {
    const now = performance.now();
    const slot = this.#slotOf(message);
    const sentAt = this.#sentAt[slot];
    if (!(sentAt > 0) || Math.floor(slot / this.#window) !== side.pair) {
      this.#noteFault('a message arrived twice, changed, or at the wrong client');
      return;
    }
    this.#sentAt[slot] = 0;
    if (this.#received++ % VERIFY_EVERY === 0) this.#verify(side, slot, message);
    this.#interval?.samples.add(now - sentAt);
    if (this.#echoing) this.#send(side, slot, now);
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

/** Raw latencies, ms: every one is kept, so that percentiles are of all generators together. */
class Samples {
  #values = new Float32Array(1 << 16);
  #length = 0;

  add(value) {
    if (this.#length === this.#values.length) {
      const larger = new Float32Array(this.#values.length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#length++] = value;
  }

  taken() {
    return this.#values.slice(0, this.#length);
  }
}
