// Tells the store that connections of sessions are gone, and tells it again what it could not hear: nobody else would.
import type { SessionId } from '../protocol/ids.js';
import type { SessionRef, Store } from './store/store.js';

/** Past it a session that ended while the store was away is found by its missing renewals, or with its worker. */
const UNTOLD_LIMIT_SESSIONS = 100_000;
/** Told again at once: more would stand before the calls of those who are here. */
const RETRIES_AT_ONCE = 200;

interface Ending {
  ref: SessionRef;
  /** For good; otherwise the session waits to be resumed. */
  ended: boolean;
}

export class Endings {
  private readonly untold = new Map<SessionId, Ending>();

  /** @param failed called each time the store could not be told */
  constructor(
    private readonly store: Pick<Store, 'detach' | 'end'>,
    private readonly failed: () => void,
  ) {}

  /** The connection of a session is gone, or about to go. Resolves when the store has heard it, or could not. */
  async tell(ref: SessionRef, ended: boolean): Promise<void> {
    // What the store was to hear of an older connection is without meaning from now on.
    this.untold.delete(ref.session);
    await this.attempt({ ref, ended });
  }

  /** Tells again what failed; stops where the store still hears nothing. */
  async retry(): Promise<void> {
    const endings = [...this.untold.values()];
    for (let at = 0; at < endings.length; at += RETRIES_AT_ONCE) {
      const step = endings.slice(at, at + RETRIES_AT_ONCE);
      const heard = await Promise.all(step.map((ending) => this.attempt(ending)));
      if (!heard.includes(true)) return;
    }
  }

  private async attempt(ending: Ending): Promise<boolean> {
    const { ref, ended } = ending;
    try {
      await (ended ? this.store.end(ref) : this.store.detach(ref));
      if (this.untold.get(ref.session) === ending) this.untold.delete(ref.session);
      return true;
    } catch {
      this.failed();
      this.keep(ending);
      return false;
    }
  }

  /** At the end of the line: one that always fails must not keep the others from their turn. */
  private keep(ending: Ending): void {
    const { session, generation } = ending.ref;
    const known = this.untold.get(session);
    if (known !== undefined && known.ref.generation > generation) return;
    this.untold.delete(session);
    if (this.untold.size < UNTOLD_LIMIT_SESSIONS) this.untold.set(session, ending);
  }
}
