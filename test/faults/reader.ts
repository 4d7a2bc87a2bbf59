// One simulated client as the reader of one channel: what it got, in which order, and where it was told that something is missing.
import { type HistoryEvent, type Place, placeOf } from './history.js';
import type { Check } from './report.js';
import type { Flow, SentMessages } from './sent-messages.js';

type Recv = Extract<HistoryEvent, { e: 'recv' }>;

/** A place where the run may break because the reader was told; null: it was not told how many messages are missing. */
interface Break {
  at: number;
  missing: number | null;
  /** What was there may be there no more: the log may go on from an earlier place. */
  isLoss: boolean;
}

/** Lowest and highest offset of each epoch that was received between two breaks. */
type Span = Map<string, { low: number; high: number }>;

export interface ChannelWitness {
  /** Who sent the entry of that id, as the first reader saw it. */
  readonly contents: Map<string, string>;
  /** `a>b` where a reader went from epoch a to epoch b. */
  readonly epochs: Set<string>;
  /** A log that began anew, or forgot a sender, may be refilled with what readers had: offsets that they do not see. */
  mayRefill: boolean;
}

/** How long before its `unmember` a message must have been accepted to be owed: it takes a way to the reader. */
const LEAVE_MARGIN_MS = 2_000;

export class Reader {
  readonly memberships: { from: number; to: number }[] = [];
  finals = 0;
  readonly #got = new Map<Flow, Set<number>>();
  /** The newest of each sender, and how many breaks had been told by then. */
  readonly #last = new Map<Flow, { n: number; breaks: number }>();
  #place: Place | null = null;
  readonly #breaks: Break[] = [];
  readonly #spans: Span[] = [new Map()];
  /** Breaks that were told since the last message. */
  #told: Break[] = [];
  /** Messages that it got from where the log was lost: their senders may refill them, and it is not given them again. */
  #refills = 0;

  constructor(
    readonly client: string,
    readonly channel: string,
    readonly witness: ChannelWitness,
    readonly fail: (check: Check, text: string) => void,
  ) {}

  get isVolatile(): boolean {
    return this.channel.startsWith('volatile:');
  }

  join(t: number): void {
    if (this.memberships.at(-1)?.to === Infinity) return;
    this.memberships.push({ from: t, to: Infinity });
    this.#place = null;
    this.#last.clear();
  }

  leave(t: number): void {
    const membership = this.memberships.at(-1);
    if (membership !== undefined) membership.to = Math.min(membership.to, t);
  }

  /** It was told that something is missing here. */
  missing(gap: Break): void {
    this.#told.push(gap);
    this.#breaks.push(gap);
    this.#spans.push(new Map());
  }

  receive(event: Recv, sent: SentMessages): void {
    const { from, n } = event;
    const flow = sent.flow(this.channel, from);
    const outcome = flow?.outcomes[n - 1];
    if (flow === undefined || outcome === undefined) return this.fail('C1', `${from} never sent ${n}`);
    if (flow.hashes[n - 1] !== event.h) this.fail('C1', `${n} of ${from} came with another payload`);
    if (outcome === 'refused') this.fail('C1', `${n} of ${from} came although it was refused`);
    let got = this.#got.get(flow);
    if (got === undefined) this.#got.set(flow, (got = new Set()));
    if (got.has(n)) return this.fail('C4', `${n} of ${from} came again, id ${String(event.id)}`);
    got.add(n);
    if (event.final === true) this.finals++;
    this.#checkRun(event, flow);
    this.#told = [];
  }

