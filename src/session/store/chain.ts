// Things in an order from which each can be taken out, and put at the end again, without looking for it: a list that its items are the links of.

export interface Linked<Item extends Linked<Item>> {
  before: Item | null;
  behind: Item | null;
  /** The one it is in. */
  chain: Chain<Item> | null;
}

export class Chain<Item extends Linked<Item>> {
  first: Item | null = null;
  private last: Item | null = null;
  size = 0;

  /** Puts it at the end; out of the chain that it was in. */
  push(item: Item): void {
    if (item.chain === this && this.last === item) return;
    item.chain?.remove(item);
    item.chain = this;
    item.before = this.last;
    item.behind = null;
    if (this.last === null) this.first = item;
    else this.last.behind = item;
    this.last = item;
    this.size++;
  }

  /** @param item is in this chain */
  remove(item: Item): void {
    if (item.before === null) this.first = item.behind;
    else item.before.behind = item.behind;
    if (item.behind === null) this.last = item.before;
    else item.behind.before = item.before;
    item.before = item.behind = item.chain = null;
    this.size--;
  }
}
