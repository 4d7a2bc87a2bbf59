// How often each member of a mesh calls: every call that is answered costs a peer connection.
import type { Environment } from '../environment.js';

/** Most calls of one member that are answered at once in so much time, ms: a page that is loaded again makes one. */
const CALLS_LIMIT = 5;
const CALLS_WITHIN_MS = 10_000;

export class MeshCallers {
  readonly #environment: Environment;
  /** When the members called that are in the room, as far as it counts. */
  readonly #calls = new Map<string, number[]>();

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** Notes a call. */
  callsTooOften(client: string): boolean {
    const now = this.#environment.now();
    const times = (this.#calls.get(client) ?? []).filter((at) => now - at < CALLS_WITHIN_MS);
    const isTooOften = times.length >= CALLS_LIMIT;
    if (!isTooOften) times.push(now);
    this.#calls.set(client, times);
    return isTooOften;
  }

  /** It left. */
  forget(client: string): void {
    this.#calls.delete(client);
  }

  /** Those whose leaving was not told. */
  keepOnly(present: ReadonlySet<string>): void {
    for (const client of this.#calls.keys()) if (!present.has(client)) this.#calls.delete(client);
  }
}
