// Things in an order from which each can be taken out, and put at the end again, without looking for it: a list that its items are the links of.

export interface Linked<Item> {
  before: Item | null;
  behind: Item | null;
}

/** Of items that are in no other chain. */
export class Chain<Item extends Linked<Item>> {
  first: Item | null = null;
  private last: Item | null = null;
  size = 0;

  push(item: Item): void {
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
    item.before = item.behind = null;
    this.size--;
  }

  /** It is the last from now on. */
  renew(item: Item): void {
    if (this.last === item) return;
    this.remove(item);
    this.push(item);
  }
}
