// A timer wheel: one timer for all deadlines of a worker, because 100,000 Node timers cost memory and CPU.

/** Granularity of all deadlines, ms: fine enough for time-outs of seconds, coarse enough to cost nothing. */
const TICK_MS = 100;

export interface Deadline {
  cancel(): void;
}

class Entry implements Deadline {
  slot: Set<Entry> | null = null;
  constructor(readonly run: () => void) {}
  cancel(): void {
    this.slot?.delete(this);
    this.slot = null;
  }
}

/** Monotonic: a clock that jumps neither fires deadlines early nor holds them back. */
export class TimerWheel {
  private readonly slots = new Map<number, Set<Entry>>();
  private readonly timer: NodeJS.Timeout;
  private lastTick: number;
  /** How late the last tick came, ms: the lag of the event loop. */
  lagMs = 0;
  private worstMs = 0;

  constructor(private readonly now: () => number = () => performance.now()) {
    this.lastTick = this.tickOf(this.now());
    let expected = this.now() + TICK_MS;
    this.timer = setInterval(() => {
      const now = this.now();
      this.lagMs = Math.max(0, now - expected);
      this.worstMs = Math.max(this.worstMs, this.lagMs);
      expected = now + TICK_MS;
      this.advance();
    }, TICK_MS);
    this.timer.unref();
  }

  /** The worst lag since this was asked the last time. */
  takeWorstLagMs(): number {
    const { worstMs } = this;
    this.worstMs = 0;
    return worstMs;
  }

  /** Runs `run` once, at least `delayMs` from now. */
  in(delayMs: number, run: () => void): Deadline {
    const tick = Math.max(this.lastTick + 1, this.tickOf(this.now() + delayMs) + 1);
    let slot = this.slots.get(tick);
    if (slot === undefined) this.slots.set(tick, (slot = new Set()));
    const entry = new Entry(run);
    entry.slot = slot;
    slot.add(entry);
    return entry;
  }

  /** Runs what is due. Called by the wheel's own timer; public for tests with a clock of their own. */
  advance(): void {
    const current = this.tickOf(this.now());
    while (this.lastTick < current) {
      this.lastTick++;
      const slot = this.slots.get(this.lastTick);
      if (slot === undefined) continue;
      this.slots.delete(this.lastTick);
      for (const entry of slot) {
        entry.slot = null;
        entry.run();
      }
    }
  }

  close(): void {
    clearInterval(this.timer);
    this.slots.clear();
  }

  private tickOf(ms: number): number {
    return Math.floor(ms / TICK_MS);
  }
}
