// A set of names that can be read page by page in their order.

export class SortedNames<Name extends string> {
  private readonly names = new Set<Name>();
  /** Sorted when a page is asked for, and again only after changes: readers are far fewer than changes. */
  private sorted: Name[] | null = [];

  get size(): number {
    return this.names.size;
  }

  add(name: Name): void {
    if (this.names.has(name)) return;
    this.names.add(name);
    this.sorted = null;
  }

  delete(name: Name): void {
    if (this.names.delete(name)) this.sorted = null;
  }

  /** Up to `limit` names that are greater than `after` and begin with `prefix`. */
  page({ after, prefix, limit }: { after: string; prefix: string; limit: number }): Name[] {
    this.sorted ??= [...this.names].sort();
    const page: Name[] = [];
    for (let i = this.firstBeyond(this.sorted, after, prefix); page.length < limit; i++) {
      const name = this.sorted[i];
      if (name === undefined || !name.startsWith(prefix)) break;
      page.push(name);
    }
    return page;
  }

  /** Index of the first name > `after` and >= `prefix`. */
  private firstBeyond(sorted: readonly Name[], after: string, prefix: string): number {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const name = sorted[middle] ?? '';
      if (name <= after || name < prefix) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
