// Who may become the hub of a session: stands for its lock, and is the hub while it has it.
import { Hub, type HubOptions } from './hub.js';

export type CandidateOptions = Omit<HubOptions, 'isUsurper' | 'onStop'>;

export class Candidate {
  readonly #options: CandidateOptions;
  readonly #onIdle: () => void;
  #candidacy: AbortController | null = null;
  #hub: Hub | null = null;

  /** @param onIdle it was the hub, and neither is it any more nor does it stand */
  constructor(options: CandidateOptions, onIdle = (): void => {}) {
    this.#options = options;
    this.#onIdle = onIdle;
  }

  /** Behind those that stand already; nothing where it does so, or is the hub. */
  stand(steal = false): void {
    if (this.#candidacy !== null || this.#hub !== null) return;
    const candidacy = new AbortController();
    this.#candidacy = candidacy;
    const { platform, name } = this.#options;
    let hub: Hub | null = null;
    const ways = steal ? { steal } : { signal: candidacy.signal };
    platform.hold(name, { ...ways, onStolen: () => hub?.stop() }).then(
      (release) => {
        if (this.#candidacy === candidacy) this.#candidacy = null;
        const made = new Hub({
          ...this.#options,
          isUsurper: steal,
          onStop: () => {
            forget();
            if (this.#hub === made) this.#hub = null;
            release();
            if (this.#hub === null && this.#candidacy === null) this.#onIdle();
          },
        });
        hub = this.#hub = made;
        const forget = platform.onPageHidden(() => {
          made.stop();
        });
        made.open();
      },
      () => {
        // Withdrawn, or locks are forbidden here: then no tab gets as far as this.
        if (this.#candidacy === candidacy) this.#candidacy = null;
      },
    );
  }

  /** The hub does not answer: whoever holds its lock hangs, and is put out of it. */
  usurp(): void {
    if (this.#hub !== null) return;
    this.withdraw();
    this.stand(true);
  }

  /** One that is the hub and has tabs goes on without this client. */
  withdraw(): void {
    this.#candidacy?.abort();
    this.#candidacy = null;
    this.#hub?.forsake();
    this.#hub = null;
  }
}