  /** Accepted messages of the flow that this reader was owed, did not get, and was not told of. */
  *lost(flow: Flow, isAlive: boolean): Generator<string> {
    const got = this.#got.get(flow);
    for (let i = 0; i < flow.outcomes.length; i++) {
      if (flow.outcomes[i] !== 'accepted' || got?.has(i + 1) === true) continue;
      const sentAt = flow.sentAt[i] ?? 0;
      if (!this.#isOwed(sentAt, flow.settledAt[i] ?? Infinity, isAlive)) continue;
      const id = flow.ids[i] ?? null;
      if (!this.#isCovered(id, sentAt)) yield `${i + 1} of ${flow.sender} never came, id ${String(id)}`;
    }
  }

  #checkRun(event: Recv, flow: Flow): void {
    const { from, n } = event;
    const last = this.#last.get(flow);
    if (last !== undefined && n < last.n) this.fail('C2', `${n} of ${from} came after ${last.n}`);
    else this.#last.set(flow, { n, breaks: this.#breaks.length });
    if (this.isVolatile) return;
    if (event.id === null) {
      if (last === undefined || last.breaks < this.#breaks.length) return;
      const skipped = this.#skipped(flow, last.n, n);
      if (skipped !== null)
        this.fail('C3', `${n} of ${from} came after ${last.n}, without the accepted ${skipped}`);
      return;
    }
    this.#checkPlace(event.id, `${from} ${n}`);
  }

  #checkPlace(id: string, content: string): void {
    const place = placeOf(id);
    if (place === null) return this.fail('C6', `${id} is no id`);
    const seen = this.witness.contents.get(id);
    if (seen === undefined) this.witness.contents.set(id, content);
    else if (seen !== content) this.fail('C6', `${id} is ${content} here and ${seen} elsewhere`);
    this.#widen(place);
    const previous = this.#place;
    if (previous?.epoch === place.epoch && place.offset <= previous.offset) {
      if (this.#told.some(({ isLoss }) => isLoss)) this.#refills += previous.offset - place.offset + 1;
      else return this.fail('C6', `offset ${place.offset} came after ${previous.offset}`);
    }
    this.#place = place;
    if (previous === null) return;
    if (previous.epoch !== place.epoch) this.#checkEpochs(previous.epoch, place.epoch);
    else if (!this.#explains(place.offset - previous.offset - 1))
      this.fail('C3', `offset ${place.offset} came after ${previous.offset} in epoch ${place.epoch}`);
  }

  #checkEpochs(before: string, after: string): void {
    if (this.witness.epochs.has(`${after}>${before}`))
      this.fail('C6', `epoch ${after} came after ${before}, elsewhere before it`);
    else this.witness.epochs.add(`${before}>${after}`);
    if (this.#told.length === 0) this.fail('C3', `epoch ${after} came after ${before} without a word`);
  }

  /** Whether the reader was told since its last message that so many are missing, or had them before. */
  #explains(count: number): boolean {
    const told = this.#told.reduce((sum, { missing }) => sum + (missing ?? Infinity), 0);
    const refilled = Math.max(0, count - told);
    if (this.witness.mayRefill) return refilled <= this.#gotInAll;
    if (refilled > this.#refills) return false;
    this.#refills -= refilled;
    return true;
  }

  get #gotInAll(): number {
    let count = 0;
    for (const { size } of this.#got.values()) count += size;
    return count;
  }

  /** The first accepted message between two of one sender. */
  #skipped(flow: Flow, last: number, n: number): number | null {
    for (let between = last + 1; between < n; between++)
      if (flow.outcomes[between - 1] === 'accepted') return between;
    return null;
  }

  #widen({ epoch, offset }: Place): void {
    const span = this.#spans.at(-1);
    const range = span?.get(epoch);
    if (range === undefined) span?.set(epoch, { low: offset, high: offset });
    else if (offset > range.high) range.high = offset;
    else if (offset < range.low) range.low = offset;
  }

  #isOwed(sentAt: number, settledAt: number, isAlive: boolean): boolean {
    return this.memberships.some(({ from, to }) =>
      to === Infinity ? isAlive && sentAt >= from : sentAt >= from && settledAt <= to - LEAVE_MARGIN_MS,
    );
  }

  /** Whether the entry fits into a place where the run may break. */
  #isCovered(id: string | null, sentAt: number): boolean {
    const place = id === null ? null : placeOf(id);
    return this.#breaks.some(({ at, isLoss }, i) => {
      if (place === null) return at >= sentAt;
      return (
        this.#spans.slice(0, i + 1).every((span) => (span.get(place.epoch)?.high ?? -1) < place.offset) &&
        ((isLoss && sentAt <= at) ||
          this.#spans.slice(i + 1).every((span) => (span.get(place.epoch)?.low ?? Infinity) > place.offset))
      );
    });
  }
}
