// Chance that a seed decides, so that a row can be run again as it was.

export interface Random {
  /** 0 ≤ n < 1 */
  next(): number;
  /** An integer, 0 ≤ n < `below`. */
  below(below: number): number;
  pick<Value>(values: readonly Value[]): Value;
}

/** mulberry32 (public domain, Tommy Ettinger): 32 bits of state, good enough to place faults. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return {
    next,
    below,
    pick: (values) => {
      const value = values[below(values.length)];
      if (value === undefined) throw new RangeError('nothing to pick from');
      return value;
    },
  };
}
