// Reads of logs, and how many of them the store has not answered yet: what a storm of resumed sessions waits for.
import type { ReadQuery, ReadResult, Store } from '../session/store/store.js';

export class CountedReads implements Pick<Store, 'read'> {
  /** Reads without an answer so far. */
  underWay = 0;

  constructor(private readonly store: Pick<Store, 'read'>) {}

  async read(query: ReadQuery): Promise<ReadResult> {
    this.underWay++;
    try {
      return await this.store.read(query);
    } finally {
      this.underWay--;
    }
  }
}
