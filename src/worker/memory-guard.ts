// Watches a worker's heap: past one share of its limit newcomers are sent away, past another the worker is replaced before V8 gives up.
import { getHeapStatistics } from 'node:v8';

export interface MemoryGuardOptions {
  /** Of the heap's limit, 0–1: no new connections from here on. */
  shedAbove: number;
  /** The worker is to be replaced from here on. */
  recycleAbove: number;
  /** Called when the worker is to be replaced; again where that did not help. */
  recycle: () => void;
  /** Used share of the heap, 0–1. */
  used: () => number;
}

/** Looks in a row that must agree before a worker is replaced: the next garbage collection may take a peak away. */
const LOOKS_BEFORE_RECYCLING = 3;

export class MemoryGuard {
  /** Whether newcomers are to be sent elsewhere. */
  sheds = false;
  private high = 0;

  constructor(private readonly options: MemoryGuardOptions) {}

  /** To be called about once a second. */
  look(): void {
    const { shedAbove, recycleAbove, recycle, used } = this.options;
    const share = used();
    this.sheds = share > shedAbove;
    this.high = share > recycleAbove ? this.high + 1 : 0;
    if (this.high === LOOKS_BEFORE_RECYCLING) recycle();
  }
}

/**
 * Garbage included. It says enough: V8 collects before the heap is half way between what lived after the last collection and
 * the limit, so that at 80 % at least 60 % live, and at 90 % at least 80 %.
 * @param semiSpaceMb V8's three semi-spaces are part of its limit, and of no use to what lives
 */
export function usedShareOfHeap(semiSpaceMb: number): number {
  const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
  return used / (limit - 3 * semiSpaceMb * 1024 * 1024);
}
