// Whether the gateway is reached: by the page's own connection, and by what the newest round found.
import type { Client } from '../client/index.js';

/** A connection that is lost is often back by then; after it the page says so. */
const AWAY_AFTER_MS = 10_000;
/** The first one has more to do, and may have to try several transports. */
export const FIRST_PATIENCE_MS = 20_000;

export class GatewayReach {
  readonly #onChange: (hasReturned: boolean) => void;
  /** Null as long as it is not known. */
  #isReached: boolean | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** @param onChange with true where the gateway was away, and is back */
  constructor(onChange: (hasReturned: boolean) => void) {
    this.#onChange = onChange;
  }

  get isReached(): boolean | null {
    return this.#isReached;
  }

  /** The page's own connection is in that state now. */
  connectionIs(state: Client['state']): void {
    if (state === 'connected') this.#say(true);
    else if (state !== 'idle') this.#waitFor();
  }

  /** A new connection came about, though the page's own may still wait for its next try; or nothing answered at all. */
  found(isReached: boolean): void {
    this.#say(isReached);
  }

  #waitFor(): void {
    if (this.#timer !== null || this.#isReached === false) return;
    this.#timer = setTimeout(
      () => {
        this.#say(false);
      },
      this.#isReached === null ? FIRST_PATIENCE_MS : AWAY_AFTER_MS,
    );
  }

  #say(isReached: boolean): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const before = this.#isReached;
    this.#isReached = isReached;
    if (before !== isReached) this.#onChange(before === false);
  }
}
