// How often this client says something to an end that it knows nothing of: without a limit, who may send to it decides how much it sends.
import type { Environment } from '../environment.js';

/** So many answers within that time, ms: ten a second of the 200 frames that the gateway takes by default, with room for all that a page with many calls is asked at once. */
const ANSWERS_LIMIT = 50;
const ANSWERS_WITHIN_MS = 5_000;
/** To the same words, ms: less than the second after which an end that heard no answer says them again. */
const ANSWER_AGAIN_MS = 500;

/** Which answers are given. */
export class AnswerLimit {
  readonly #environment: Environment;
  #given: { key: string; at: number }[] = [];

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** Notes an answer where it may be given. */
  allows(key: string): boolean {
    const now = this.#environment.now();
    this.#given = this.#given.filter(({ at }) => now - at < ANSWERS_WITHIN_MS);
    if (this.#given.length >= ANSWERS_LIMIT) return false;
    if (this.#given.some((one) => one.key === key && now - one.at < ANSWER_AGAIN_MS)) return false;
    this.#given.push({ key, at: now });
    return true;
  }
}
