// Clock, timers and chance as one object, so that tests decide when time passes.

export interface Environment {
  now(): number;
  /** 0 ≤ n < 1. */
  random(): number;
  /** Calls `run` once after `ms`; the returned function cancels it. */
  after(ms: number, run: () => void): () => void;
}

export const REAL_ENVIRONMENT: Environment = {
  // The wall clock, because the monotonic one stands still in some browsers while a laptop sleeps.
  now: Date.now,
  random: Math.random,
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};
