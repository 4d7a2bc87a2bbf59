// Messages from one publisher of a room to all its members, at fixed times; each member must get each once, and in order.
import { performance } from 'node:perf_hooks';
import { Samples } from '../statistics.mjs';

/** The first characters of a payload are the message's number in its room, the next ones its time on the machine's clock, µs. */
const NUMBER_DIGITS = 8;
const TIME_DIGITS = 16;
const VERIFY_EVERY = 512;
const SILENCE_LIMIT_MS = 3_000;

/** A clock that all processes of the machine share, ms: performance.now() counts from the start of its own process. */
const offsetMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();
const machineNow = () => performance.now() + offsetMs;

function writeDigits(bytes, at, digits, value) {
  let rest = value;
  for (let i = at + digits - 1; i >= at; i--) {
    bytes[i] = 0x30 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
}

function readDigits(bytes, at, digits) {
  let value = 0;
  for (let i = at; i < at + digits; i++) value = value * 10 + bytes[i] - 0x30;
  return value;
}

export class Members {
  #driver;
  #payload;
  #noteFault;
  #received = 0;
  #interval = null;

  /** @param members their connections, each with the name of its room and of who publishes there */
  constructor({ driver, members, payload, noteFault }) {
    this.#driver = driver;
    this.#payload = payload;
    this.#noteFault = noteFault;
    for (const { end, publisher } of members) {
      const member = { publisher, next: 0 };
      end.onMessage = (message) => this.#take(member, message);
    }
  }

  #take(member, message) {
    const now = machineNow();
    const at = message.length - this.#driver.tail - this.#payload;
    if (readDigits(message, at, NUMBER_DIGITS) !== member.next) {
      this.#noteFault('a member got a message twice, out of order, or not at all');
      return;
    }
    member.next++;
    if (this.#received++ % VERIFY_EVERY === 0) {
      const payload = message.toString('latin1', at, at + this.#payload);
      if (!this.#driver.verify(message, member.publisher, payload))
        this.#noteFault('a message said something else than was published');
    }
    this.#interval?.add(now - readDigits(message, at + NUMBER_DIGITS, TIME_DIGITS) / 1000);
  }

  mark() {
    this.#interval = new Samples();
  }

  unmark() {
    const latenciesMs = this.#interval.taken();
    this.#interval = null;
    return { latenciesMs };
  }

  /** Waits until nothing more comes, or all that is expected has come. */
  async settle(expected) {
    let seen = -1;
    let since = performance.now();
    while (this.#received < expected && performance.now() - since < SILENCE_LIMIT_MS) {
      if (seen !== this.#received) since = performance.now();
      seen = this.#received;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return { received: this.#received };
  }
}

export class Publishers {
  #driver;
  #rooms;
  #intervalMs;
  #payload;
  #startedAt = 0;
  #published = 0;
  #timer = null;

  /** @param rooms name and publisher's connection of each; they take turns */
  constructor({ driver, rooms, ratePerSecond, payload }) {
    this.#driver = driver;
    this.#payload = '.'.repeat(payload);
    this.#intervalMs = 1000 / ratePerSecond;
    this.#rooms = rooms.map(({ name, end }) => ({
      end,
      bytes: driver.publish(name, this.#payload, end.id),
      count: 0,
    }));
  }

  start() {
    this.#startedAt = performance.now();
    this.#turn();
  }

  #turn = () => {
    while (this.#startedAt + this.#published * this.#intervalMs <= performance.now()) this.#publish();
    this.#timer = setTimeout(this.#turn, 1);
  };

  #publish() {
    const room = this.#rooms[this.#published++ % this.#rooms.length];
    const at = room.bytes.length - this.#driver.publishTail - this.#payload.length;
    writeDigits(room.bytes, at, NUMBER_DIGITS, room.count++);
    writeDigits(room.bytes, at + NUMBER_DIGITS, TIME_DIGITS, Math.floor(machineNow() * 1000));
    room.end.socket.send(room.bytes, { binary: this.#driver.binary });
  }

  /** How often each room was published to. */
  stop() {
    clearTimeout(this.#timer);
    return { published: this.#rooms.map((room) => room.count) };
  }
}
