// Which workers live, as Redis knows it: each renews its lease, and those whose lease has run out are found by the others.
import type { WorkerId } from '../../protocol/ids.js';

type What = 'renew' | 'expired' | 'drop';

export class RedisLease {
  /** Whether this worker has said that it lives. */
  private held = false;

  /** @param run runs lease.lua */
  constructor(
    private readonly own: WorkerId,
    private readonly run: (what: What, worker: WorkerId) => Promise<unknown>,
  ) {}

  /** Resolves with `lost` where the lease had been held and had run out: others have taken the worker for dead. */
  async renew(worker: WorkerId): Promise<'held' | 'lost'> {
    const isAlive = (await this.run('renew', worker)) === 1;
    const outcome = !isAlive && this.held ? 'lost' : 'held';
    this.held = true;
    return outcome;
  }

  /** The worker is being retired: where it is this one, its next lease is a first one. */
  retired(worker: WorkerId): void {
    if (worker === this.own) this.held = false;
  }

  async drop(worker: WorkerId): Promise<void> {
    await this.run('drop', worker);
  }

  /** Workers whose lease has run out. */
  async expired(): Promise<WorkerId[]> {
    return (await this.run('expired', this.own)) as WorkerId[];
  }
}
