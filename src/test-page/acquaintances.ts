// The other browsers that this page has met: what it knows of each, and when it forgets who left.
import type { TestPair } from '../protocol/test-report.js';
import { PeerRows } from './board.js';
import { type About, shortName } from './neighbours.js';
import type { Line } from './time-plot.js';

/** How long the card of one who left and was tested stays, ms: long enough to be read. */
const GONE_SHOWN_MS = 60_000;
/** Cards of those who left, and ways that stay in mind without a card; those who are here, `NEIGHBOURS_LIMIT` at most, have one each. */
export const GONE_LIMIT = 10;
export const PAST_LIMIT = 30;

export interface Acquaintance {
  readonly rows: PeerRows;
  about: About | null;
  /** On the clock; null for who is here. */
  leftAt: number | null;
}

export class Acquaintances {
  readonly #met = new Map<string, Acquaintance>();
  /** How those were reached who have no card any more, the newest last. */
  readonly #past = new Map<string, TestPair>();
  readonly #now: () => number;

  /** @param now a clock in ms */
  constructor(now: () => number) {
    this.#now = now;
  }

  get(id: string): Acquaintance | undefined {
    return this.#met.get(id);
  }

  get list(): readonly (readonly [string, Acquaintance])[] {
    return [...this.#met];
  }

  get past(): readonly TestPair[] {
    return [...this.#past.values()];
  }

  /** All that came out: what the verdict goes by. */
  get pairs(): readonly TestPair[] {
    const now = [...this.#met.values()].flatMap(({ rows: { pair } }) => (pair === null ? [] : [pair]));
    return [...this.#past.values(), ...now];
  }

  /** Their pings over time. */
  get lines(): Line[] {
    return this.list.flatMap(([id, { rows }]) => [
      { name: `${shortName(id)} direct`, points: rows.direct.history },
      { name: `${shortName(id)} relayed`, points: rows.relay.history },
    ]);
  }

  /** One who is here; what was learned of it before stays. */
  meet(id: string, about: About | null): PeerRows {
    const known = this.#met.get(id) ?? { rows: new PeerRows(), about: null, leftAt: null };
    known.leftAt = null;
    known.about = about ?? known.about;
    this.#met.set(id, known);
    this.#past.delete(id);
    return known.rows;
  }

  /** Sees who has left, and forgets those who left without a result, long ago, or before too many others. True where something changed. */
  look(isHere: (id: string) => boolean): boolean {
    let isOther = false;
    const gone: [string, Acquaintance][] = [];
    for (const [id, one] of this.#met) {
      if (isHere(id)) continue;
      isOther ||= one.leftAt === null;
      one.leftAt ??= this.#now();
      gone.push([id, one]);
    }
    gone.sort(([, a], [, b]) => (b.leftAt ?? 0) - (a.leftAt ?? 0));
    for (const [at, [id, { rows, leftAt }]] of gone.entries()) {
      const isShown = this.#now() - (leftAt ?? 0) < GONE_SHOWN_MS && at < GONE_LIMIT;
      if (rows.pair !== null && isShown) continue;
      this.#met.delete(id);
      isOther = true;
      if (rows.pair !== null) this.#past.set(id, rows.pair);
    }
    for (const id of [...this.#past.keys()].slice(0, -PAST_LIMIT)) this.#past.delete(id);
    return isOther;
  }
}
