// Medians and percentiles of raw samples.

/** Of an even number of values the mean of the middle two; NaN of none. */
export function median(values) {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The smallest sample that at least this share of all do not exceed (nearest rank). The samples are sorted already. */
export function percentile(sorted, share) {
  if (sorted.length === 0) return Number.NaN;
  const rank = Math.ceil(sorted.length * share);
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1];
}

/** Raw samples of several processes as one sorted array: percentiles of percentiles would mean nothing. */
export function mergeSamples(arrays) {
  const merged = new Float32Array(arrays.reduce((sum, array) => sum + array.length, 0));
  let offset = 0;
  for (const array of arrays) {
    merged.set(array, offset);
    offset += array.length;
  }
  return merged.sort();
}

/** A share of all, as evenly as whole numbers allow. */
export function shareOut(total, parts) {
  return Array.from({ length: parts }, (_, i) => Math.floor(total / parts) + (i < total % parts ? 1 : 0));
}

/** Raw samples that grow: every one is kept. */
export class Samples {
  #values = new Float32Array(1 << 14);
  #length = 0;

  add(value) {
    if (this.#length === this.#values.length) {
      const larger = new Float32Array(this.#values.length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#length++] = value;
  }

  taken() {
    return this.#values.slice(0, this.#length);
  }
}
