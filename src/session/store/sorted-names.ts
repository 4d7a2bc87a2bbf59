// A set of names in order, for listings: a page costs what it returns and changes cost little, however many there are.

/** Names of one run; at twice as many it is halved. Small enough to insert into, large enough that runs are few. */
const RUN_NAMES = 256;

/** Sorted by code unit, which is by byte for names: the order that Redis has. */
export class SortedNames<Name extends string> {
  /** None is empty; each ends before the next begins. */
  private readonly runs: Name[][] = [];

  add(name: Name): void {
    const at = Math.min(this.runOf(name), this.runs.length - 1);
    const run = this.runs[at];
    if (run === undefined) {
      this.runs.push([name]);
      return;
    }
    const place = firstFrom(run, name);
    if (run[place] === name) return;
    run.splice(place, 0, name);
    if (run.length >= 2 * RUN_NAMES) this.runs.splice(at + 1, 0, run.splice(RUN_NAMES));
  }

  delete(name: Name): void {
    const at = this.runOf(name);
    const run = this.runs[at];
    if (run === undefined) return;
    const place = firstFrom(run, name);
    if (run[place] !== name) return;
    run.splice(place, 1);
    if (run.length === 0) this.runs.splice(at, 1);
  }

  /** Up to `limit` names with a prefix that come after `cursor`; `next` is null where no more follow. */
  page(cursor: string | null, limit: number, prefix = ''): { page: Name[]; next: string | null } {
    const page: Name[] = [];
    for (const name of this.from(cursor !== null && cursor > prefix ? cursor : prefix)) {
      if (name === cursor) continue;
      if (!name.startsWith(prefix)) break;
      if (page.length === limit) return { page, next: page.at(-1) ?? null };
      page.push(name);
    }
    return { page, next: null };
  }

  private *from(start: string): Generator<Name> {
    let at = this.runOf(start);
    let place = firstFrom(this.runs[at] ?? [], start);
    for (; at < this.runs.length; at++, place = 0) {
      const run = this.runs[at] ?? [];
      for (; place < run.length; place++) {
        const name = run[place];
        if (name !== undefined) yield name;
      }
    }
  }

  /** The run that holds a name, or would: the first that does not end before it. */
  private runOf(name: string): number {
    return firstWhere(this.runs.length, (i) => (this.runs[i]?.at(-1) ?? '') >= name);
  }
}

function firstFrom(run: readonly string[], name: string): number {
  return firstWhere(run.length, (i) => (run[i] ?? '') >= name);
}

/** The first index from which on something holds. */
function firstWhere(length: number, holds: (index: number) => boolean): number {
  let [low, high] = [0, length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
