// A group of processes with a limit on CPU that can be set while they run (Linux control groups, v1 or v2). Needs root.
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = '/sys/fs/cgroup';
/** Length of the kernel's accounting period, µs. */
const PERIOD_US = 100_000;

export class CpuGroup {
  readonly #isV2 = existsSync(join(ROOT, 'cgroup.controllers'));
  readonly #directory = join(ROOT, this.#isV2 ? '' : 'cpu', `faults-${process.pid}`);

  /** @throws Error where control groups cannot be made */
  constructor() {
    if (this.#isV2) writeFileSync(join(ROOT, 'cgroup.subtree_control'), '+cpu');
    mkdirSync(this.#directory, { recursive: true });
  }

  /** What comes before a command so that it and its children are in the group. */
  get wrap(): readonly string[] {
    return ['sh', '-c', 'echo $$ > "$0" && exec "$@"', join(this.#directory, 'cgroup.procs')];
  }

  /** Of one core, 0–1, for all of them together; null for no limit. */
  limit(share: number | null): void {
    const quota = share === null ? null : Math.round(share * PERIOD_US);
    if (this.#isV2) writeFileSync(join(this.#directory, 'cpu.max'), `${quota ?? 'max'} ${PERIOD_US}`);
    else writeFileSync(join(this.#directory, 'cpu.cfs_quota_us'), String(quota ?? -1));
  }

  /** When all of its processes have ended. */
  close(): void {
    rmdirSync(this.#directory);
  }
}
