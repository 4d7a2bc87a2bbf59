// The tabs of an earlier hub that a new one waits for, so that it goes on with all that they know.
import type { Environment } from '../environment.js';

/** How long a new hub waits for them, ms, from the first that comes: while the gateway is away all may be waiting. */
const GATHER_MS = 1_500;

export class Gathering {
  readonly #environment: Environment;
  readonly #onTimeout: () => void;
  /** That have not come yet; null when it is over. */
  #awaited: Set<string> | null = new Set();
  /** Which tabs there are is not known yet. */
  #isCounting = true;
  #cancel: (() => void) | null = null;

  constructor(environment: Environment, onTimeout: () => void) {
    this.#environment = environment;
    this.#onTimeout = onTimeout;
  }

  get isOver(): boolean {
    return this.#awaited === null;
  }

  /** All of them are here. */
  get isComplete(): boolean {
    return this.#awaited?.size === 0 && !this.#isCounting;
  }

  /** These are the tabs that there are, but for those that are here already. */
  counted(tabs: readonly string[]): void {
    for (const tab of tabs) this.#awaited?.add(tab);
    this.#isCounting = false;
  }

  /** It is here, or gone for good. */
  came(tab: string): void {
    this.#awaited?.delete(tab);
  }

  /** Waits no longer than this from now on, unless it does so already. */
  limit(): void {
    this.#cancel ??= this.#environment.after(GATHER_MS, () => {
      this.#cancel = null;
      this.#onTimeout();
    });
  }

  /** Whoever came is gone again: the next one begins the wait anew. */
  unlimit(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  end(): void {
    this.unlimit();
    this.#awaited = null;
  }
}
