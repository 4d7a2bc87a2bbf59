// Signs of life of a worker's sessions, a few at a time, so that no key of a live session expires.
import type { WorkerId } from '../protocol/ids.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import type { Store } from '../session/store/store.js';

/** All sessions of a worker are renewed within RENEW_STEPS × RENEW_STEP_MS: five minutes. */
const RENEW_STEP_MS = 5_000;
const RENEW_STEPS = 60;
/** Sessions that are renewed at once, so that a whole worker's do not hit the store in one moment. */
const RENEW_BATCH_SESSIONS = 500;

export class KeepAlive {
  /** How often `step` is to be called, ms: as often as urgent batches may follow each other. */
  static readonly STEP_MS = 250;
  private queue: Session[] = [];
  private urgent = false;
  private steps = 0;

  constructor(
    private readonly worker: WorkerId,
    private readonly store: Store,
    private readonly registry: SessionRegistry,
  ) {}

  /** Renews every session now: the store may have taken them for lost. */
  renewAll(): void {
    this.queue = [...this.registry.all()];
    this.urgent = true;
  }

  step(): Promise<void> | undefined {
    const due = ++this.steps % (RENEW_STEP_MS / KeepAlive.STEP_MS) === 0;
    return this.urgent || due ? this.renew() : undefined;
  }

  private async renew(): Promise<void> {
    const { store, worker, registry } = this;
    if (this.queue.length === 0) this.queue = [...registry.all()];
    const size = this.urgent ? RENEW_BATCH_SESSIONS : Math.max(1, Math.ceil(registry.size / RENEW_STEPS));
    const { queue } = this;
    const sessions = queue.splice(0, size);
    try {
      await store.renew(
        worker,
        sessions.map(({ ref }) => ref),
      );
    } catch (error) {
      // Again, but at the end of the line: those that always fail must not keep the others from their turn.
      queue.push(...sessions);
      throw error;
    }
    // Where all were asked for meanwhile, these too: what was renewed before may have been lost since.
    if (this.queue === queue && queue.length === 0) this.urgent = false;
  }
}
