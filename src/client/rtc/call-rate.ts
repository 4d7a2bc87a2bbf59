// How often a page takes calls: each costs a peer connection, and browsers count those that are closed until they clear away what is not used any more.

/** Most calls of one client in `CALLS_WITHIN_MS`: all parts of a page, each under its own name, call at once, and once more after a reload. */
const CALLS_OF_ONE_LIMIT = 30;
/** The same of all clients together: Chromium refuses a page its 501st connection. */
const CALLS_LIMIT = 100;
const CALLS_WITHIN_MS = 10_000;

export class CallRate {
  /** Those that count, the oldest first. */
  #calls: { client: string; at: number }[] = [];

  /** Notes a call that may be taken; false where that client, or all together, called too often. */
  admits(client: string, now: number): boolean {
    this.#calls = this.#calls.filter(({ at }) => now - at < CALLS_WITHIN_MS);
    const own = this.#calls.filter((call) => call.client === client);
    if (this.#calls.length >= CALLS_LIMIT || own.length >= CALLS_OF_ONE_LIMIT) return false;
    this.#calls.push({ client, at: now });
    return true;
  }
}
