// Recorded calls in a closed loop: each pair sets up one after the other, every signal when what it answers has come.
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { Samples } from '../statistics.mjs';

const RECORDINGS = new URL('../recordings/call.json', import.meta.url);
/** For calls that are under way when no more begin. */
const SETTLE_LIMIT_MS = 10_000;

export class RecordedCalls {
  #driver;
  #noteFault;
  /** Of each side: what it sends, and what it hears. */
  #sides;
  #calls;
  #isOver = false;
  #underWay = 0;
  #latencies = new Samples();
  #markedAt = 0;
  #isMarked = false;
  #began = 0;
  #ended = 0;

  constructor({ driver, recording, pairs, noteFault }) {
    this.#driver = driver;
    this.#noteFault = noteFault;
    const signals = JSON.parse(readFileSync(RECORDINGS, 'utf8'))[recording];
    this.#sides = [0, 1].map((side) => signals.filter((signal) => signal.side === side).map(driver.prepare));
    this.#calls = pairs.map((ends) => this.#prepare(ends));
  }

  get ended() {
    return this.#ended;
  }

  #prepare(ends) {
    const call = { beganAt: 0, ends: [] };
    for (const [side, end] of ends.entries()) {
      const state = { side, end, to: ends[1 - side].id, session: null, sent: 0, received: 0 };
      call.ends.push(state);
      end.onMessage = (bytes) => this.#take(call, state, bytes);
    }
    return call;
  }

  start() {
    for (const call of this.#calls) this.#begin(call);
  }

  #begin(call) {
    this.#began++;
    this.#underWay++;
    call.beganAt = performance.now();
    for (const state of call.ends) state.sent = state.received = 0;
    this.#speak(call.ends[0]);
  }

  /** All that may be said with what was heard so far. */
  #speak(state) {
    const signals = this.#sides[state.side];
    while (state.sent < signals.length && signals[state.sent].after <= state.received)
      state.end.socket.send(this.#driver.signal(signals[state.sent++], state), {
        binary: this.#driver.binary,
      });
  }

  #take(call, state, bytes) {
    const expected = this.#sides[1 - state.side][state.received];
    if (expected === undefined) return this.#noteFault('a signal that nobody sent');
    const { session, isSame } = this.#driver.hear(bytes, state.to, expected);
    if (!isSame) this.#noteFault(`signal ${state.received} is another one than was sent`);
    state.session = session;
    state.received++;
    this.#speak(state);
    if (call.ends.every((each) => each.received === this.#sides[1 - each.side].length)) this.#end(call);
  }

  #end(call) {
    this.#underWay--;
    this.#ended++;
    if (this.#isMarked) this.#latencies.add(performance.now() - call.beganAt);
    if (!this.#isOver) this.#begin(call);
  }

  mark() {
    this.#isMarked = true;
    this.#markedAt = performance.now();
  }

  async stop() {
    const elapsedMs = performance.now() - this.#markedAt;
    this.#isMarked = false;
    const latenciesMs = this.#latencies.taken();
    this.#isOver = true;
    const deadline = performance.now() + SETTLE_LIMIT_MS;
    while (this.#underWay > 0 && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20));
    return { elapsedMs, latenciesMs, sent: this.#began, received: this.#ended };
  }
}
