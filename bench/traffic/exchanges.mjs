// Pairs of SDK clients that ask, call or send to each other over any transport, as many at a time as they are told.
import { clientOf } from '../peers/sdk.mjs';
import { exchangeOptions } from '../peers/signalbox.mjs';

const EVENT = 'bench';

/** One asks, the other answers. */
class Pair {
  #asker;
  #answerer;
  #to;
  /** One-way messages that came, and who waits for the next of them. */
  #heard = 0;
  #hear = () => {};

  async connect({ build, ids, asker, answerer }) {
    const [own, other] = ids;
    this.#to = other;
    this.#asker = await connected(build, asker, own);
    this.#answerer = await connected(build, answerer, other);
    this.#answerer.onRequest(EVENT, (data) => data);
    this.#answerer.onMessage(EVENT, () => {
      this.#heard++;
      this.#hear();
    });
    // A service of its own for each pair: a call has one provider, as a request has one target.
    await this.#answerer.provide(`bench-${other}`, (data) => data);
  }

  /** One after the other, in `window` lanes. @returns how long each took, ms */
  async exchange({ verb, count, window, payload }) {
    const data = 'x'.repeat(payload);
    if (verb === 'send') return this.#send(count, window, data);
    const ask = {
      request: () => this.#asker.request(this.#to, EVENT, data),
      call: () => this.#asker.call(`bench-${this.#to}`, data),
    }[verb];
    const latencies = [];
    let begun = 0;
    const lane = async () => {
      while (begun++ < count) {
        const since = performance.now();
        if ((await ask()) !== data) throw new Error(`another answer to ${verb}`);
        latencies.push(performance.now() - since);
      }
    };
    await Promise.all(Array.from({ length: window }, lane));
    return latencies;
  }

  /** Volatile messages: the next ones leave when half of the window has come. */
  async #send(count, window, data) {
    const first = this.#heard;
    let sent = 0;
    await new Promise((resolve) => {
      const fill = () => {
        while (sent < count && sent - (this.#heard - first) < window) {
          sent++;
          void this.#asker.send(this.#to, EVENT, data, { volatile: true });
        }
      };
      this.#hear = () => {
        const under = sent - (this.#heard - first);
        if (this.#heard - first === count) resolve();
        else if (under <= window / 2) fill();
      };
      fill();
    });
    return [];
  }

  async close() {
    await Promise.all([this.#asker.close(), this.#answerer.close()]);
  }
}

async function connected(build, { url, transports }, id) {
  const Client = await clientOf(build);
  const client = new Client(url, {
    ...exchangeOptions(id),
    ...(transports === undefined ? {} : { transports }),
  });
  await client.connect();
  return client;
}

export class Exchanges {
  /** Name of a side → its pairs. */
  #sides = new Map();

  /** One after another: workers take connections in turn. */
  async connect({ side, pairs, ...ends }) {
    const made = [];
    for (let i = 0; i < pairs; i++) {
      const pair = new Pair();
      await pair.connect({ ids: [`bench-${side}-${i}-a`, `bench-${side}-${i}-b`], ...ends });
      made.push(pair);
    }
    this.#sides.set(side, made);
  }

  async exchange({ side, ...what }) {
    const latencies = await Promise.all(this.#sides.get(side).map((pair) => pair.exchange(what)));
    return latencies.flat();
  }
}
